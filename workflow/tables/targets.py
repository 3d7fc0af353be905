"""A ladder of targets per task, and when each run reached them (COCO: runtimes to targets instead of final values)."""

from __future__ import annotations

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
    """Return hits.parquet: for each run and target the first checkpoint whose validated loss is at the target or below.

    A run that could not run has no checkpoints and hits nothing; one that broke off keeps what it had reached.
    """
    keys = ["suite", "task", "method", "seed"]
    table = runs[keys].merge(targets, on=["suite", "task"])
    ladders = {task: group.set_index("target")["loss"] for task, group in targets.groupby("task")}
    found = []
    losses = curves[(curves["metric"] == "loss") & curves["value"].notna()].sort_values("cost", kind="stable")
    for key, curve in losses.groupby(keys):
        best = np.minimum.accumulate(curve["value"].to_numpy())  # falls: search its negative, which rises
        ladder = ladders[key[1]]
        first = np.searchsorted(-best, -ladder.to_numpy())
        reached = first < len(best)
        rows = curve.iloc[first[reached]][["cost", "wall_s"]].to_numpy()
        hit = pd.DataFrame(rows, columns=["cost", "wall_s"]).assign(target=ladder.index[reached])
        found.append(hit.assign(**dict(zip(keys, key, strict=True))))
    columns = [*keys, "target", "cost", "wall_s"]
    hits = pd.concat(found)[columns] if found else pd.DataFrame(columns=columns).astype({"target": int, "seed": int})
    table = table.drop(columns="loss").merge(hits, on=[*keys, "target"], how="left")
    table[["cost", "wall_s"]] = table[["cost", "wall_s"]].astype(float)
    table["hit"] = table["cost"].notna()
    return check(table, "hits")
