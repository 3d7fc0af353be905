"""The same tuning effort for every method on every task, on replicates of their own (benchmarks/harness/search.py).

`python -m benchmarks.harness.tune --spec JSON --out FOLDER`: SPEC as for a cell, with the share of the budget that a
run of the first round gets; its replicates are shifted out of the comparison's range.
"""

from __future__ import annotations

import argparse
import math
import statistics
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import SECOND_ROUND, TUNING_REPLICATES
from benchmarks.contract.statuses import GOOD
from benchmarks.harness.cell import RUNS, Cell, Piece, bury, guard_of, read_replicate, replicate_file, run_cell
from benchmarks.harness.job import Job, entry, watched
from benchmarks.harness.kept import load_table, write_table
from benchmarks.harness.phases import Phases
from benchmarks.harness.search import CELLS, FINALISTS, Choice, Trial, finalists, next_choice, text_of
from benchmarks.harness.watch import Death

TABLE = "grid.parquet"


@dataclass(frozen=True)
class TuningCell(Cell):
    """A cell with its full budget, and the share of it that a run of the first round gets."""

    fraction: float = 1.0

    def run(self, choice: Choice, second: bool) -> Cell:
        """Return the cell that tries this choice in the first or second round."""
        facts = {item.name: getattr(self, item.name) for item in fields(Cell)}
        shift = TUNING_REPLICATES + SECOND_ROUND * second
        return Cell(**facts | {
            "evaluations": self.evaluations if second else max(1, round(self.fraction * self.evaluations)),
            "minutes": self.minutes * (1.0 if second else self.fraction),  # what is too dear is not tuned either
            "replicates": [shift + replicate for replicate in self.replicates],
            "params": {**self.params, **choice},
            "improvements": False,
        })  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One cell of the search: its number, its round, what it tries and where its runs are kept."""

    number: int
    round: int
    choice: Choice
    piece: Piece


def budgets(cell: TuningCell) -> float:
    """Return what tuning a method costs, over its replicates, in budgets of the comparison."""
    from benchmarks.harness.registry import method_class

    return (CELLS * cell.fraction + FINALISTS) * len(cell.replicates) if method_class(cell.algorithm).grid else 0.0


def steps_of(cell: TuningCell, out: Path, known: dict[int, Trial] | None = None) -> list[Step]:
    """Return the steps of the search up to the first that is not done yet; `known` keeps what was found done."""
    known = {} if known is None else known
    from benchmarks.contract.parameters import defaults
    from benchmarks.harness.registry import method_class

    method = method_class(cell.algorithm)
    axes = dict(method.grid)
    params = {**defaults(method.setup), **cell.params}
    own = {name: params[name] for name in axes}
    steps: list[Step] = []
    tried: list[Trial] = []
    while (choice := next_choice(axes, own, tried, partial(_allowed, method.setup))) is not None:
        number = len(steps)
        steps.append(Step(number, 1, choice, Piece(cell.run(choice, second=False), out / f"cell_{number}")))
        if not done(steps[-1], known):
            return steps
        tried.append(known[number])
    for choice in finalists(tried):
        number = len(steps)
        steps.append(Step(number, 2, choice, Piece(cell.run(choice, second=True), out / f"cell_{number}")))
        if not done(steps[-1], known):
            return steps
    return steps


def _allowed(setup: Any, choice: Choice) -> bool:
    from benchmarks.contract.parameters import check

    try:
        check(setup, choice, "tuning")
    except UsageError:
        return False
    return True


def done(step: Step, known: dict[int, Trial]) -> bool:
    """Tell whether a step's replicates are all there, of this code and these settings; add how it ended to `known`."""
    if step.number in known:
        return True
    mark, rows = step.piece.cell.fingerprint(), []
    for replicate in step.piece.cell.replicates:
        stored = read_replicate(replicate_file(step.piece.out, replicate), mark)[0]
        if stored is None:
            return False
        rows.append(stored["row"])
    ends = [row["loss_final"] for row in rows if row["status"] in GOOD and math.isfinite(row["loss_final"])]
    starts = [row["loss_start"] for row in rows if math.isfinite(row["loss_start"])]
    known[step.number] = Trial(
        step.choice,
        len(rows) - len(ends),
        statistics.median(ends) if ends else math.nan,
        statistics.median(starts) if starts else math.nan,
    )
    return True


def tune(cell: TuningCell, out: Path, phases: Phases | None = None) -> None:
    """Search, and store one row per cell of the search and replicate."""
    import pandas as pd

    known: dict[int, Trial] = {}
    while (steps := steps_of(cell, out, known)) and not done(steps[-1], known):
        run_cell(steps[-1].piece.cell, steps[-1].piece.out, phases, steps[-1].number)
    tables = []
    for step in steps:
        run_cell(step.piece.cell, step.piece.out, phases, step.number)  # writes a table that was lost
        runs = load_table(step.piece.out / RUNS)
        tables.append(runs.assign(round=step.round, cell=step.number, choice=text_of(step.choice)))
    write_table(out / TABLE, pd.concat(tables) if tables else pd.DataFrame())


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    cell, out = TuningCell.from_json(arguments.spec), arguments.out

    def bury_what_ran(death: Death) -> int:
        return bury([step.piece for step in steps_of(cell, out)], death)

    return Job(partial(tune, cell, out), bury_what_ran, guard_of(cell), cell.device, cell.threads)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
