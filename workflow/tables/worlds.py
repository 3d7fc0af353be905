"""How pictures of a task become what they become: `python -m workflow.tables.worlds --config FILE --results FOLDER`.

Writes worlds.npz: of each task that the figure `worlds` shows, the picture of the rival with the smallest median gap
after shares of its evaluations, and that of random search at its end. The first replicate is run again in the harness's
own loop with the same seeds and parameters, so these are the incumbents of the stored run; last pictures are the stored
ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.contract.parameters import check
from benchmarks.contract.problem import Problem
from benchmarks.contract.seeds import derive
from benchmarks.harness.budget import Budget
from benchmarks.harness.cell import Cell
from benchmarks.harness.clock import Clock
from benchmarks.harness.job import entry, limit_threads, to_bytes
from benchmarks.harness.kept import write_pictures
from benchmarks.harness.loop import Limits, Run
from benchmarks.harness.registry import method_class, task_class
from methods.base import Stopped
from workflow.suite import Suite, load_suite
from workflow.tables.certificates import make_certificates
from workflow.tables.pictures import Pictures, read_pictures
from workflow.tables.scores import CONTROL
from workflow.tables.written import read_written

SHARES = (0.02, 0.1, 0.3)  # of the evaluations
FIGURE = "worlds"


def make_worlds(suite: Suite, results: Path) -> Pictures:
    """Return `<task>/<method>/<evaluations>` → picture of bytes."""
    tasks, scores = (read_written(results / "tables" / name) for name in ("tasks.csv", "scores.csv"))
    best = make_certificates(tasks, scores).set_index("task")["best"]
    cells = {(cell.task, cell.method): cell for cell in suite.cells}
    found: Pictures = {}
    last = read_pictures(results / "tables" / "pictures.npz")
    for task in suite.figures[FIGURE].get("tasks") or list(suite.tasks):
        for method in [] if pd.isna(best.get(task)) else [best[task], CONTROL]:
            cell, final = cells.get((task, method)), last.get(f"{task}/{method}")
            if cell is None or final is None:
                continue
            if method != CONTROL:
                found |= {f"{task}/{method}/{at}": item for at, item in pictures(cell, SHARES)}
            found[f"{task}/{method}/{cell.evaluations}"] = final
    return found


def pictures(cell: Cell, shares: tuple[float, ...]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (evaluations, picture) of a cell's first replicate after these shares of its budget."""
    problem = task_class(cell.problem)(device=cell.device, **cell.problem_params)
    run = begin(cell, problem)
    pending = [max(1, round(share * cell.evaluations)) for share in shares]
    going = True
    while pending and going:
        try:
            going = run.step()
        except Stopped:  # nothing is left to gain
            going = False
        while pending and (run.budget.cost >= pending[0] or not going):
            z = run.method.space.project(run.method.incumbent())
            with torch.no_grad():
                picture = problem.image(z)
            if picture is not None:
                yield pending[0], to_bytes(picture)
            pending.pop(0)


def begin(cell: Cell, problem: Problem) -> Run:
    """Return the cell's first replicate before its first step."""
    kind, replicate = method_class(cell.algorithm), min(cell.replicates)
    space = problem.space(derive(cell.task, "start", replicate), cell.evaluations)
    seed = derive(cell.task, cell.method, replicate)
    method = kind(space, seed, **check(kind.setup, cell.params, cell.method))
    budget, clock = Budget(cell.evaluations, problem.grad_cost), Clock(problem.device)
    return Run(problem, method, budget, clock, Limits(cell.evaluations, float("inf")), seed, [], improvements=False)


def main() -> None:
    """Parse the command line, run, write."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.worlds", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="config/<suite>.yaml")
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    given = parser.parse_args()
    suite = load_suite(given.config)
    limit_threads(suite.threads)
    write_pictures(given.results / "tables" / "worlds.npz", make_worlds(suite, given.results))


if __name__ == "__main__":
    entry(main)
