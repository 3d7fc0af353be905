"""The board of methods × tasks: gaps after the run, curves over evaluations and seconds, pictures, parameters."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from workflow.figures.style import look, spell
from workflow.figures.tables import GAP_FLOOR, Tables
from workflow.report.boards import Board, Cell, Column, between, curve, number, picture, row

TABLE = "scores.csv"  # where it is there, the report has this board
NOTE = (
    "Median gap over seeds after the run: 1 is the start, 0 the lowest loss; the darker, the nearer to the optimum."
    " Rank: mean over its tasks, 0 is always best, 1 always last;"
    " oracles read the true gradient and are bounds, not rivals."
)
TEXT = {"unsupported": "∅", "out_of_memory": "M", "diverged": "∞", "too_dear": "$", "timeout": "t", "stopped": "s"}


def board(tables: Tables) -> Board:
    """Return the board; raises UsageError where a table that it needs is missing."""
    columns = ["task", "method", "oracle", "status", "reason", "n_runs", "n_ok", "gap_median", "gap_low", "gap_high"]
    columns += ["rank", "n_ranked", "success_rate", "ert", "cost_median", "wall_s", "memory_mib", "budget"]
    scores = tables.read("scores.csv", columns)
    scores["relative"] = (scores["rank"] - 1) / (scores["n_ranked"] - 1).where(scores["n_ranked"] > 1)
    facts = tables.tasks()
    curves = tables.gap_curves()
    runs = tables.read("runs.parquet", ["task", "method", "params"], {"source": ""})
    given = runs.drop_duplicates(["task", "method"]).set_index(["task", "method"])
    by_cell = dict(iter(curves.groupby(["task", "method"])))
    cells = {}
    for item in scores.itertuples():
        known = by_cell.get((item.task, item.method))
        drawn = {} if known is None else {
            key: found for key, x in (("cost", "cost"), ("seconds", "wall_s")) if (found := curve(known, x, "gap"))
        }  # fmt: skip
        cells[f"{item.method}|{item.task}"] = Cell(
            text_of(item.gap_median, item.status), shade(item.gap_median), facts_of(item, given), drawn
        )
    shown = [task for task in facts.index if task in set(scores["task"])]
    return Board(
        id="runs",
        title="Methods × tasks",
        note=NOTE,
        score="rank · tasks",
        xs={"cost": "evaluations", "seconds": "seconds"},
        y="gap (1 = start, 0 = optimum)",
        rows=ranked(tables, scores),
        columns=[Column(task, spell(task), dimension(facts.loc[task])) for task in shown],
        cells=cells,
        pictures=pictured(tables, shown),
        frames=frames(tables, shown),
        lead=lead(tables, scores),
    )


def dimension(task: pd.Series) -> str:
    """Return a task's problem and size."""
    return f"{task['problem']}, {task['dim']:,.0f}-D" if np.isfinite(task["dim"]) else str(task["problem"])


def ranked(tables: Tables, scores: pd.DataFrame) -> list[Any]:
    """Return the methods by relative rank, those that were asked for fewer tasks after the others."""
    known = tables.labels("method").set_index("label")
    reads = known["reads"] if "reads" in known else pd.Series("", known.index)
    labels = known["kind"].mask(reads.eq("picture"), known["kind"] + ", reads pictures")
    asked = scores.groupby("method")["task"].nunique()
    rank = scores.groupby("method")["relative"].mean()
    order = sorted(
        asked.index, key=lambda label: (asked[label] < asked.max(), np.nan_to_num(rank[label], nan=9), label)
    )
    return [
        row(label, str(labels.get(label, "")), f"{rank[label]:.2f} · {asked[label]}".replace("nan", "–"))
        for label in order
    ]


def lead(tables: Tables, scores: pd.DataFrame) -> str:
    """Return who is ahead, over how many tasks and rivals."""
    rivals = scores[~scores["oracle"].astype(bool)]
    asked = rivals.groupby("method")["task"].nunique()
    everywhere = rivals[rivals["method"].isin(asked.index[asked == asked.max()])]
    rank = everywhere.groupby("method")["relative"].mean().dropna()
    if rank.empty:
        return "Nobody could be ranked."
    best = rank.idxmin()
    own = [f"{look(label).name} has {rank[label]:.2f}." for label in tables.fresh() if label in rank]
    return (
        f"{look(best).name} is ahead of {len(rank) - 1} rivals over {asked.max()} tasks"
        f" (mean relative rank {rank[best]:.2f}; 0 is always best, 1 always last). {' '.join(own)}"
    ).strip()


def text_of(gap: float, status: str) -> str:
    """Return a cell's text: the gap in two digits, or a sign for how it ended."""
    if not np.isfinite(gap):
        return TEXT.get(status, "✗")
    if gap <= GAP_FLOOR:
        return "0"
    return f"{gap:.2f}".lstrip("0") if 0.01 <= gap < 100 else f"{gap:.0e}".replace("e-0", "e-").replace("e+0", "e")


def shade(gap: float) -> float | None:
    """Return the darkness of a gap, on a logarithmic scale from the start (0) to GAP_FLOOR (1)."""
    if not np.isfinite(gap):
        return None
    return round(float(np.log(np.clip(gap, GAP_FLOOR, 1.0)) / np.log(GAP_FLOOR)), 3)


def facts_of(item: Any, given: pd.DataFrame) -> dict[str, str]:  # noqa: ANN401  (a named tuple of pandas)
    """Return what is told of a cell, by name."""
    key = (item.task, item.method)
    params = given["params"].get(key, "")
    told = {
        "gap": f"{number(item.gap_median)} {between(item.gap_low, item.gap_high)}",
        "rank": f"{number(item.rank)} of {number(item.n_ranked)}" if pd.notna(item.rank) else "–",
        "success": f"{number(100 * item.success_rate)} % of {item.n_runs} runs",
        "evaluations": f"{number(item.cost_median)} of {number(item.budget)}",
        "seconds": number(item.wall_s),
        "memory": f"{number(item.memory_mib)} MiB",
        "status": str(item.status),
        "reason": item.reason if isinstance(item.reason, str) else "",
        "parameters": ", ".join(f"{name} {value}" for name, value in json.loads(params or "{}").items()) or "none",
        "source": str(given["source"].get(key, "")),
    }
    return {name: value for name, value in told.items() if value}


def pictured(tables: Tables, tasks: list[str]) -> dict[str, dict[str, str]]:
    """Return the pictures that were kept: task → start, target and methods."""
    if not (tables.folder / "pictures.npz").is_file():
        return {}
    found: dict[str, dict[str, str]] = {}
    for key, pixels in tables.pictures().items():
        task, _, name = key.partition("/")
        if task in tasks:
            found.setdefault(task, {})[name] = picture(pixels)
    return found


def frames(tables: Tables, tasks: list[str]) -> dict[str, dict[str, Any]]:
    """Return the pictures that were kept on the way: task → evaluations, method → evaluations → picture."""
    if not (tables.folder / "worlds.npz").is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for key, pixels in tables.pictures("worlds.npz").items():
        task, method, at = key.split("/")
        if task in tasks:
            here = found.setdefault(task, {"target": "", "steps": [], "rows": {}})
            here["rows"].setdefault(method, {})[at] = picture(pixels)
            here["steps"] = sorted({*here["steps"], int(at)})
    return found
