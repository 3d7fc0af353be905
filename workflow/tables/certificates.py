"""What can be learnt at a task's start, and who makes something of it, with random search beside everybody."""

from __future__ import annotations

import pandas as pd

from workflow.tables.schema import check, schema
from workflow.tables.scores import CONTROL

SHARES = ["plateau", "flat_share", "towards_share"]  # of tasks.csv, unknown in older ones
HALF = 0.5  # share of seeds that reach gap 0.1


def make_certificates(tasks: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Return certificates.csv, a row per task.

    Args:
        tasks: tasks.csv.
        scores: scores.csv.

    Returns:
        Of each task the shares measured at its start, who solves it, the rival with the smallest median gap, and that
        of random search. Verdict: "solved"; "open", where nobody solves it but somebody beats random search; "control",
        where nobody does; "unknown", where random search or all others have no gap.
    """
    rows = []
    for task in tasks.to_dict("records"):
        here = scores[(scores["task"] == task["task"]) & ~scores["oracle"]]
        gaps = here.set_index("method")["gap_median"].dropna().sort_values(kind="stable")
        rivals = gaps.drop(CONTROL, errors="ignore")
        solved = here.loc[(here["success_rate"].fillna(0) >= HALF) & (here["method"] != CONTROL), "method"]
        best, random = rivals.min(), gaps.get(CONTROL, float("nan"))
        if pd.isna(best) or pd.isna(random):
            verdict = "unknown"
        else:
            verdict = "control" if random <= best else "solved" if len(solved) else "open"
        rows.append(
            {key: task[key] for key in ("suite", "task", "dim")}
            | {key: task.get(key) for key in SHARES}
            | {
                "solved_by": " ".join(label for label in gaps.index if label in set(solved)) or None,
                "best": rivals.index[0] if len(rivals) else None,
                "best_gap": best,
                "random_gap": random,
                "verdict": verdict,
            }
        )
    return check(pd.DataFrame(rows, columns=list(schema("certificates")["columns"])), "certificates")
