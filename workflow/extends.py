"""A suite that extends another and compares with its stored results: what it takes over, and what of it is stored.

Imports neither torch nor pandas: the Snakefile calls this every time it is parsed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check
from benchmarks.contract.reading import read_yaml
from benchmarks.harness.sources import ROOT, module_of, short
from workflow.signature import setup_of
from workflow.validate import EXTENSION, check_schema

INHERITED = ("seeds", "first_seed", "device", "threads", "checkpoints", "limits", "elsewhere", "tuning")


def extended(own: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the whole config of a suite that extends another.

    Raises:
        UsageError: a key that the other suite decides, a label that means something else there, nothing stored.
    """
    check_schema(own, path, EXTENSION)
    base = read_yaml(found_here(own["extends"]))
    check_schema(base, own["extends"])
    if "tasks" not in base:
        raise UsageError(f"{path}: extends: {own['extends']} has no tasks; extend a suite of tasks and methods")
    for kind in ("tasks", "methods"):
        for label, entry in own.get(kind, {}).items():
            if entry != base[kind].get(label, entry):
                raise UsageError(f"{path}: {kind}.{label}: means something else in {own['extends']}; rename yours")
    stored = Reference(found_here(own["reference"]))
    tasks, methods = ({**base[kind], **own.get(kind, {})} for kind in ("tasks", "methods"))
    config = {
        **{key: base[key] for key in INHERITED if key in base},
        **{key: own[key] for key in ("suite", "results", "figures") if key in own},
        "tasks": tasks,
        "methods": methods,
        "seeds": min(base["seeds"], stored.seeds),
        "grid": own.get("grid") or default_grid(own, base),
    }
    if "tuned" in base:
        config["tuned"] = f"{own.get('results', 'results')}/{own['suite']}/tuning/best.csv"
    return config


def default_grid(own: Mapping[str, Any], base: Mapping[str, Any]) -> list[dict[str, list[str]]]:
    """Return the grid in which one's own methods meet all tasks, and all methods one's own tasks."""
    tasks, methods = list(own.get("tasks", {})), list(own.get("methods", {}))
    grid = [{"tasks": [*base["tasks"], *tasks], "methods": methods}] if methods else []
    return grid + ([{"tasks": tasks, "methods": [*base["methods"]]}] if tasks else [])


def found_here(name: str) -> Path:
    """Return a path of the working directory, or the checkout's where there is none."""
    path = Path(name).expanduser()
    return path if path.exists() or not (ROOT / path).exists() else ROOT / path


@dataclass(frozen=True)
class Reference:
    """A folder of stored results, as far as its CSV tables tell."""

    folder: Path

    @cached_property
    def tasks(self) -> dict[str, dict[str, str]]:
        """Return label → row of tasks.csv."""
        return {row["task"]: row for row in self._rows("tasks")}

    @cached_property
    def scores(self) -> dict[tuple[str, str], dict[str, str]]:
        """Return (task, method) → row of scores.csv."""
        return {(row["task"], row["method"]): row for row in self._rows("scores")}

    @cached_property
    def seeds(self) -> int:
        """Return how many replicates most cells have."""
        return max(int(row["n_runs"]) for row in self.scores.values())

    def _rows(self, name: str) -> list[dict[str, str]]:
        path = self.folder / "tables" / f"{name}.csv"
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            raise UsageError(f"reference: {path}: {error.strerror}; name a folder of stored results") from error
        if not rows:
            raise UsageError(f"reference: {path} has no rows; name a folder of stored results")
        return rows

    def misfit(self, label: str, problem: str, params: Mapping[str, Any], evaluations: int) -> str:
        """Return why what is stored of a task is of no use here: in which number it differs; "" where it fits."""
        if label not in self.tasks:
            return "not stored"
        row = self.tasks[label]
        if row["problem"] != short(problem):
            return f"problem {row['problem']} there, {short(problem)} here"
        there, setup = json.loads(row["params"]), setup_of(module_of("benchmarks", problem))
        here = check(setup, params, problem) if setup else dict(params)
        for name in sorted(there | here):
            if there.get(name) != here.get(name):
                return f"parameter {name} {there.get(name, 'unknown')} there, {here.get(name, 'unknown')} here"
        budgets = {int(item["budget"]) for (task, _), item in self.scores.items() if task == label}
        if budgets != {evaluations}:
            return f"budget {', '.join(map(str, sorted(budgets)))} there, {evaluations} here"
        return ""
