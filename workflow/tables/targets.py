"""A ladder of targets per task, and when each run reached them (COCO: runtimes to targets instead of final values)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workflow.tables.schema import check

GAPS = 10.0 ** (-0.25 * np.arange(1, 17))  # of the way from start (1) to floor (0): .56 … 1e-4
SOLVED = 3  # index of gap 0.1: nine tenths of the way


def gap(loss: pd.Series, task: pd.Series, tasks: pd.DataFrame) -> pd.Series:
    """Return (loss − floor) / (start − floor) with the tasks' start and floor; NaN where those are equal."""
    known = tasks.set_index("task")
    floor = task.map(known["loss_floor"]).astype(float)
    span = task.map(known["loss_start"]).astype(float) - floor
    return (loss - floor) / span.where(span > 0)


def make_targets(tasks: pd.DataFrame) -> pd.DataFrame:
    """Return targets.csv: each task's ladder, geometric in the gap."""
    ladder = pd.DataFrame({"target": np.arange(len(GAPS)), "gap": GAPS})
    table = tasks[["suite", "task", "loss_start", "loss_floor"]].merge(ladder, how="cross")
    table["loss"] = table["loss_floor"] + table["gap"] * (table["loss_start"] - table["loss_floor"])
    return check(table.drop(columns=["loss_start", "loss_floor"]), "targets")


def make_hits(runs: pd.DataFrame, curves: pd.DataFrame, targets: pd.DataFrame) -> pd.DataFrame:
    """Return hits.parquet: when each run reached each target, by the first validated loss at the target or below.

    Losses are validated at every improvement, a hundredth of the cost apart at the closest (harness/loop.py).
    A run that could not run has no checkpoints and hits nothing; one that broke off keeps what it had reached.
    """
    keys = ["suite", "task", "method", "seed"]
    table = runs[keys].merge(targets, on=["suite", "task"])
    ladders = {task: group.set_index("target")["loss"] for task, group in targets.groupby("task")}
    losses = curves[(curves["metric"] == "loss") & curves["value"].notna()].sort_values("cost", kind="stable")
    values, costs, seconds = (losses[name].to_numpy() for name in ("value", "cost", "wall_s"))
    found: dict[str, list[Any]] = {name: [] for name in (*keys, "target", "cost", "wall_s")}
    for key, rows in losses.groupby(keys).indices.items():
        best = np.minimum.accumulate(values[rows])  # falls: search its negative, which rises
        if key[1] not in ladders:  # the task could not be measured: it has no targets
            continue
        ladder = ladders[key[1]]
        first = np.searchsorted(-best, -ladder.to_numpy())
        reached = np.flatnonzero(first < len(best))
        hit = rows[first[reached]]
        columns = (*([part] * len(hit) for part in key), ladder.index[reached], costs[hit], seconds[hit])
        for name, column in zip(found, columns, strict=True):
            found[name].extend(column)
    hits = pd.DataFrame(found).astype({**runs[keys].dtypes, "target": int})
    table = table.drop(columns="loss").merge(hits, on=[*keys, "target"], how="left")
    table[["cost", "wall_s"]] = table[["cost", "wall_s"]].astype(float)
    table["hit"] = table["cost"].notna()
    return check(table, "hits")
