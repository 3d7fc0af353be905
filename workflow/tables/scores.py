"""One row per (task, method): final loss, success, expected running time, ECDF area, rank, overheads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import GOOD, UNSCORED
from workflow.tables.intervals import Floats, bootstrap, median, wilson
from workflow.tables.schema import check, schema
from workflow.tables.targets import GAPS, SOLVED, gap

CONTROL = "random_search"


def expected_running_time(spent: Floats, success: Floats) -> Floats:
    """Return ERT = Σ cost / number of successes over the last axis; ∞ without a success.

    Source: COCO (Hansen et al. 2021, aRT). `spent` is a run's cost up to its success or, without one, up to its end.
    """
    successes = success.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(successes > 0, spent.sum(-1) / successes, np.inf)


def ecdf_area(cost: Floats, budget: float) -> float:
    """Return the area under the ECDF of hit costs over log cost from 1 to the budget, normalised to [0, 1].

    `cost` holds one value per (seed, target), NaN where never hit. Equals the mean of 1 − log(cost)/log(budget).
    """
    if cost.size == 0:
        return np.nan
    if budget <= 1:
        return float(np.isfinite(cost).mean())
    share = 1 - np.log(np.clip(cost, 1, budget)) / np.log(budget)
    return float(np.nan_to_num(share, nan=0.0).mean())


def scored(runs: pd.DataFrame) -> pd.Series:
    """Tell which runs belong to a (task, method) of which every run counts."""
    counts = ~runs["status"].isin(UNSCORED)
    return counts.groupby([runs["task"], runs["method"]]).transform("all")


def ranks(runs: pd.DataFrame) -> pd.Series:
    """Return each run's rank by final loss within its (task, seed), 1 = best, ties averaged.

    Failed runs share the last rank; oracles (a bound, not a rival) have none, nor do methods of which a run on this
    task is not scored: too dear, unsupported or ended by the guard.
    """
    rivals = runs[scored(runs) & ~runs["oracle"]]
    loss = rivals["loss_final"].where(rivals["status"].isin(GOOD)).fillna(np.inf)
    return loss.groupby([rivals["task"], rivals["seed"]]).rank(method="average").reindex(runs.index)


def make_scores(runs: pd.DataFrame, tasks: pd.DataFrame, hits: pd.DataFrame, oracles: set[str]) -> pd.DataFrame:
    """Return scores.csv.

    Args:
        runs: runs.parquet.
        tasks: tasks.csv.
        hits: hits.parquet.
        oracles: Methods that read the true gradient.
    """
    runs = runs.assign(oracle=runs["method"].isin(oracles))
    runs["good"] = good = runs["status"].isin(GOOD) & runs["loss_final"].notna()
    runs["loss"] = runs["loss_final"].where(good).fillna(np.inf)  # a failed run is worse than any other
    runs["gap"] = gap(runs["loss"], runs["task"], tasks)
    runs["rank"] = ranks(runs)
    order = ["task", "method", "seed"]
    hits = hits.sort_values([*order, "target"])
    by_cell = {key: group for key, group in hits.groupby(["task", "method"])}
    rows = [
        {"suite": group["suite"].iloc[0], "task": key[0], "method": key[1]}
        | _row(group.sort_values("seed"), by_cell.get(key, hits.iloc[:0]))
        for key, group in runs.groupby(["task", "method"], sort=False)
    ]
    if not rows:
        return check(pd.DataFrame(columns=list(schema("scores")["columns"])), "scores")
    table = pd.DataFrame(rows)
    reached = table["gap_median"].clip(lower=GAPS[-1])  # below the last target all are equal
    is_control = table["method"] == CONTROL
    table["versus_random"] = reached / table["task"].map(
        dict(zip(table.loc[is_control, "task"], reached[is_control], strict=True))
    )
    rivals = runs[runs["rank"].notna()].groupby("task")["method"].nunique()
    table["n_ranked"] = table["task"].map(rivals).fillna(0).astype(int)
    return check(table, "scores")


def _row(runs: pd.DataFrame, hits: pd.DataFrame) -> dict[str, Any]:
    """Return the scores of one cell; `runs` and `hits` sorted by seed."""
    n_ok = int(runs["good"].sum())
    unscored = runs[runs["status"].isin(UNSCORED)]
    ran = unscored.empty
    status = (runs if ran else unscored)["status"].mode().iloc[0]
    reasons = runs.loc[(runs["status"] == status) & (runs["reason"] != ""), "reason"]
    row: dict[str, Any] = {
        "algorithm": runs["algorithm"].iloc[0],
        "oracle": bool(runs["oracle"].iloc[0]),
        "dim": runs["dim"].iloc[0],
        "budget": int(runs["budget"].max()),
        "n_runs": len(runs),
        "n_ok": n_ok,
        "status": status,
        "reason": reasons.iloc[0] if len(reasons) else None,
        "cost_median": float(runs["cost"].median()) if ran else np.nan,
        "best_values": best_values(runs),
    }
    for name in ("loss", "gap"):
        samples = runs[name].to_numpy(float)
        middle, low, high = float(median(samples[None])[0]), *bootstrap(samples, median)
        if not (ran and np.isfinite(middle)):  # half of the runs or more failed
            middle, low, high = np.nan, np.nan, np.nan
        row |= {f"{name}_median": middle, f"{name}_low": low, f"{name}_high": high}
    solved = hits[hits["target"] == SOLVED]
    if solved.empty:  # the task could not be measured: it has no targets
        return row | dict.fromkeys(_NOT_RUN, np.nan)
    success = solved["hit"].to_numpy(bool)
    spent = np.where(success, solved["cost"], runs["cost"]).astype(float)
    pairs = np.stack([spent, success], axis=-1)
    ert_low, ert_high = bootstrap(pairs, lambda drawn: expected_running_time(drawn[..., 0], drawn[..., 1]))
    low, high = wilson(int(success.sum()), len(success))
    if not ran:
        return row | dict.fromkeys(_NOT_RUN, np.nan)
    worked = runs[runs["n_evals"] > 0]
    return row | {
        "success_rate": float(success.mean()),
        "success_low": low,
        "success_high": high,
        "ert": float(expected_running_time(spent, success)),
        "ert_low": ert_low,
        "ert_high": ert_high,
        "ecdf_area": ecdf_area(hits["cost"].to_numpy(float), row["budget"]),
        "rank": float(runs["rank"].mean()),
        "overhead_ms": float((1000 * (worked["ask_s"] + worked["tell_s"]) / worked["n_evals"]).median()),
        "evaluate_ms": float((1000 * worked["eval_s"] / worked["n_evals"]).median()),
        "memory_mib": float((runs["memory_peak_mib"] - runs["memory_base_mib"]).clip(lower=0).median()),
        "gpu_mib": float(runs["gpu_peak_mib"].median()),
        "wall_s": float(runs["wall_s"].median()),
    }


def best_values(runs: pd.DataFrame) -> str | None:
    """Return what the best of a cell's runs decodes to, None where the task's parameters have no names."""
    named = runs[runs["good"] & (runs["values"].fillna("") != "")] if "values" in runs else runs.iloc[:0]
    return None if named.empty else str(named.loc[named["loss"].idxmin(), "values"])


_NOT_RUN = (
    *("success_rate", "success_low", "success_high", "ert", "ert_low", "ert_high", "ecdf_area", "rank"),
    *("overhead_ms", "evaluate_ms", "memory_mib", "gpu_mib", "wall_s"),
)
