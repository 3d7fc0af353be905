"""Tuning combined: `python -m workflow.tables.tuning --results results/<suite>` writes tuning/{grid,best}.csv.

Reads tuning/<task>/<method>/grid.parquet. What is chosen follows from grid.csv alone, by the rule of
benchmarks/harness/search.py. A method keeps its defaults where all that it tried failed or none left the start's loss.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.contract.statuses import GOOD
from benchmarks.harness.job import entry
from benchmarks.harness.search import Trial, chosen, text_of
from benchmarks.harness.store import atomic
from benchmarks.harness.tune import TABLE
from workflow.tables.collect import read_parquet
from workflow.tables.schema import check


def read_grids(results: Path) -> pd.DataFrame:
    """Return all tuning runs, one row per cell of a search and replicate; raises UsageError where there are none."""
    files = sorted((results / "tuning").glob(f"*/*/{TABLE}"))
    if not files:
        raise UsageError(f"no {TABLE} below {results / 'tuning'}: `snakemake tune` runs the grids")
    tables = [table for file in files if len(table := read_parquet(file, results))]
    return pd.concat(tables, ignore_index=True)


def make_grid(runs: pd.DataFrame) -> pd.DataFrame:
    """Return grid.csv: one row per (task, method, cell) with its median and status; `best` marks the chosen."""
    good = runs["status"].isin(GOOD) & runs["loss_final"].notna()
    runs = runs.assign(good=good, final=runs["loss_final"].where(good), reason=runs["reason"].fillna(""))
    grid = (
        runs.groupby(["task", "method", "round", "cell", "choice"], sort=False)
        .agg(
            n_runs=("good", "size"),
            n_ok=("good", "sum"),
            status=("status", lambda column: column.mode().iloc[0]),
            reason=("reason", "first"),
            loss_start=("loss_start", "median"),
            loss_median=("final", "median"),
            cost=("cost", "sum"),
            wall_s=("wall_s", "sum"),
        )
        .reset_index()
    )
    effort = grid.groupby("task")["cost"].transform("sum")
    grid["share"] = (grid["cost"] / effort.where(effort > 0)).fillna(0.0)
    return check(mark_best(grid), "grid")


def mark_best(grid: pd.DataFrame) -> pd.DataFrame:
    """Return the grid with the column `best` that its other columns imply."""
    grid = grid.assign(best=False)
    for _, cells in grid.groupby(["task", "method"]):
        rounds = [[trial_of(row) for row in cells[cells["round"] == number].itertuples()] for number in (1, 2)]
        choice = chosen(*rounds)
        if choice is not None:
            last = cells[cells["round"] == cells["round"].max()]
            grid.loc[last.index[last["choice"] == text_of(choice)], "best"] = True
    return grid


def trial_of(row: Any) -> Trial:
    """Return a row of grid.csv as the search sees it."""
    return Trial(json.loads(row.choice), row.n_runs - row.n_ok, row.loss_median, row.loss_start)


def make_best(grid: pd.DataFrame) -> pd.DataFrame:
    """Return best.csv, long: task, method, parameter, value (as JSON)."""
    rows = [
        {"task": row.task, "method": row.method, "parameter": name, "value": json.dumps(value)}
        for row in grid[grid["best"]].itertuples()
        for name, value in json.loads(row.choice).items()
    ]
    return check(pd.DataFrame(rows, columns=["task", "method", "parameter", "value"]), "best")


def combine(results: Path) -> None:
    """Write tuning/grid.csv and tuning/best.csv; tell what each method spent and which keep their defaults."""
    grid = make_grid(read_grids(results))
    for (task, method), cells in grid.groupby(["task", "method"], sort=False):
        told = (
            f"{task} {method}: {cells['cost'].sum():.0f} evaluations, {cells['share'].sum():.1%} of the task's effort"
        )
        if not cells["best"].any():
            row = cells.iloc[0]
            why = f"{row['status']}: {row['reason']}" if not cells["n_ok"].any() else "nothing left the start's loss"
            told += f"; keeps its defaults ({why})"
        print(told)
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
