"""Who makes something of a start: a table with random search beside everybody."""

import pandas as pd
import pytest
from tables_by_hand import make_tasks

from workflow.tables.certificates import make_certificates


def make_scores(rows):
    """Rows of scores.csv from (task, method, gap, success rate, oracle)."""
    names = ["task", "method", "gap_median", "success_rate", "oracle"]
    return pd.DataFrame(rows, columns=names).astype({"oracle": bool})


@pytest.mark.parametrize(
    ("gaps", "verdict", "solved_by"),
    [
        ({"random_search": 0.5, "spsa": 0.05, "prdpt": 0.01}, "solved", "prdpt spsa"),
        ({"random_search": 0.5, "spsa": 0.4}, "open", None),
        ({"random_search": 0.01, "spsa": 0.05}, "control", "spsa"),
        ({"random_search": 0.4, "spsa": 0.4}, "control", None),
        ({"spsa": 0.05}, "unknown", "spsa"),
        ({"random_search": 0.3, "spsa": float("nan")}, "unknown", None),
    ],
)
def test_the_verdict_follows_from_the_gaps(gaps, verdict, solved_by):
    rows = [("bowl", method, gap, float(gap <= 0.1), False) for method, gap in gaps.items()]
    (row,) = make_certificates(make_tasks("bowl"), make_scores(rows)).to_dict("records")
    assert row["verdict"] == verdict
    assert (None if pd.isna(row["solved_by"]) else row["solved_by"]) == solved_by


def test_oracles_solve_nothing_and_shares_are_those_of_the_task():
    tasks = make_tasks("bowl").assign(plateau="plateau", flat_share=0.75, towards_share=0.5)
    scores = make_scores([("bowl", "random_search", 0.9, 0.0, False), ("bowl", "adam", 0.0, 1.0, True)])
    (row,) = make_certificates(tasks, scores).to_dict("records")
    assert (row["plateau"], row["flat_share"], row["towards_share"]) == ("plateau", 0.75, 0.5)
    assert pd.isna(row["best"])
    assert row["verdict"] == "unknown"
