"""Where one's own methods stand among those whose results are stored, and how they do against each of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import UNSCORED
from workflow.tables.evidence import SMALLEST, Effect, Evidence
from workflow.tables.schema import check, schema


def make_leaderboard(scores: pd.DataFrame, hits: pd.DataFrame, labels: pd.DataFrame, own: set[str]) -> pd.DataFrame:
    """Return leaderboard.csv over the tasks on which one's own methods' runs count, and a rival's as well.

    Args:
        scores: scores.csv, with its column `source`.
        hits: hits.parquet.
        labels: labels.csv.
        own: one's own methods; empty: all tasks.
    """
    ran = scores[~scores["status"].isin(UNSCORED) & (scores["n_ranked"] > 1)]  # alone is no comparison
    mine = ran[ran["method"].isin(own)] if own else ran
    ran = ran[ran["task"].isin(mine["task"])]
    reached = hits.groupby(["task", "method"])["hit"].mean().rename("targets").reset_index()
    ran = ran.merge(reached, on=["task", "method"], how="left")
    ran["relative"] = (ran["rank"] - 1) / (ran["n_ranked"] - 1).where(ran["n_ranked"] > 1)
    names = labels.set_index("label")["name"]
    rows = []
    for method, cells in ran.groupby("method", sort=False):
        ordered = cells.dropna(subset=["relative"]).sort_values("relative", kind="stable")["task"]
        rows.append(
            {
                "method": method,
                "name": names[method],
                "source": cells["source"].iloc[0],
                "n_tasks": len(cells),
                "relative_rank": cells["relative"].mean(),
                "gap": cells["gap_median"].median(),
                "targets": cells["targets"].mean(),
                "best_task": ordered.iloc[0] if len(ordered) else None,
                "worst_task": ordered.iloc[-1] if len(ordered) else None,
                "oracle": bool(cells["oracle"].iloc[0]),
            }
        )
    table = pd.DataFrame(rows, columns=[*schema("leaderboard")["columns"], "oracle"])
    table = table.sort_values(["oracle", "n_tasks", "relative_rank"], ascending=[True, False, True], kind="stable")
    rivals = table[~table["oracle"].astype(bool)]
    table["place"] = rivals.groupby("n_tasks")["relative_rank"].rank(method="min")
    table.loc[table["n_tasks"] < table["n_tasks"].max(), "place"] = np.nan
    table["place"] = table["place"].astype("Int64")
    return check(table.drop(columns="oracle").reset_index(drop=True), "leaderboard")


def make_duels(evidence: Evidence, board: pd.DataFrame, own: set[str]) -> pd.DataFrame:
    """Return duels.csv: each of one's own methods against all others of the board, in its order."""
    rows = []
    for method in board["method"]:
        for rival in board["method"] if method in own else ():
            if rival != method:
                rows.append(_duel(evidence, method, rival))
    return check(pd.DataFrame(rows, columns=list(schema("duels")["columns"])), "duels")


def _duel(evidence: Evidence, method: str, rival: str) -> dict[str, object]:
    """Return the row of a pair: counts of pairs, the pooled effect with its interval, the tasks at the ends."""
    pairs = evidence.advantage(evidence.tasks_where(), method, rival)
    effect = Effect.of(pairs)
    ordered = sorted(effect.by_task, key=lambda task: effect.by_task[task])
    wins, losses = int((pairs >= SMALLEST).sum()), int((pairs <= -SMALLEST).sum())
    return {
        "method": method,
        "rival": rival,
        "n_tasks": len(effect.by_task),
        "wins": wins,
        "ties": len(pairs) - wins - losses,
        "losses": losses,
        "effect": effect.mean,
        "low": effect.low,
        "high": effect.high,
        "best_task": ordered[-1] if ordered else None,
        "worst_task": ordered[0] if ordered else None,
    }
