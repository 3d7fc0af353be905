"""What a suite will take, before anybody submits it: `python -m benchmarks estimate config/desk.yaml`.

Hours, memory and disk per task and per method, from the counts of work that also decide what is too dear
(benchmarks/harness/costs.py). No clock is asked, so every machine prints the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contract.errors import UsageError
from benchmarks.harness.cell import Cell
from benchmarks.harness.costs import MACHINES, Machine, seconds_of, work_of
from workflow.suite import Suite, load_suite

if TYPE_CHECKING:
    from benchmarks.contract.problem import Problem
    from methods._work import Work
    from methods.base import Method

START_S = 3.0  # Python, the libraries, the task: once per job
BASE_GIB = 0.6
NUMBER_BYTES = 4
ROWS = 400  # of a run's curve, at most that many of its loss
ROW_BYTES, PICTURE_BYTES = 24, 12  # per row of curves.parquet; per number of a picture, compressed


@dataclass(frozen=True)
class Estimate:
    """One cell of the grid; `too_dear` and `unsupported` cells have a reason and take no time."""

    task: str
    method: str
    hours: float  # all replicates
    tuning_hours: float
    memory_gib: float
    disk_mib: float
    reason: str = ""


def estimates(suite: Suite, machine: Machine) -> list[Estimate]:
    """Return an estimate per cell of the suite on a machine."""
    from benchmarks.harness.registry import task_class

    tasks: dict[str, Problem | str] = {}
    for label, task in suite.tasks.items():
        try:
            tasks[label] = task_class(task.problem)(device="cpu", **task.params)
        except Exception as error:  # whatever a renderer that is not installed raises: the rest is still of use
            tasks[label] = f"{type(error).__name__}: {error}"
    spent = effort(suite)
    return [estimate(cell, tasks[cell.task], machine, spent) for cell in [*suite.cells, *suite.untuned_cells]]


def effort(suite: Suite) -> Callable[[Cell], float]:
    """Return how many budgets are spent on tuning a cell."""
    from benchmarks.harness.tune import budgets

    tuned = {(cell.task, cell.method): budgets(cell) for cell in suite.tuning_cells}
    return lambda cell: tuned.get((cell.task, cell.method), 0.0)


def estimate(cell: Cell, task: Problem | str, machine: Machine, effort: Callable[[Cell], float]) -> Estimate:
    """Return the estimate of one cell."""
    from benchmarks.contract.parameters import check
    from benchmarks.harness.registry import method_class

    if isinstance(task, str):
        return Estimate(cell.task, cell.method, 0.0, 0.0, 0.0, 0.0, f"the task could not be built here: {task}")
    method: type[Method] = method_class(cell.algorithm)
    params = check(method.setup, cell.params, f"method {cell.method!r} ({cell.algorithm})")
    space = task.space(0, cell.evaluations)
    work: Work = work_of(task, method, params, space)
    seconds = seconds_of(work, machine)
    reason = method.unsupported(space, **params) or ""
    if not reason and seconds > 60 * cell.minutes:
        reason = f"too dear: {seconds / 3600:.3g} h a run"
    if reason:
        return Estimate(cell.task, cell.method, 0.0, 0.0, 0.0, 0.0, reason)
    batch = min(space.max_batch, 32)
    kept = work.kept * NUMBER_BYTES
    memory = BASE_GIB + (kept + batch * (task.bytes_per_candidate or 16 * task.dim)) / 2**30
    disk = len(cell.replicates) * (ROWS * ROW_BYTES + PICTURE_BYTES * min(task.dim, 200_000)) / 2**20
    return Estimate(
        cell.task,
        cell.method,
        (START_S + len(cell.replicates) * seconds) / 3600,
        effort(cell) * seconds / 3600,
        memory,
        disk,
    )


def table(found: list[Estimate], by: str) -> str:
    """Return the sums over a task's or a method's cells as lines of text, the dearest first."""
    groups: dict[str, list[Estimate]] = {}
    for item in found:
        groups.setdefault(getattr(item, by), []).append(item)
    rows = sorted(groups.items(), key=lambda pair: -sum(item.hours + item.tuning_hours for item in pair[1]))
    lines = [f"{by:<32}{'cells':>6}{'left out':>10}{'hours':>10}{'tuning h':>10}{'GiB':>8}{'MiB disk':>10}"]
    for name, items in rows:
        left_out = sum(bool(item.reason) for item in items)
        lines.append(
            f"{name:<32}{len(items):>6}{left_out:>10}{sum(item.hours for item in items):>10.3f}"
            f"{sum(item.tuning_hours for item in items):>10.3f}{max(item.memory_gib for item in items):>8.2f}"
            f"{sum(item.disk_mib for item in items):>10.1f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and print the estimate."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks estimate", description=__doc__)
    parser.add_argument("config", type=Path, help="a suite's file")
    parser.add_argument("--on", choices=[*MACHINES, "both"], help="what to estimate for; default: both")
    parser.add_argument("--left-out", action="store_true", help="list the cells that are left out, with the reason")
    given = parser.parse_args(arguments)
    suite = load_suite(given.config)
    if not suite.cells:
        raise UsageError(f"{given.config}: it has learners only; estimates are for tasks and methods")
    names = list(MACHINES) if given.on in (None, "both") else [given.on]
    for name in names:
        machine = MACHINES[name]
        found = estimates(suite, machine)
        hours, tuning = sum(item.hours for item in found), sum(item.tuning_hours for item in found)
        left_out = sum(bool(item.reason) for item in found)
        print(
            f"{suite.name} on {machine.name}: {hours:.2f} hours, tuning {tuning:.2f} hours, one job at a time; "
            f"{max(item.memory_gib for item in found):.1f} GiB at most, {sum(item.disk_mib for item in found):.0f} MiB "
            f"of disk; {len(found)} cells, {left_out} left out"
        )
        for by in ("task", "method"):
            print(f"\n{table(found, by)}")
        if given.left_out:
            print("\nleft out")
            print("\n".join(f"{item.task} {item.method}: {item.reason}" for item in found if item.reason))
        print()
