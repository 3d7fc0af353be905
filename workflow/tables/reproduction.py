"""What the PRDPT paper reports beside what was measured here, scene by scene: errors and seconds per iteration.

The paper's numbers are facts stored in `paper_prdpt.csv`. Errors may be compared only roughly: they depend on meshes,
cameras and pictures that the paper does not give. The ratio of two methods' seconds depends less on them. The paper's
random numbers are common; scenes with fresh ones are compared with the same numbers, where they were run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import GOOD
from workflow.tables.intervals import bootstrap, median
from workflow.tables.schema import check, schema

PAPER = Path(__file__).with_name("paper_prdpt.csv")
APPROACHES = ("soft_rasterizer", "mitsuba_ad", "prdpt", "prdpt_diff")
ERRORS = ("image_mse", "parameter_mse")
ANCHOR = "prdpt"  # whose seconds the others are divided by


def approach_of(label: str, algorithm: str, params: str) -> str | None:
    """Return which of the paper's approaches a method is, from its label, file and parameters (JSON).

    Ablations are none of them, with the exception of κ∂P with any of the task's gradients.
    """
    if algorithm == "prdpt_diff" or (algorithm == "prdpt" and label == "prdpt"):
        return algorithm
    if algorithm != "adam":
        return None
    source = json.loads(params).get("source", "")
    return "mitsuba_ad" if source == "" or source.startswith(("prb", "direct")) else "soft_rasterizer"


def make_reproduction(tasks: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the table; without rows where the suite has none of the paper's scenes.

    Args:
        tasks: tasks.csv.
        runs: runs.parquet.
        curves: curves.parquet, of which the last checkpoint of each run counts.
    """
    paper = pd.read_csv(PAPER)
    scenes = tasks[tasks["problem"].isin(paper["problem"])]
    runs = runs[runs["task"].isin(scenes["task"])]
    keys = zip(runs["method"], runs["algorithm"], runs["params"], strict=True)
    runs = runs.assign(approach=[approach_of(*key) for key in keys])
    finals = last_errors(curves)
    rows = []
    for scene in scenes.itertuples():
        reported = paper[paper["problem"] == scene.problem].set_index("approach")
        for approach in APPROACHES:
            here = runs[(runs["task"] == scene.task) & (runs["approach"] == approach)]
            facts = {"suite": scene.suite, "task": scene.task, "problem": scene.problem, "approach": approach}
            facts |= {f"{name}_paper": reported[name].get(approach) for name in (*ERRORS, "seconds")}
            if here.empty and approach in reported.index and scene.noise == "fixed":  # as in the paper
                rows.append(facts)
            rows += [{**facts, "method": label, **measure(part, finals)} for label, part in here.groupby("method")]
    return check(finish(rows), "reproduction")


def last_errors(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the errors at the last checkpoint, one row per (task, method, seed)."""
    curves = curves[curves["metric"].isin(ERRORS)].sort_values("cost", kind="stable")
    return curves.pivot_table(index=["task", "method", "seed"], columns="metric", values="value", aggfunc="last")


def measure(runs: pd.DataFrame, finals: pd.DataFrame) -> dict[str, Any]:
    """Return what the runs of one method on one task say; a run that broke down has infinite errors."""
    good = runs["status"].isin(GOOD)
    found: dict[str, Any] = {"n_runs": len(runs), "n_ok": int(good.sum())}
    if not good.any():
        return found
    index = pd.MultiIndex.from_frame(runs[["task", "method", "seed"]])
    errors = finals.reindex(index=index, columns=list(ERRORS))
    for name in ERRORS:
        values = np.where(good, errors[name].fillna(np.inf), np.inf)
        found[name] = float(median(values[None])[0])
        found[f"{name}_low"], found[f"{name}_high"] = bootstrap(values, median)
    runs = runs[good]
    iterations = runs["n_evals"] / [batch(params) for params in runs["params"]]
    busy = (runs[["ask_s", "eval_s", "tell_s"]].sum(axis=1) / iterations.where(iterations > 0)).dropna()
    found["iterations"] = float(iterations.median())
    found["seconds"] = float(busy.median()) if len(busy) else np.nan
    return found


def batch(params: str) -> int:
    """Return how many renders (or pairs of render and gradient) a method spends per iteration."""
    return 2 * json.loads(params)["pairs"] if "pairs" in json.loads(params) else 1


def finish(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows as a table with all columns of the schema and the ratios of seconds."""
    columns = schema("reproduction")["columns"]
    table = pd.DataFrame(rows, columns=[name for name in columns if not name.startswith("ratio")])
    for name in table:
        if columns[name]["type"] == "number":
            table[name] = table[name].astype(float)
    anchors = table[table["approach"] == ANCHOR].groupby("task")
    for name, ratio in (("seconds_paper", "ratio_paper"), ("seconds", "ratio")):
        table[ratio] = (table[name] / table["task"].map(anchors[name].first())).astype(float)
    return table
