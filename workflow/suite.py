"""A suite's config file, checked and expanded into tasks, cells and figures.

Imports neither torch nor a task or method: the Snakefile calls this every time it is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.contract.reading import read_yaml
from benchmarks.harness.cell import Cell
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.sources import ROOT
from benchmarks.harness.tune import TuningCell
from workflow.extends import Reference, extended, found_here
from workflow.places import check_places
from workflow.tuned import read_tuned
from workflow.validate import BRDF_MODELS, UNTUNED, check_names, check_schema

TUNING_CHECKPOINTS = 3
MINUTES = 10.0  # that a run may be predicted to take where a suite says nothing
# figure → tasks it defaults to
PICTURED = {"gallery": None, "worlds": None, "scenes": "rendering.sphere", "rendering": "rendering."}


@dataclass(frozen=True)
class Task:
    """A task under its label, with what one run may spend on it."""

    label: str
    problem: str  # world.task
    params: dict[str, Any]
    evaluations: int
    minutes: float
    memory_gib: float | None


@dataclass(frozen=True)
class Suite:
    """One config file."""

    path: Path
    config: Mapping[str, Any]
    stated: Mapping[str, Any] | None = None  # what the file says, where it extends another

    @property
    def own(self) -> Mapping[str, Any]:
        """Return what the file itself says."""
        return self.config if self.stated is None else self.stated

    @cached_property
    def reference(self) -> Reference | None:
        """Return the stored results that this suite compares with."""
        return Reference(found_here(self.own["reference"])) if "reference" in self.own else None

    def misfit(self, task: str) -> str:
        """Return why nothing stored of a task can be used, "" where it can."""
        found = self.tasks[task]
        return self.reference.misfit(task, found.problem, found.params, found.evaluations) if self.reference else "-"

    @property
    def name(self) -> str:
        return self.config["suite"]

    @property
    def folder(self) -> Path:
        """Return the folder of everything that this suite produces."""
        return Path(self.config.get("results", "results")).expanduser() / self.name

    @property
    def seeds(self) -> int:
        return self.config["seeds"]

    @property
    def first_seed(self) -> int:
        return self.config.get("first_seed", 0)

    def replicates(self, count: int | None = None) -> list[int]:
        """Return the numbers of the comparison's replicates, of as many as the suite says or another count."""
        return list(range(self.first_seed, self.first_seed + (self.seeds if count is None else count)))

    @property
    def device(self) -> str:
        return self.config.get("device", "cpu")

    @property
    def threads(self) -> int:
        return self.config.get("threads", 1)

    @property
    def figures(self) -> Mapping[str, dict[str, Any]]:
        """Return figure → options."""
        return self.config.get("figures", {})

    @property
    def pictured(self) -> list[str]:
        """Return the tasks that the suite's figures show pictures of."""
        found: dict[str, None] = {}
        for figure, problems in PICTURED.items():
            if figure not in self.figures:
                continue
            default = [label for label, task in self.tasks.items() if problems and task.problem.startswith(problems)]
            found.update(dict.fromkeys(self.figures[figure].get("tasks") or default))
        return list(found)

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Return label → task."""
        limits = {"minutes": MINUTES, "memory_gib": None, **self.config.get("limits", {})}
        return {
            label: Task(
                label,
                entry["problem"],
                entry.get("params", {}),
                **{key: entry.get(key, default) for key, default in limits.items()},
            )
            for label, entry in self.config.get("tasks", {}).items()
        }

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the (task, method) labels that meet and are not stored yet, in the config's order."""
        found = {}
        for block in self.config.get("grid", []):
            found.update(dict.fromkeys((task, method) for task in block["tasks"] for method in block["methods"]))
        stored = self.reference.scores if self.reference else {}
        fitting = {task for task, _ in found if not self.misfit(task)}
        return [pair for pair in found if pair not in stored or pair[0] not in fitting]

    @cached_property
    def cells(self) -> list[Cell]:
        """Return the cells of the comparison, with tuned parameters where there are some."""
        return [self._cell(task, method, self.tuned_params(task, method)) for task, method in self.pairs]

    @cached_property
    def elsewhere(self) -> dict[str, set[tuple[str, str]]]:
        """Return the suites that have what is too dear here: file → the pairs (task, method) that meet there."""
        found = {}
        for name in self.config.get("elsewhere", []):
            path = Path(name) if Path(name).is_file() else ROOT / name
            blocks = read_yaml(path).get("grid", [])
            found[name] = {(task, method) for block in blocks for task in block["tasks"] for method in block["methods"]}
        return found

    @cached_property
    def untuned_cells(self) -> list[Cell]:
        """Return the cells of the track without tuning: the same comparison, every method with its defaults."""
        block = self.config.get("untuned", {"tasks": [], "methods": []})
        return [
            replace(self._cell(task, method, {}), method=f"{method}{UNTUNED}", improvements=False)
            for task in block["tasks"]
            for method in block["methods"]
        ]

    @property
    def never_tuned(self) -> set[str]:
        """Return the tasks on which nobody is tuned."""
        return set(self.config.get("tuning", {}).get("except", []))

    @cached_property
    def tuning_cells(self) -> list[TuningCell]:
        """Return the cells that the target `tune` works on; their replicates count from 0, the harness shifts them."""
        effort = self.config.get("tuning", {})
        fraction = effort.get("fraction", 1)
        untuned = (
            self._cell(task, method, {})
            for task, method in self.pairs
            if "tuned_as" not in self.config["methods"][method] and task not in self.never_tuned
        )
        return [
            TuningCell(
                **{
                    **vars(cell),
                    "replicates": list(range(effort.get("seeds", 1))),
                    "checkpoints": TUNING_CHECKPOINTS,
                    "fraction": fraction,
                }
            )
            for cell in untuned
        ]

    @cached_property
    def meta_cells(self) -> list[MetaCell]:
        """Return every learner on every family that it meets, with tuned parameters where there are some."""
        found = {}
        for block in self.config.get("adaptations", []):
            for family in block["families"]:
                for learner in block["learners"]:
                    params = self.tuned_params(family, learner)
                    found[family, learner] = self._meta_cell(family, learner, block["steps"], params)
        return list(found.values())

    @cached_property
    def meta_tuning_cells(self) -> list[MetaCell]:
        """Return the like for the target `tune`; their replicates count from 0, the harness shifts them."""
        effort = self.config.get("tuning", {})
        fraction, seeds = effort.get("fraction", 1), effort.get("seeds", 1)
        return [
            replace(
                self._meta_cell(cell.family, cell.learner, cell.steps, {}),
                training_samples=max(1, round(fraction * cell.training_samples)),
                training_seconds=cell.training_seconds and fraction * cell.training_seconds,
                replicates=list(range(seeds)),
            )
            for cell in self.meta_cells
            if "tuned_as" not in self.config["learners"][cell.learner]
        ]

    def _meta_cell(self, family: str, learner: str, steps: int, tuned: Mapping[str, Any]) -> MetaCell:
        where, who = self.config["families"][family], self.config["learners"][learner]
        return MetaCell(
            suite=self.name,
            family=family,
            world=where.get("family", family),
            learner=learner,
            algorithm=who.get("algorithm", learner),
            steps=steps,
            training_samples=where["training"]["samples"],
            training_seconds=where["training"].get("seconds"),
            replicates=self.replicates(where.get("seeds")),
            family_params=where.get("params", {}),
            params={**tuned, **who.get("params", {})},
            pictured=where.get("pictured", 2),
            device=self.device,
            threads=self.threads,
        )

    @property
    def sampling(self) -> dict[str, dict[str, Any]]:
        """Return model of a BRDF → what `benchmarks.experiments.sampling` is told about it."""
        if "sampling" not in self.config:
            return {}
        given = dict(self.config["sampling"])
        seeds, models = self.replicates(given.pop("seeds", None)), given.pop("models", BRDF_MODELS)
        facts = {"suite": self.name, "device": self.device, "threads": self.threads, "seeds": seeds}
        return {model: {**given, **facts, "models": [model]} for model in models}

    @property
    def diffusion(self) -> dict[str, dict[str, Any]]:
        """Return task → what `benchmarks.experiments.diffusion` is told about it."""
        return self._per_task("diffusion", "law")

    @property
    def posterior(self) -> dict[str, dict[str, Any]]:
        """Return task → what `benchmarks.experiments.posterior` is told about it."""
        return self._per_task("posterior", "measurement")

    @property
    def rays(self) -> dict[str, dict[str, Any]]:
        """Return scene → what `benchmarks.experiments.rays` is told about it."""
        return self._per_task("rays", "problem")

    def _per_task(self, block: str, file: str) -> dict[str, dict[str, Any]]:
        if block not in self.config:
            return {}
        given = dict(self.config[block])
        tasks = given.pop("tasks")
        facts = {"suite": self.name, "device": self.device, "threads": self.threads, "seeds": self.replicates()}
        return {label: {**given, **facts, "task": label, file: label, **task} for label, task in tasks.items()}

    def tuned_params(self, task: str, method: str) -> dict[str, Any]:
        """Return the tuned parameters of a method (learner), those of the one it is `tuned_as` where it says so."""
        known = {**self.config.get("methods", {}), **self.config.get("learners", {})}
        label = known[method].get("tuned_as", method)
        return self.tuned.get((task, label), {})

    @cached_property
    def tuned(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return (task, method) → tuned parameters; empty while the table is missing."""
        path = self.tuned_path
        return read_tuned(path) if path is not None and path.is_file() else {}

    @property
    def tuned_path(self) -> Path | None:
        """Return the table of tuned parameters, the checkout's where the working directory has none."""
        if "tuned" not in self.config:
            return None
        path = Path(self.config["tuned"]).expanduser()
        return path if path.is_file() or not (ROOT / path).is_file() else ROOT / path

    def _cell(self, task: str, method: str, tuned: Mapping[str, Any]) -> Cell:
        where, who = self.tasks[task], self.config["methods"][method]
        return Cell(
            suite=self.name,
            task=task,
            problem=where.problem,
            method=method,
            algorithm=who.get("algorithm", method),
            evaluations=where.evaluations,
            minutes=where.minutes,
            replicates=self.replicates(),
            problem_params=where.params,
            params={**tuned, **who.get("params", {})},
            device=self.device,
            threads=self.threads,
            memory_gib=where.memory_gib,
            checkpoints=self.config.get("checkpoints", 30),
            elsewhere=next((path for path, pairs in self.elsewhere.items() if (task, method) in pairs), ""),
        )

    def calibration(self, task: str) -> dict[str, Any]:
        """Return what `benchmarks.harness.calibrate` is told about a task."""
        return {
            "task": task,
            "problem": self.tasks[task].problem,
            "problem_params": self.tasks[task].params,
            "replicates": self.replicates(),
            "device": self.device,
            "threads": self.threads,
        }


def to_json(spec: Any) -> str:
    """Return a specification as the one string that the same settings always give."""
    return json.dumps(spec if isinstance(spec, Mapping) else asdict(spec), sort_keys=True)


def load_suite(path: Path | str) -> Suite:
    """Read, check and expand a suite's config file; raises UsageError naming file and key."""
    stated = read_yaml(path)
    if isinstance(stated, Mapping) and "extends" in stated:
        suite = Suite(Path(path), extended(stated, str(path)), stated)
    else:
        suite = Suite(Path(path), stated)
    check_schema(suite.config, str(path))
    check_places(suite)
    check_names(suite)
    return suite
