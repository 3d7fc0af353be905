"""Claims about path tracing: the verdict follows the data, and a wrong gradient proves nothing about a plateau."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tables_by_hand import claims_of, make_curve, make_tables, make_tasks

from workflow.tables.evidence import Evidence

SEEDS = range(6)
ADAM = ("adam", {"source": "prb_projective"})


def gradients(**verdicts):
    """Rows of gradients.csv: task → verdict of prb_projective near the target."""
    rows = [
        {"task": task, "estimator": "prb_projective", "place": "near_target", "verdict": verdict}
        for task, verdict in verdicts.items()
    ]
    return pd.DataFrame(rows, columns=["task", "estimator", "place", "verdict"])


def claims(finals, params=None, verdicts=None, plateau="plateau", steps=None, metrics=(), tasks=None):
    """Return id → row; `params`: method → (algorithm, parameters); `steps`: method → iterations of a run."""
    if tasks is None:
        names = list(dict.fromkeys(task for task, _ in finals))
        tasks = make_tasks(*names, family="rendering", problem="rendering.cup").assign(plateau=plateau)
    runs, curves = make_tables(finals)
    for method, (algorithm, values) in (params or {}).items():
        rows = runs["method"] == method
        runs.loc[rows, ["algorithm", "params"]] = algorithm, json.dumps(values)
    runs["n_steps"] = runs["method"].map(steps or {}).fillna(500).astype(int)
    extra = [row for run in runs.to_dict("records") for row in metrics and metrics(run)]
    curves = pd.concat([curves, pd.DataFrame(extra)], ignore_index=True) if extra else curves
    return claims_of(Evidence(tasks, runs, curves, gradients(**(verdicts or {})))).set_index("id")


def same(value):
    return [value + 1e-3 * seed for seed in SEEDS]


def test_a_suite_without_scenes_has_no_such_claims():
    found = claims({("a", "prdpt"): same(0.5)}, tasks=make_tasks("a"))
    assert not any(name.startswith(("mitsuba", "price", "gauss_newton")) for name in found.index)


@pytest.mark.parametrize(
    ("verdict", "final", "plateau", "expected"),
    [
        ("agrees", 0.99, "plateau", "holds"),
        ("agrees", 0.01, "plateau", "does not hold"),
        ("biased", 0.99, "plateau", "not tested"),
        ("zero", 0.99, "plateau", "not tested"),
        ("agrees", 0.99, "control", "not tested"),
    ],
)
def test_only_right_gradients_on_real_plateaus_count_as_stuck(verdict, final, plateau, expected):
    found = claims({("cup", "ad"): same(final)}, {"ad": ADAM}, {"cup": verdict}, plateau)
    row = found.loc["mitsuba_stays/prb_projective"]
    assert row["verdict"] == expected
    assert ("cup: " + verdict in row["measured"]) == (plateau == "plateau" and verdict != "agrees")


@pytest.mark.parametrize(("final", "expected"), [(0.01, "holds"), (0.5, "does not hold")])
def test_prdpt_converges_or_not(final, expected):
    found = claims({("cup", "prdpt"): same(final), ("cup", "ad"): same(0.99)}, {"ad": ADAM})
    assert found.loc["prdpt_converges", "verdict"] == expected
    assert found.loc["prdpt_beats_mitsuba/prb_projective", "verdict"] == ("holds" if final < 0.4 else "does not hold")


@pytest.mark.parametrize(("steps", "expected"), [(50, "holds"), (100, "does not hold")])
def test_price_is_per_iteration(steps, expected):
    finals = {("cup", "prdpt"): same(0.1), ("cup", "ad"): same(0.99)}
    row = claims(finals, {"ad": ADAM}, steps={"prdpt": 500, "ad": steps}).loc["price_per_iteration/prb_projective"]
    assert row["verdict"] == expected
    assert 10 ** row["effect"] == pytest.approx(500 / steps)


def test_iterations_to_the_same_gap():
    finals = {("cup", "prdpt"): same(0.05), ("cup", "smoothed_newton"): same(0.05), ("cup", "gauss_newton"): same(0.5)}
    found = claims(finals, steps={"prdpt": 500, "smoothed_newton": 125, "gauss_newton": 125})
    # All arrive at the end of their budget, Newton with a quarter of the iterations; Gauss-Newton never does.
    assert 10 ** found.loc["fewer_iterations/smoothed_newton", "effect"] == pytest.approx(4)
    assert found.loc["fewer_iterations/gauss_newton", "n_pairs"] == len(SEEDS)
    assert found.loc["gauss_newton/prdpt", "verdict"] == "does not hold"


def test_twins_differ_in_one_parameter():
    params = [
        {"spp": 8, "random_numbers": "common"},
        {"spp": 8, "random_numbers": "fresh"},
        {"spp": 4, "random_numbers": "fresh"},
    ]
    names = ["gi", "gi_fresh", "gi_coarse"]
    tasks = pd.concat(
        [
            make_tasks(
                name,
                family="rendering",
                problem="rendering.global_illumination",
                params=json.dumps(values),
            )
            for name, values in zip(names, params, strict=True)
        ]
    )
    errors = {"gi": 0.01, "gi_fresh": 0.1, "gi_coarse": 10.0}

    def metrics(run):
        return make_curve(run, [(1, 1.0), (1000, errors[run["task"]])], "parameter_error")

    row = claims({(name, "prdpt"): same(0.1) for name in names}, tasks=tasks, metrics=metrics).loc[
        "scene/random_numbers"
    ]
    assert row["effect"] == pytest.approx(1)
    assert row["n_pairs"] == len(SEEDS)
    assert row["verdict"] == "holds"


def test_pairs_are_compared_at_equal_renders():
    finals = {("cup", "prdpt"): same(0.1), ("cup", "prdpt_four_pairs"): same(0.4)}
    row = claims(finals, {"prdpt": ("prdpt", {"pairs": 1}), "prdpt_four_pairs": ("prdpt", {"pairs": 4})}).loc[
        "prdpt/pairs/1_or_4"
    ]
    assert row["verdict"] == "holds"
    assert row["effect"] == pytest.approx(np.log10(4), abs=0.02)
