"""Tuned against untuned: what a method is worth to somebody who does not tune it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import UNSCORED
from benchmarks.harness.cell import Cell
from workflow.tables.collect import read_runs
from workflow.tables.intervals import bootstrap, median
from workflow.tables.schema import check, schema
from workflow.tables.targets import gap
from workflow.validate import UNTUNED

TRACKS = ("tuned", "untuned")


def read_untuned(cells: Sequence[Cell], results: Path) -> pd.DataFrame:
    """Return the runs of the track without tuning under the names that their methods have in the other."""
    if not cells:
        return pd.DataFrame(columns=["task", "method", "seed", "status", "loss_final"])
    runs = read_runs(cells, results)
    return runs.assign(method=runs["method"].str.removesuffix(UNTUNED))


def make_robustness(tuned: pd.DataFrame, untuned: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """Return robustness.csv: per (task, method) of both tracks the median gaps with their intervals."""
    pairs = untuned[["task", "method"]].drop_duplicates()
    rows = []
    for task, method in pairs.itertuples(index=False):
        row: dict[str, object] = {"task": task, "method": method}
        for track, runs in zip(TRACKS, (tuned, untuned), strict=True):
            here = runs[(runs["task"] == task) & (runs["method"] == method)]
            gaps = gap(here["loss_final"], here["task"], tasks).fillna(np.inf).to_numpy(float)
            row |= {
                f"n_{track}": len(here),
                f"status_{track}": here["status"].mode().iloc[0] if len(here) else "missing",
            }
            scored = len(here) and not here["status"].isin(UNSCORED).any()
            found = (float(median(gaps[None])[0]), *bootstrap(gaps, median)) if scored else (np.nan,) * 3
            found = found if np.isfinite(found[0]) else (np.nan,) * 3
            row |= {f"{name}_{track}": value for name, value in zip(("gap", "low", "high"), found, strict=True)}
        rows.append(row)
    return check(pd.DataFrame(rows, columns=list(schema("robustness")["columns"])), "robustness")
