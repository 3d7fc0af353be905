"""One row per method over all tasks it met; and what machine, versions and commit the runs come from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import UNSCORED
from workflow.tables.schema import check

ORIGIN = ["suite", "device", "versions", "commit"]  # where a run, or a trained learner, comes from


def make_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return summary.csv, best first.

    Methods meet different tasks (ablations only a few), so `n_tasks` belongs to every mean. The ECDF area counts a
    task that a method cannot run with 0.
    """
    ran = ~scores["status"].isin(UNSCORED)
    table = scores.assign(
        ran=ran,
        area=scores["ecdf_area"].fillna(0.0),
        relative=(scores["rank"] - 1) / (scores["n_ranked"] - 1).where(scores["n_ranked"] > 1),
        solved=scores["success_rate"].fillna(0.0) >= 0.5,
        failed=ran & (scores["n_ok"] < scores["n_runs"]),
        reached_dim=scores["dim"].where(scores["n_ok"] > 0),
        log_versus=np.log(scores["versus_random"].where(scores["versus_random"] > 0)),
        total_s=scores["wall_s"] * scores["n_runs"],
    )
    summary = (
        table.groupby(["suite", "method"], sort=False)
        .agg(
            algorithm=("algorithm", "first"),
            oracle=("oracle", "first"),
            n_tasks=("task", "size"),
            n_supported=("ran", "sum"),
            n_failed=("failed", "sum"),
            largest_dim=("reached_dim", "max"),
            mean_rank=("rank", "mean"),
            relative_rank=("relative", "mean"),
            ecdf_area=("area", "mean"),
            tasks_solved=("solved", "sum"),
            versus_random=("log_versus", "mean"),
            overhead_ms=("overhead_ms", "median"),
            memory_mib=("memory_mib", "max"),
            wall_s=("total_s", lambda seconds: seconds.sum(min_count=1)),
        )
        .reset_index()
    )
    summary["versus_random"] = np.exp(summary["versus_random"])
    summary = summary.sort_values(["oracle", "ecdf_area"], ascending=[True, False], kind="stable")
    return check(summary.reset_index(drop=True), "summary")


def make_environment(runs: pd.DataFrame) -> pd.DataFrame:
    """Return environment.csv: every combination of device, versions and commit, with the number of its runs."""
    counted = runs[ORIGIN].fillna("").groupby(ORIGIN).size().rename("n_runs").reset_index()
    return check(counted.sort_values("n_runs", ascending=False, kind="stable").reset_index(drop=True), "environment")
