"""Stored results beside fresh ones: only rows whose task, parameters and budget are the same in every number.

Seconds of another machine than the fresh runs' are left out, so that no table or figure can put the two on one axis.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.harness.sources import short
from workflow.suite import Suite
from workflow.tables.pictures import Pictures, read_pictures
from workflow.tables.schema import check, schema
from workflow.tables.written import read_written

FRESH, STORED = "fresh", "stored"
SAME = 1e-5  # relative to the start: two validations of one point may differ by this
SECONDS = ["wall_s", "setup_s", "ask_s", "eval_s", "tell_s"]
OLDER = {"phase": "", "n_steps": 0}  # columns that older tables lack


@dataclass(frozen=True)
class Stored:
    """The rows that can be used, and what became of all."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    pictures: Pictures
    reference: pd.DataFrame  # reference.csv


def read_stored(suite: Suite, tasks: pd.DataFrame, fresh: pd.DataFrame) -> Stored:
    """Return what the suite's reference has of these tasks.

    Args:
        suite: It compares with a reference.
        tasks: tasks.csv as measured here: starts and floors have to be the stored ones.
        fresh: runs.parquet of what ran here.
    """
    folder = suite.reference.folder / "tables"
    runs, curves = (read_written(folder / name) for name in ("runs.parquet", "curves.parquet"))
    runs = runs[runs["task"].isin(tasks["task"])]
    known = tasks.set_index("task")
    reasons = {task: suite.misfit(task) or _moved(suite.reference.tasks[task], known.loc[task]) for task in known.index}
    tried = tuning_cells(suite.reference.folder)
    rows, used = [], []
    for (task, method), cell in runs.groupby(["task", "method"], sort=False):
        reason = reasons[task] or _misfit(suite, str(method), cell)
        if not reason and (task, method) in suite.pairs:
            reason = "run anew"
        cell = cell[cell["seed"].isin(suite.replicates())]
        facts = {name: ", ".join(map(str, cell[name].dropna().unique())) for name in ("commit", "device")}
        facts |= {"n_rows": len(cell), "tuning_cells": tried.get((task, method), 0)}
        rows.append({"task": task, "method": method, "used": not reason, "reason": reason, **facts})
        used += [] if reason else [cell]
    reference = check(pd.DataFrame(rows, columns=list(schema("reference")["columns"])), "reference")
    runs = pd.concat(used) if used else runs.iloc[:0]
    keys = ["task", "method", "seed"]
    curves = curves[pd.MultiIndex.from_frame(curves[keys]).isin(pd.MultiIndex.from_frame(runs[keys]))]
    runs, curves = _without_foreign_seconds(runs, curves, fresh)
    where = runs["commit"].fillna("an unknown commit") + " on " + runs["device"]
    runs = runs.assign(source=f"{STORED}: {suite.reference.folder.name} at " + where, suite=suite.name)
    for name, value in OLDER.items():
        runs[name] = runs[name].fillna(value) if name in runs else value
    pictures = _pictures(folder, set(zip(runs["task"], runs["method"], strict=True)))
    return Stored(runs, curves.assign(suite=suite.name), pictures, reference)


def tuning_cells(folder: Path) -> dict[tuple[str, str], int]:
    """Return (task, method) → how many cells its tuning tried, where results hold a grid.csv."""
    path = folder / "tuning" / "grid.csv"
    return read_written(path).groupby(["task", "method"]).size().to_dict() if path.is_file() else {}


def _moved(row: dict[str, str], here: pd.Series) -> str:
    """Return in which measured number of a task the stored one differs, "" where in none."""
    for name in ("dim", "loss_start", "loss_floor", "grad_cost"):
        if not abs(float(row[name]) - here[name]) <= SAME * abs(here["loss_start"]):
            return f"{name} {float(row[name]):.7g} there, {here[name]:.7g} here"
    return ""


def _misfit(suite: Suite, method: str, cell: pd.DataFrame) -> str:
    """Return why a stored method is none of the suite's, "" where it is."""
    entry = suite.config["methods"].get(method)
    if entry is None:
        return f"{suite.own['extends']} has no method of this name"
    algorithm, params = short(entry.get("algorithm", method)), json.loads(cell["params"].iloc[0])
    if cell["algorithm"].iloc[0] != algorithm:
        return f"algorithm {cell['algorithm'].iloc[0]} there, {algorithm} here"
    for name, value in entry.get("params", {}).items():
        if params.get(name) != value:
            return f"parameter {name} {params.get(name, 'unknown')} there, {value} here"
    missing = set(suite.replicates()) - set(cell["seed"])
    return f"has no seed {min(missing)}" if missing else ""


def _without_foreign_seconds(
    runs: pd.DataFrame, curves: pd.DataFrame, fresh: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return runs and curves without the seconds of another machine than the fresh runs'."""
    foreign = ~runs["device"].isin(fresh["device"].unique()) if len(fresh) else runs["device"].isna()
    runs = runs.assign(**{name: runs[name].astype(float).mask(foreign) for name in SECONDS})
    keys = ["task", "method", "seed"]
    others = pd.MultiIndex.from_frame(runs.loc[foreign, keys])
    there = pd.MultiIndex.from_frame(curves[keys]).isin(others)
    return runs, curves.assign(wall_s=curves["wall_s"].astype(float).mask(there))


def _pictures(folder: Path, used: set[tuple[str, str]]) -> Pictures:
    path = folder / "pictures.npz"
    if not path.is_file():
        return {}
    pictures = read_pictures(path, sealed=False)
    return {key: picture for key, picture in pictures.items() if tuple(key.split("/")) in used}


def joined(fresh: pd.DataFrame, stored: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return fresh and stored rows as one table."""
    parts = [part for part in (fresh, stored) if len(part)]
    return check(pd.concat(parts, ignore_index=True) if parts else fresh, table)
