"""Samplers of diffusion models on one law: how near to the truth with how many evaluations of the denoiser.

`python -m benchmarks.experiments.diffusion --spec JSON --out FOLDER` writes three tables. For every sampler and budget
the spacing of the noise levels (and a parameter of the sampler's own, where the suite names values) is chosen on seeds
that the comparison never sees; then it runs on the comparison's. What is finished is kept, in one file per sampler.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

from benchmarks.contract.parameters import check
from benchmarks.contract.seeds import TUNING_REPLICATES
from benchmarks.harness.job import commit, device_name, entry, versions
from benchmarks.harness.pieces import Pieces, Rows, main, rounded
from benchmarks.harness.rooms import DIFFUSION, LAWS
from benchmarks.harness.sources import fingerprint, module_of, sources

if TYPE_CHECKING:
    from benchmarks.experiments.diffusion_bench import Bench

VALUES, CHOICES, TRIED = TABLES = ("values.parquet", "choices.parquet", "tried.parquet")
COLUMNS = {
    VALUES: ["suite", "task", "sampler", "spacing", "budget", "nfe", "seed", "metric", "value", "floor"],
    CHOICES: [
        *("suite", "task", "scores", "sampler", "budget", "nfe", "levels", "spacing", "params", "n_tried", "tuned"),
        *("sample_s", "status", "reason", "device", "versions", "commit"),
    ],
    TRIED: ["suite", "task", "sampler", "budget", "spacing", "params", "seed", "value"],
}


@dataclass(frozen=True)
class Entry:
    """A sampler under its label."""

    algorithm: str  # a file in methods/diffusion/
    params: dict[str, Any]
    grid: dict[str, list[Any]]  # of its own, tried beside the spacings
    budgets: list[int]


@dataclass(frozen=True)
class Diffusion(Pieces):
    """What the pipeline asks for."""

    suite: str
    task: str  # label in the tables
    law: str  # a file in benchmarks/sampling/
    samplers: dict[str, dict[str, Any]]  # label → as in the suite's file; `algorithm` defaults to the label
    budgets: list[int]  # evaluations per draw
    params: dict[str, Any] = field(default_factory=dict)  # of the law
    samples: int = 1000
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    tuning_seeds: int = 1
    device: str = "cpu"
    threads: int = 1

    kind: ClassVar[str] = "diffusion"
    columns: ClassVar[dict[str, list[str]]] = COLUMNS

    @property
    def labels(self) -> Sequence[str]:
        return list(self.samplers)

    @cached_property
    def bench(self) -> Bench:
        """Return the law with what is known of it, built once."""
        from benchmarks.experiments.diffusion_bench import Bench

        return Bench(self)

    def entry(self, label: str) -> Entry:
        """Return the sampler of this label."""
        given = self.samplers[label]
        return Entry(
            given.get("algorithm", label),
            given.get("params", {}),
            given.get("grid", {}),
            given.get("budgets", self.budgets),
        )

    def fingerprint(self, label: str) -> str:
        """Return the hash of code and settings that what is kept of a sampler must carry to be reused."""
        facts = asdict(self)
        for key in ("suite", "samplers"):
            facts.pop(key)
        facts["entry"] = asdict(self.entry(label))
        return fingerprint(
            sources("benchmarks.experiments.diffusion", *modules_of(self.law, facts["entry"]["algorithm"])),
            json.dumps(facts, sort_keys=True),
        )

    def compute(self, label: str) -> Rows:
        return run_sampler(self.bench, label)

    def endings(self, label: str, status: str, reason: str) -> Rows:
        return {CHOICES: endings(self, label, status, reason)}

    def told(self, rows: Rows) -> str:
        return ", ".join(f"{row['budget']}: {row.get('tuned', row['reason'])}" for row in rows[CHOICES])


def modules_of(law: str, algorithm: str) -> tuple[str, str]:
    """Return the modules of a law and a sampler."""
    return module_of(f"benchmarks.{LAWS}", law), module_of(DIFFUSION, algorithm)


def cells_of(given: Entry) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is tried: every spacing with every value of the sampler's own grid."""
    from methods.diffusion.base import SPACINGS

    for spacing, *values in product(SPACINGS, *given.grid.values()):
        yield spacing, dict(zip(given.grid, values, strict=True))


def run_sampler(bench: Bench, label: str) -> Rows:
    """Return table → rows of one sampler: what was tried, what was chosen, how good it is."""
    from benchmarks.harness.registry import sampler_class

    spec, given = bench.spec, bench.spec.entry(label)
    kind, where = sampler_class(given.algorithm), f"sampler {label!r} ({given.algorithm})"
    reason = kind.unsupported(bench.law.dim)
    if reason:
        return spec.endings(label, "unsupported", reason)
    rows: Rows = {name: [] for name in TABLES}
    for budget in given.budgets:
        tried = []
        for spacing, own in cells_of(given):
            params = {**given.params, **own}
            sampler = kind(**check(kind.setup, params, where))
            for number in range(spec.tuning_seeds):
                x, *_ = bench.sample(sampler, spacing, budget, TUNING_REPLICATES + number)
                facts = {"spacing": spacing, "params": json.dumps(own, sort_keys=True), "seed": number}
                tried.append({"sampler": label, "budget": budget, **facts, "value": rounded(bench.sliced(x))})
        spacing, own, value = chosen(tried)
        sampler = kind(**check(kind.setup, {**given.params, **own}, where))
        began = time.perf_counter()
        sampled = [bench.sample(sampler, spacing, budget, seed) for seed in spec.seeds]
        sample_s = (time.perf_counter() - began) / len(spec.seeds)
        for seed, (x, nfe, length) in zip(spec.seeds, sampled, strict=True):
            facts = {"sampler": label, "spacing": spacing, "budget": budget, "nfe": nfe, "seed": seed}
            for metric, found in {**bench.distances(x), "path_length": length}.items():
                floor = rounded(bench.floors[metric]) if metric in bench.floors else None
                rows[VALUES].append({**facts, "metric": metric, "value": rounded(found), "floor": floor})
        rows[TRIED] += tried
        rows[CHOICES].append(
            {
                **choice(spec, label, budget),
                **{"scores": bench.law.scores, "nfe": sampled[0][1], "levels": sampler.levels(budget)},
                **{"spacing": spacing, "params": json.dumps({**given.params, **own}, sort_keys=True)},
                **{"n_tried": len(tried), "tuned": value, "sample_s": rounded(sample_s)},
            }
        )
    return rows


def chosen(tried: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any], float]:
    """Return spacing, own parameters and mean value of the best cell; one that is not finite loses."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in tried:
        value = math.inf if row["value"] is None else row["value"]
        sums.setdefault((row["spacing"], row["params"]), []).append(value)
    means = {key: sum(values) / len(values) for key, values in sums.items()}
    spacing, own = min(means, key=means.__getitem__)
    return spacing, json.loads(own), rounded(means[spacing, own])


def choice(spec: Diffusion, label: str, budget: int) -> dict[str, Any]:
    """Return the row of a choice of which only sampler and budget are known."""
    return {
        **{"sampler": label, "budget": budget, "status": "ok", "reason": ""},
        **{"device": device_name(spec.device), "versions": versions(), "commit": commit()},
    }


def endings(spec: Diffusion, label: str, status: str, reason: str) -> list[dict[str, Any]]:
    """Return the rows of a sampler that did not come to its end."""
    budgets = spec.entry(label).budgets
    return [{**choice(spec, label, budget), "status": status, "reason": reason} for budget in budgets]


if __name__ == "__main__":
    entry(lambda: main(Diffusion, __spec__.name, __doc__))
