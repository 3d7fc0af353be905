"""Rays for gradients on one scene: what they are worth per pixel, and descents that spend them in several ways.

`python -m benchmarks.experiments.rays --spec JSON --out FOLDER` writes tables of measurements with the scene held
still, of maps for the figure, of descents, and of how all ended. What is finished is kept: the maps, and every arm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from benchmarks.harness.job import commit, device_name, entry, versions
from benchmarks.harness.pieces import Pieces, Rows, main, rounded
from benchmarks.harness.sources import fingerprint, module_of, sources

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene

VALUES, MAPS, DESCENTS, ENDINGS = TABLES = ("values.parquet", "maps.parquet", "descents.parquet", "endings.parquet")
COLUMNS = {
    VALUES: ["suite", "task", "state", "seed", "samples", "allocation", "metric", "value"],
    MAPS: ["suite", "task", "state", "map", "width", "pixel", "value"],
    DESCENTS: ["suite", "task", "arm", "seed", "rays", "renders", "cost", "error"],
    ENDINGS: ["suite", "task", "piece", "status", "reason", "device", "versions", "commit"],
}
STILL = "still"  # the piece of measurements with the scene held still


@dataclass(frozen=True)
class Rays(Pieces):
    """What the pipeline asks for."""

    kind: ClassVar[str] = "rays"
    columns: ClassVar[dict[str, list[str]]] = COLUMNS

    suite: str
    task: str
    problem: str  # world.task, a scene of rendering
    samples: list[float]  # per pixel, for which shares and gains are told
    params: dict[str, Any] = field(default_factory=dict)
    states: list[float] = field(default_factory=lambda: [0.6])  # of the way from start to optimum
    sigma: float = 0.5
    pairs: int = 12
    prb: bool = False  # are the rays of Mitsuba's own gradient weighed as well?
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)  # label → of `ray_descent.Arm`
    steps: int = 40
    descents: int = 10  # replicates of an arm
    device: str = "cpu"
    threads: int = 1

    @property
    def labels(self) -> Sequence[str]:
        return [STILL, *self.arms]

    @cached_property
    def scene(self) -> Scene:
        """Return the scene, built once."""
        from benchmarks.harness.registry import task_class

        return task_class(self.problem)(device=self.device, **self.params)

    def fingerprint(self, label: str) -> str:
        facts = asdict(self)
        for key in ("suite", "arms"):
            facts.pop(key)
        facts["arm"] = self.arms.get(label)
        files = sources("benchmarks.experiments.rays", module_of("benchmarks", self.problem))
        return fingerprint(files, json.dumps(facts, sort_keys=True))

    def compute(self, label: str) -> Rows:
        found = self.measured() if label == STILL else {DESCENTS: self.descended(label)}
        return {**found, **self.endings(label, "ok", "")}

    def measured(self) -> Rows:
        """Return the rows of the scene held still, and the maps of its first state."""
        from benchmarks.experiments.ray_maps import measure, rows_of
        from benchmarks.experiments.ray_overhead import overhead
        from benchmarks.experiments.ray_prb import rows_of_prb

        rows: Rows = {VALUES: [], MAPS: []}
        for number, state in enumerate(self.states):
            every = [measure(self.scene, state, self.sigma, self.pairs, seed) for seed in self.seeds]
            for seed, found in zip(self.seeds, every, strict=True):
                for row in rows_of(found, self.samples):
                    rows[VALUES].append({"state": state, "seed": seed, **row, "value": rounded(row["value"])})
                if self.prb:
                    for row in rows_of_prb(self.scene, state, seed):
                        rows[VALUES].append({"state": state, "seed": seed, **row, "value": rounded(row["value"])})
            if number:
                continue
            about = {"samples": 0.0, "allocation": "uniform", "metric": "overhead"}
            for seed in self.seeds:
                rows[VALUES].append(
                    {"state": state, "seed": seed, **about, "value": rounded(overhead(self.scene, state))}
                )
            maps = {
                "picture": np.mean([found.picture for found in every], 0),
                "primal": np.sqrt(np.mean([found.primal for found in every], 0)),
                "gradient": np.sqrt(np.mean([found.rays.mean(0) for found in every], 0)),
            }
            about = {"state": state, "width": self.scene.width}
            for name, values in maps.items():
                for pixel, value in enumerate(values):
                    rows[MAPS].append({**about, "map": name, "pixel": pixel, "value": rounded(float(value))})
        return rows

    def descended(self, label: str) -> list[dict[str, Any]]:
        """Return the rows of one arm."""
        from benchmarks.experiments.ray_descent import Arm, descend

        arm = Arm(**self.arms[label])
        rows = []
        for seed in range(self.descents):
            ended = asdict(descend(self.scene, arm, self.steps, seed))
            rows.append({"arm": label, "seed": seed, **{name: rounded(value) for name, value in ended.items()}})
        return rows

    def endings(self, label: str, status: str, reason: str) -> Rows:
        facts = {"device": device_name(self.device), "versions": versions(), "commit": commit()}
        return {ENDINGS: [{"piece": label, "status": status, "reason": reason, **facts}]}


if __name__ == "__main__":
    entry(lambda: main(Rays, __spec__.name, __doc__))
