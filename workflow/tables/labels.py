"""labels.csv: how every label of a suite is called and drawn, and what it is; the classes themselves say so.

`python -m workflow.tables.labels --config config/<suite>.yaml --out results/<suite>/tables/labels.csv` writes it alone.
A class that says nothing gets its label in words and the colour, of many drawn from a hash of its label, that is
farthest from all others; a variant that has no look of its own gets a shade of its whole's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.harness.job import entry
from benchmarks.harness.registry import family_class, guide_class, learner_class, method_class, sampler_class
from benchmarks.harness.sources import short
from benchmarks.harness.store import atomic
from methods._look import Look, Looks
from workflow.figures.style import distinct, shade, spell
from workflow.suite import Suite, load_suite
from workflow.tables.schema import check, schema

FACTS = ("what", "label", "algorithm", "kind", "reads", "deterministic", "ablation_of")  # of an entry, in the table


@dataclass(frozen=True)
class Entry:
    """A label with what its class and the config say about it."""

    what: str  # method, learner, family, sampler or guide
    label: str
    algorithm: str  # file behind it
    own: Look | None
    variants: Looks
    params: dict[str, Any] = field(default_factory=dict)
    kind: str | None = None
    deterministic: bool | None = None
    ablation_of: str | None = None
    reads: str | None = None


def make_labels(suite: Suite) -> pd.DataFrame:
    """Return labels.csv of a suite."""
    labels = table_of(list(entries(suite)))
    if suite.reference:  # one's own are what is looked for: on top of all
        own = labels["label"].isin([*suite.own.get("methods", {})])
        labels["emphasis"] = labels["emphasis"].clip(upper=1).mask(own, 2)
    return labels


def table_of(known: list[Entry]) -> pd.DataFrame:
    """Return labels.csv of these entries; whoever looks for itself keeps clear of all that have a look."""
    drawn = [item for item in known if item.what != "family"]
    looks = {item.label: stated(item) for item in drawn}
    taken = [look for look in looks.values() if look is not None and look.color]
    for item in drawn:
        look = looks[item.label]
        if look is None or not (look.color and look.marker):
            looks[item.label] = complete(item, look, taken)
            taken.append(looks[item.label])
    rows = [_row(item, looks[item.label]) if item.label in looks else _family(item) for item in known]
    return check(pd.DataFrame(rows, columns=list(schema("labels")["columns"])), "labels")


def stated(item: Entry) -> Look | None:
    """Return the look that a class states for a label or, for a variant, the shade that follows from it."""
    if item.what in ("sampler", "guide"):  # whose class was asked with its parameters
        return item.own
    for (parameter, value), look in item.variants.items():
        if parameter in item.params and item.params[parameter] == value:
            return look
    if item.label == item.algorithm or not item.params:
        return item.own
    return shade(item.label, item.algorithm, item.own) if item.own and item.own.color else None


def complete(item: Entry, look: Look | None, taken: list[Look]) -> Look:
    """Return a look with all that was left out chosen apart from the others' looks."""
    look = look or Look()
    found = distinct(item.label, taken)
    chosen = {key: getattr(look, key) or getattr(found, key) for key in ("color", "marker")}
    line = look.linestyle if look.color else found.linestyle
    return replace(look, name=look.name or spell(item.label), linestyle=line, **chosen)


def entries(suite: Suite) -> Iterator[Entry]:
    """Yield the suite's methods, learners, families, samplers and guides in the config's order."""
    classes = {"method": method_class, "learner": learner_class}
    for what, find in classes.items():
        for label, given in suite.config.get(f"{what}s", {}).items():
            algorithm = given.get("algorithm", label)
            kind = find(algorithm)
            yield Entry(
                what,
                label,
                short(algorithm),
                vars(kind).get("look"),  # a subclass is another method, and looks like one
                vars(kind).get("looks", {}),
                given.get("params", {}),
                getattr(kind, "role", None) or getattr(kind, "kind", None),
                getattr(kind, "deterministic", None),
                given.get("tuned_as"),
                kind.reads(**given.get("params", {})).replace("value", "loss") if what == "method" else None,
            )
    for label, given in suite.config.get("families", {}).items():
        family = given.get("family", label)
        yield Entry("family", label, short(family), Look(family_class(family).title), {})

    for label, given in suite.config.get("diffusion", {}).get("samplers", {}).items():
        algorithm = given.get("algorithm", label)
        params = {**given.get("params", {}), **{key: values[0] for key, values in given.get("grid", {}).items()}}
        told = sampler_class(algorithm).told(**params)
        facts = {"kind": told.kind, "deterministic": told.deterministic, "ablation_of": given.get("plain")}
        yield Entry("sampler", label, short(algorithm), told.look, {}, params, **facts)

    for label, given in suite.config.get("posterior", {}).get("guides", {}).items():
        kind = guide_class(given.get("algorithm", label))
        params = {**given.get("params", {}), **{key: values[0] for key, values in given.get("grid", {}).items()}}
        yield Entry("guide", label, short(given.get("algorithm", label)), kind.told(**params), {}, params, kind.kind)


def _row(item: Entry, look: Look) -> dict[str, Any]:
    facts = {key: getattr(item, key) for key in FACTS}
    return {**facts, **asdict(look)}


def _family(item: Entry) -> dict[str, Any]:
    """Return a family's row: `brdf_small` → `BRDF (small)`."""
    name = item.own.name if item.own and item.own.name else ""
    variant = spell(item.label.removeprefix(item.algorithm).strip("_"), capital=False)
    if not name:
        name = spell(item.label)
    elif item.label != item.algorithm:
        name = f"{name} ({variant})"
    return _row(item, Look(name)) | {"color": None, "marker": None, "linestyle": None, "emphasis": None}


def kinds(labels: pd.DataFrame) -> dict[str, str]:
    """Return label → kind of the methods."""
    methods = labels[labels["what"] == "method"]
    return dict(zip(methods["label"], methods["kind"], strict=True))


def deterministic(labels: pd.DataFrame) -> frozenset[str]:
    """Return the labels of the methods of which equal starts give equal runs."""
    return frozenset(labels.loc[labels["deterministic"].eq(True), "label"])


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.labels", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="config/<suite>.yaml")
    parser.add_argument("--out", required=True, type=Path, help="labels.csv")
    given = parser.parse_args()
    with atomic(given.out) as part:
        part.write_bytes(make_labels(load_suite(given.config)).to_csv(index=False).encode("utf-8"))


if __name__ == "__main__":
    entry(main)
