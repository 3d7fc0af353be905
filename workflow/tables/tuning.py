"""Tuning grids combined: `python -m workflow.tables.tuning --results results/<suite>` writes tuning/{grid,best}.csv.

Reads tuning/<task>/<method>/grid.parquet. The best cell of a grid has the fewest failed runs, then the lowest median
final loss over those that ended well, then the smaller step. A method keeps its defaults where all of its cells failed,
and where none left the start's loss: on a plateau the smallest step is no choice but a handicap.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.harness.cell import entry
from benchmarks.harness.errors import UsageError
from benchmarks.harness.store import atomic
from benchmarks.harness.tune import TABLE
from workflow.tables.collect import GOOD, read_parquet
from workflow.tables.schema import check

STEPS = ("lr", "sigma", "step")  # in a tie the smaller of these wins, in this order


def read_grids(results: Path) -> pd.DataFrame:
    """Return all tuning runs, one row per grid cell and replicate; raises UsageError where there are none."""
    files = sorted((results / "tuning").glob(f"*/*/{TABLE}"))
    if not files:
        raise UsageError(f"no {TABLE} below {results / 'tuning'}: `snakemake tune` runs the grids")
    tables = [table for file in files if len(table := read_parquet(file, results))]
    return pd.concat(tables, ignore_index=True)


def make_grid(runs: pd.DataFrame) -> pd.DataFrame:
    """Return grid.csv: one row per (task, method, grid cell) with its median and status; `best` marks the chosen."""
    good = runs["status"].isin(GOOD) & runs["loss_final"].notna()
    runs = runs.assign(good=good, final=runs["loss_final"].where(good), reason=runs["reason"].fillna(""))
    keys = ["task", "method", "cell", "choice"]
    grid = (
        runs.groupby(keys, sort=False)
        .agg(
            n_runs=("good", "size"),
            n_ok=("good", "sum"),
            status=("status", lambda column: column.mode().iloc[0]),
            reason=("reason", "first"),
            loss_start=("loss_start", "median"),
            loss_median=("final", "median"),
            cost_median=("cost", "median"),
            wall_s=("wall_s", "median"),
        )
        .reset_index()
    )
    grid["best"] = False
    for _, cells in grid[grid["n_ok"] > 0].groupby(["task", "method"]):
        ends = {_digits(loss) for loss in cells["loss_median"]}
        if len(ends) == 1 and ends == {_digits(loss) for loss in cells["loss_start"]}:
            continue
        grid.loc[min(cells.index, key=lambda index: _order(grid.loc[index])), "best"] = True
    return check(grid, "grid")


def _order(row: pd.Series) -> tuple[Any, ...]:
    choice = json.loads(row["choice"])
    steps = [choice[name] for name in STEPS if name in choice]
    return row["n_runs"] - row["n_ok"], _digits(row["loss_median"]), steps, row["cell"]


def _digits(loss: float) -> float:
    """Return a loss with four digits: what is equal then is a tie."""
    return float(f"{loss:.3e}")


def make_best(grid: pd.DataFrame) -> pd.DataFrame:
    """Return best.csv, long: task, method, parameter, value (as JSON)."""
    rows = [
        {"task": row.task, "method": row.method, "parameter": name, "value": json.dumps(value)}
        for row in grid[grid["best"]].itertuples()
        for name, value in json.loads(row.choice).items()
    ]
    return check(pd.DataFrame(rows, columns=["task", "method", "parameter", "value"]), "best")


def combine(results: Path) -> None:
    """Write tuning/grid.csv and tuning/best.csv; tell which methods keep their defaults."""
    grid = make_grid(read_grids(results))
    for (task, method), cells in grid.groupby(["task", "method"]):
        if not cells["best"].any():
            row = cells.iloc[0]
            why = f"{row['status']}: {row['reason']}" if not cells["n_ok"].any() else "none left the start's loss"
            print(f"{task} {method}: no grid cell stands out ({why}), keeps its defaults")
    for name, table in (("grid", grid), ("best", make_best(grid))):
        with atomic(results / "tuning" / f"{name}.csv") as part:
            table.to_csv(part, index=False)


def main() -> None:
    """Parse the command line and combine."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.tuning", description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    combine(parser.parse_args().results)


if __name__ == "__main__":
    entry(main)
