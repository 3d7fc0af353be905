"""What every job of a suite is told, which source files it depends on, and what it may take; the rules ask here."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.harness import search
from benchmarks.harness.rooms import DIFFUSION, FAMILIES, GUIDES, LAWS, MEASUREMENTS
from benchmarks.harness.sources import ROOT, module_of, sources
from workflow.suite import Suite, to_json

BASE_MIB = 1024  # what Python and the libraries take before a task is built
MINUTES_TO_START = 5
# Kind of work that a suite may have → its tables.
TABLES = {
    "cells": (
        *("tasks.csv", "gradients.csv", "runs.parquet", "curves.parquet", "targets.csv", "hits.parquet", "scores.csv"),
        *("summary.csv", "robustness.csv", "qc.csv", "reproduction.csv", "certificates.csv", "pictures.npz"),
    ),
    "meta_cells": (
        *("models.parquet", "adaptation.parquet", "quality_at.csv", "speedups.csv", "adaptation_pictures.npz"),
    ),
    "sampling": ("sampling.parquet",),
    "diffusion": (
        *("diffusion.csv", "diffusion_choices.csv", "diffusion_tried.csv", "diffusion_reach.csv"),
        "diffusion_order.csv",
    ),
    "posterior": ("posterior.csv", "posterior_choices.csv"),
    "rays": ("rays.csv", "rays_maps.parquet", "rays_descents.csv", "rays_endings.csv"),
    "reference": ("reference.csv", "leaderboard.csv", "duels.csv"),  # stored results that it compares with
}
TABLES_OF_ALL = ("labels.csv", "claims.csv", "environment.csv")
OF_FIGURE = {  # figure → its tables, where it does not need all of a suite
    "plateau": ("landscape.parquet",),
    "surrogate": ("surrogate.parquet",),
    "influence": ("labels.csv", "influence.parquet"),
}
BESIDES = {  # figure → tables of its own, beside all of a suite
    "landscape": ("scene_landscape.parquet",),
    "scenes": ("scene_landscape.parquet",),
    "worlds": ("worlds.npz",),
}


def ours(name: str) -> str:
    """Return a file of the checkout as seen from the working directory (--directory)."""
    return name if Path.cwd() == ROOT else str(ROOT / name)


class Jobs:
    """The jobs of one suite. A rule's wildcards name the job: task and method, family and learner, law, scene …"""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.folder = suite.folder.as_posix()
        self.cells = {(cell.task, cell.method): cell for cell in [*suite.cells, *suite.untuned_cells]}
        self.tuning = {(cell.task, cell.method): cell for cell in suite.tuning_cells}
        self.learners = {(cell.family, cell.learner): cell for cell in suite.meta_cells}
        self.meta_tuning = {(cell.family, cell.learner): cell for cell in suite.meta_tuning_cells}
        self.scenes = {  # label → problem and parameters
            label: [task.problem, task.params]
            for label, task in suite.tasks.items()
            if task.problem.startswith("rendering.")
        }
        self._modules: dict[tuple[str, ...], frozenset[str]] = {}

    @cached_property
    def tables(self) -> list[str]:
        """Return the tables that the suite's results fill."""
        kinds = [names for kind, names in TABLES.items() if getattr(self.suite, kind)]
        return [name for names in [*kinds, TABLES_OF_ALL] for name in names]

    @cached_property
    def trained(self) -> list[str]:
        """Return the files of trained replicates. Those of adaptations that ask for more than others are not named."""
        replicates = min((cell.replicates for cell in self.suite.meta_cells), key=len, default=[])
        return [f"{self.folder}/models/{{family}}/{{learner}}/replicate_{seed}.pt" for seed in replicates]

    # Files that jobs wait for.

    def of_all_cells(self, name: str) -> list[str]:
        return [f"{self.folder}/runs/{task}/{method}/{name}" for task, method in self.cells]

    def of_all_tasks(self, name: str) -> list[str]:
        return [f"{self.folder}/tasks/{task}/{name}" for task in dict.fromkeys(task for task, _ in self.cells)]

    def of_all_learners(self, folder: str, name: str) -> list[str]:
        return [f"{self.folder}/{folder}/{family}/{learner}/{name}" for family, learner in self.learners]

    def stored(self) -> list[str]:
        """Return the tables of the results that the suite compares with."""
        names = ["tasks.csv", "scores.csv", "runs.parquet", "curves.parquet"] if self.suite.reference else []
        return [(self.suite.reference.folder / "tables" / name).as_posix() for name in names]

    def tables_of_figure(self, wildcards: Any) -> list[str]:
        names = OF_FIGURE.get(wildcards.figure, (*self.tables, *BESIDES.get(wildcards.figure, ())))
        return [f"{self.folder}/tables/{name}" for name in names]

    # Source files: a job is stale where one of them changed.

    def modules(self, *names: str) -> frozenset[str]:
        """Return the files of the checkout that these modules import, themselves included."""
        if names not in self._modules:
            self._modules[names] = frozenset(map(ours, sources(*names)))
        return self._modules[names]

    def sources_of(self, *names: str) -> list[str]:
        return sorted(self.modules(*names))

    def sources_of_task(self, wildcards: Any) -> list[str]:
        problem = module_of("benchmarks", self.suite.tasks[wildcards.task].problem)
        return sorted(self.modules("benchmarks.harness.calibrate") | self.modules(problem))

    def sources_of_cell(self, wildcards: Any) -> list[str]:
        cell = self.cells[wildcards.task, wildcards.method]
        both = self.modules(module_of("benchmarks", cell.problem)) | self.modules(module_of("methods", cell.algorithm))
        return sorted(self.modules("benchmarks.harness.runner") | both)

    def sources_of_tuning(self, wildcards: Any) -> list[str]:
        return sorted(self.modules("benchmarks.harness.tune") | set(self.sources_of_cell(wildcards)))

    def sources_of_training(self, wildcards: Any) -> list[str]:
        cell = self.learners[wildcards.family, wildcards.learner]
        world, learner = module_of(f"benchmarks.{FAMILIES}", cell.world), module_of("methods.meta", cell.algorithm)
        return sorted(self.modules("benchmarks.harness.meta_train") | self.modules(world) | self.modules(learner))

    def sources_of_adaptation(self, wildcards: Any) -> list[str]:
        return sorted(self.modules("benchmarks.harness.adapt") | set(self.sources_of_training(wildcards)))

    def sources_of_meta_tuning(self, wildcards: Any) -> list[str]:
        return sorted(self.modules("benchmarks.harness.meta_tune") | set(self.sources_of_training(wildcards)))

    def sources_of_diffusion(self, wildcards: Any) -> list[str]:
        spec = self.suite.diffusion[wildcards.law]
        used = self._used(spec["samplers"], DIFFUSION)
        return self.sources_of("benchmarks.experiments.diffusion", module_of(f"benchmarks.{LAWS}", spec["law"]), *used)

    def sources_of_posterior(self, wildcards: Any) -> list[str]:
        spec = self.suite.posterior[wildcards.measured]
        measurement = module_of(f"benchmarks.{MEASUREMENTS}", spec["measurement"])
        return self.sources_of("benchmarks.experiments.posterior", measurement, *self._used(spec["guides"], GUIDES))

    def sources_of_rays(self, wildcards: Any) -> list[str]:
        problem = module_of("benchmarks", self.suite.rays[wildcards.scene]["problem"])
        return self.sources_of("benchmarks.experiments.rays", problem)

    def sources_of_scenes(self) -> list[str]:
        problems = sorted({f"benchmarks.{problem}" for problem, _ in self.scenes.values()})
        return self.sources_of("workflow.tables.scene_landscape", *problems)

    def sources_of_figure(self, wildcards: Any) -> list[str]:
        return self.sources_of("workflow.figures.__main__", f"workflow.figures.{wildcards.figure}")

    def sources_of_report(self) -> list[str]:
        folder = ROOT / "workflow" / "report"
        boards = [f"workflow.report.{path.stem}" for path in sorted(folder.glob("board_*.py"))]
        shown = [path for kind in ("page/**/*.*", "*.rst") for path in folder.glob(kind)]
        files = sorted(ours(path.relative_to(ROOT).as_posix()) for path in shown)
        return self.sources_of("workflow.report.__main__", *boards) + files

    @staticmethod
    def _used(entries: dict[str, Any], room: str) -> list[str]:
        algorithms = {entry.get("algorithm", label) for label, entry in entries.items()}
        return [module_of(room, algorithm) for algorithm in sorted(algorithms)]

    # Specifications: everything that decides a job's numbers, as JSON.

    def spec_of_task(self, wildcards: Any) -> str:
        return to_json(self.suite.calibration(wildcards.task))

    def spec_of_cell(self, wildcards: Any) -> str:
        return to_json(self.cells[wildcards.task, wildcards.method])

    def spec_of_tuning(self, wildcards: Any) -> str:
        return to_json(self.tuning[wildcards.task, wildcards.method])

    def spec_of_training(self, wildcards: Any) -> str:
        """How adaptation is measured decides nothing about training."""
        spec = asdict(self.learners[wildcards.family, wildcards.learner])
        return to_json(spec | {"steps": 1, "pictured": 0})

    def spec_of_adaptation(self, wildcards: Any) -> str:
        return to_json(self.learners[wildcards.family, wildcards.learner])

    def spec_of_meta_tuning(self, wildcards: Any) -> str:
        return to_json(self.meta_tuning[wildcards.family, wildcards.learner])

    def spec_of_sampling(self, wildcards: Any) -> str:
        return to_json(self.suite.sampling[wildcards.model])

    def spec_of_diffusion(self, wildcards: Any) -> str:
        return to_json(self.suite.diffusion[wildcards.law])

    def spec_of_posterior(self, wildcards: Any) -> str:
        return to_json(self.suite.posterior[wildcards.measured])

    def spec_of_rays(self, wildcards: Any) -> str:
        return to_json(self.suite.rays[wildcards.scene])

    def options_of_figure(self, wildcards: Any) -> str:
        return to_json(self.suite.figures[wildcards.figure])

    def fingerprint_of_tuning(self) -> str:
        """The tables judge the grids as well, if there are some; nothing is tuned for their sake."""
        path = self.suite.tuned_path and self.suite.tuned_path.with_name("grid.csv")
        return sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""

    # What a job may take.

    def memory_of_task(self, wildcards: Any) -> int:
        return BASE_MIB + ceil(1024 * (self.suite.tasks[wildcards.task].memory_gib or 4))

    def memory_of_family(self, wildcards: Any) -> int:
        return BASE_MIB + ceil(1024 * self.suite.config["families"][wildcards.family].get("memory_gib", 4))

    def minutes_of_cell(self, wildcards: Any) -> int:
        cell = self.cells[wildcards.task, wildcards.method]
        return _minutes(cell.minutes, len(cell.replicates))

    def minutes_of_tuning(self, wildcards: Any) -> int:
        cell = self.tuning[wildcards.task, wildcards.method]
        budgets = search.CELLS * cell.fraction + search.FINALISTS
        return _minutes(cell.minutes, ceil(budgets * len(cell.replicates)))

    def drawing_commands(self) -> str:
        """Return a line per figure, for drawing all of them whatever else exists, and one for the report."""
        folder, names = shlex.quote(self.folder), " ".join(map(shlex.quote, self.suite.figures))
        lines = [
            f"python -m workflow.figures {name} --tables {folder}/tables --options {shlex.quote(to_json(options))}"
            f" --out {folder}/figures/{name}.pdf --record {folder}/logs/figures/{name}.json"
            for name, options in self.suite.figures.items()
        ]
        return "\n".join([*lines, f"python -m workflow.report --results {folder} --figures {names}"])


def _minutes(one: float, runs: int) -> int:
    """Three times what the dearest run admitted may take, for validation and slow machines, and the start."""
    return MINUTES_TO_START + ceil(3 * runs * one)
