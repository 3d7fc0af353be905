"""Guided diffusion samplers on one measurement: how near to the true posterior with how many evaluations of it.

`python -m benchmarks.experiments.posterior --spec JSON --out FOLDER` writes two tables. A guide's own parameters are
chosen per budget on a measured value that the comparison never sees; every seed of the comparison has a value of its
own. What is finished is kept, in one file per guide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.contract.parameters import check
from benchmarks.contract.seeds import TUNING_REPLICATES
from benchmarks.harness.job import commit, device_name, entry, versions
from benchmarks.harness.pieces import Pieces, Rows, main, rounded
from benchmarks.harness.rooms import GUIDES, MEASUREMENTS
from benchmarks.harness.sources import fingerprint, module_of, sources

if TYPE_CHECKING:
    from benchmarks.experiments.posterior_bench import Bench
    from methods.posterior.base import Guide

VALUES, CHOICES = TABLES = ("values.parquet", "choices.parquet")
COLUMNS = {
    VALUES: ["suite", "task", "guide", "budget", "evaluations", "seed", "metric", "value", "floor"],
    CHOICES: [
        *("suite", "task", "guide", "budget", "levels", "each", "params", "n_tried", "tuned", "ess", "prior"),
        *("status", "reason", "device", "versions", "commit"),
    ],
}
JUDGED = "sliced_w2"  # what choices are judged by


@dataclass(frozen=True)
class Posterior(Pieces):
    """What the pipeline asks for."""

    kind: ClassVar[str] = "posterior"
    columns: ClassVar[dict[str, list[str]]] = COLUMNS

    suite: str
    task: str  # label in the tables
    measurement: str  # a file in benchmarks/posterior/
    guides: dict[str, dict[str, Any]]  # label → as in the suite's file; `algorithm` defaults to the label
    budgets: list[int]  # evaluations of the measurement per chain
    params: dict[str, Any] = field(default_factory=dict)  # of the measurement
    samples: int = 200  # chains
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    tuning_seeds: int = 1
    device: str = "cpu"
    threads: int = 1

    @property
    def labels(self) -> Sequence[str]:
        return list(self.guides)

    @cached_property
    def bench(self) -> Bench:
        """Return the measurement with its truth, built once."""
        from benchmarks.experiments.posterior_bench import Bench

        return Bench(self)

    def algorithm(self, label: str) -> str:
        """Return the file of a guide."""
        return self.guides[label].get("algorithm", label)

    def fingerprint(self, label: str) -> str:
        facts = {**asdict(self), "guide": self.guides[label]}
        for key in ("suite", "guides"):
            facts.pop(key)
        modules = module_of(f"benchmarks.{MEASUREMENTS}", self.measurement), module_of(GUIDES, self.algorithm(label))
        files = sources("benchmarks.experiments.posterior", *modules)
        return fingerprint(files, json.dumps(facts, sort_keys=True))

    def compute(self, label: str) -> Rows:
        rows: Rows = {name: [] for name in TABLES}
        for budget in self.guides[label].get("budgets", self.budgets):
            values, choice = run_guide(self.bench, label, budget)
            rows[VALUES] += values
            rows[CHOICES].append(choice)
        return rows

    def endings(self, label: str, status: str, reason: str) -> Rows:
        budgets = self.guides[label].get("budgets", self.budgets)
        return {CHOICES: [{**facts(self, label, budget), "status": status, "reason": reason} for budget in budgets]}

    def told(self, rows: Rows) -> str:
        return ", ".join(f"{row['budget']}: {row.get('tuned', row['reason'])}" for row in rows[CHOICES])


def facts(spec: Posterior, label: str, budget: int) -> dict[str, Any]:
    """Return the row of a choice of which only guide and budget are known."""
    return {
        **{"guide": label, "budget": budget, "status": "ok", "reason": ""},
        **{"device": device_name(spec.device), "versions": versions(), "commit": commit()},
    }


def run_guide(bench: Bench, label: str, budget: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of the comparison and that of the choice, for one guide and budget."""
    from benchmarks.experiments.posterior_bench import PRIOR

    spec = bench.spec
    given = spec.guides[label]
    fixed, grid = given.get("params", {}), given.get("grid", {})
    tried = []
    for values in product(*grid.values()) if len(grid) else [()]:
        own = dict(zip(grid, values, strict=True))
        seeds = [TUNING_REPLICATES + number for number in range(spec.tuning_seeds)]
        found = [judged(bench, built(spec, label, {**fixed, **own}), budget, seed)[0][JUDGED] for seed in seeds]
        tried.append((sum(found) / len(found), own))
    tuned, own = min(tried, key=lambda item: item[0] if math.isfinite(item[0]) else math.inf)
    guide = built(spec, label, {**fixed, **own})
    rows = []
    for seed in spec.seeds:
        values, used = judged(bench, guide, budget, seed)
        about = {"guide": label, "budget": budget, "evaluations": used, "seed": seed}
        for metric, value in values.items():
            floor = rounded(bench.truth(seed).floors[metric])
            rows.append({**about, "metric": metric, "value": rounded(value), "floor": floor})
    levels, each = guide.plan(budget)
    return rows, {
        **facts(spec, label, budget),
        **{"levels": levels, "each": each, "params": json.dumps({**fixed, **own}, sort_keys=True)},
        **{"n_tried": len(tried), "tuned": rounded(tuned)},
        **{"ess": rounded(min(bench.truth(seed).ess for seed in spec.seeds)), "prior": PRIOR},
    }


def built(spec: Posterior, label: str, params: dict[str, Any]) -> Guide:
    """Return the guide of a label with these parameters."""
    from benchmarks.harness.registry import guide_class

    kind = guide_class(spec.algorithm(label))
    return kind(**check(kind.setup, params, f"guide {label!r} ({spec.algorithm(label)})"))


def judged(bench: Bench, guide: Guide, budget: int, seed: int) -> tuple[dict[str, float], float]:
    """Return the distances of one run to the truth, and the evaluations per chain."""
    x, used = bench.sample(guide, budget, seed)
    return bench.truth(seed).distances(x), used


if __name__ == "__main__":
    entry(lambda: main(Posterior, __spec__.name, __doc__))
