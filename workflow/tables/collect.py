"""Read what the cells of a suite left behind: exactly those that the config asks for, nothing that lies about."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.harness import calibrate, cell
from benchmarks.harness.cell import Cell
from benchmarks.harness.kept import Damaged, load_json, load_table
from benchmarks.harness.sources import short
from workflow.tables.schema import check, schema

Content = TypeVar("Content")


def read_parquet(path: Path, results: Path) -> pd.DataFrame:
    """Read a table of a cell.

    Raises:
        UsageError: it is missing or damaged; names the file and how to compute it again.
    """
    return read_kept(load_table, path, results)


def read_kept(load: Callable[..., Content], path: Path, results: Path) -> Content:
    """Return what `load` makes of a file of a cell; raises UsageError as `read_parquet` does."""
    try:
        return load(path)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: {_way_out(path, results)}") from None
    except Damaged as error:
        raise UsageError(f"{error}: delete it; {_way_out(path, results)}") from None


def _way_out(path: Path, results: Path) -> str:
    return f"`snakemake --cores all --configfile config/{results.name}.yaml -- {shlex.quote(str(path))}` makes it again"


def read_tasks(suite: str, tasks: Iterable[str], results: Path) -> pd.DataFrame:
    """Return tasks.csv: what calibration measured of these tasks, one row each."""
    rows = []
    for task in tasks:
        path = results / "tasks" / task / calibrate.ROW
        row = read_kept(load_json, path, results)
        rows.append({"suite": suite, **{key: value for key, value in row.items() if key != "gradients"}})
    return check(pd.DataFrame(rows), "tasks")


def read_gradients(suite: str, tasks: Iterable[str], results: Path) -> pd.DataFrame:
    """Return gradients.csv: each gradient of these tasks against central differences."""
    rows = [
        {"suite": suite, "task": task, **row}
        for task in tasks
        for row in read_kept(load_json, results / "tasks" / task / calibrate.ROW, results).get("gradients", [])
    ]
    return check(pd.DataFrame(rows, columns=list(schema("gradients")["columns"])), "gradients")


def read_runs(cells: Sequence[Cell], results: Path) -> pd.DataFrame:
    """Return runs.parquet: one row per cell and replicate, with the algorithm's name beside the label."""
    tables = []
    for item in cells:
        table = read_parquet(results / "runs" / item.task / item.method / cell.RUNS, results)
        tables.append(table.assign(algorithm=short(item.algorithm)))
    runs = _concatenate(tables)
    return check(runs, "runs")


def read_curves(cells: Sequence[Cell], results: Path) -> pd.DataFrame:
    """Return curves.parquet: the long table of everything logged at checkpoints."""
    tables = [read_parquet(results / "runs" / item.task / item.method / cell.CURVES, results) for item in cells]
    return check(_concatenate(tables), "curves")


def _concatenate(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Stack tables, leaving out empty ones (cells that could not run), which would spoil the columns' types."""
    full = [table for table in tables if len(table)]
    return pd.concat(full or tables[:1], ignore_index=True) if tables else pd.DataFrame()
