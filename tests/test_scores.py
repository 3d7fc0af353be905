"""Scores of tables made by hand, whose results can be worked out on paper."""

import math

import numpy as np
import pandas as pd
import pytest
from tables_by_hand import make_curve, make_run, make_tables, make_tasks, make_tuning

from workflow.tables.intervals import bootstrap, cluster_bootstrap, interval, median, wilson
from workflow.tables.schema import SchemaError, check
from workflow.tables.scores import ecdf_area, expected_running_time, make_scores
from workflow.tables.summary import make_environment, make_summary
from workflow.tables.targets import GAPS, SOLVED, gap, make_hits, make_targets
from workflow.tables.tuning import make_best, make_grid, mark_best


def score(runs, curves, tasks=None, oracles=()):
    tasks = make_tasks(*runs["task"].unique()) if tasks is None else tasks
    hits = make_hits(runs, curves, make_targets(tasks))
    return make_scores(runs, tasks, hits, set(oracles)).set_index(["task", "method"])


def test_ladder_is_geometric_from_start_to_floor():
    targets = make_targets(make_tasks("a", loss_start=11.0, loss_floor=1.0))
    assert targets["loss"].iloc[SOLVED] == pytest.approx(1 + 10 * 0.1)
    assert targets["loss"].iloc[-1] == pytest.approx(1 + 10 * 1e-4)
    assert len(targets) == 16


def test_gap_is_one_at_the_start_zero_at_the_floor_and_nothing_without_a_way_to_go():
    tasks = pd.concat(
        [make_tasks("a", loss_start=5.0, loss_floor=1.0), make_tasks("flat", loss_start=1.0, loss_floor=1)]
    )
    found = gap(pd.Series([5.0, 1.0, 3.0, 0.5]), pd.Series(["a", "a", "a", "flat"]), tasks)
    assert found.tolist()[:3] == [1.0, 0.0, 0.5]
    assert math.isnan(found[3])


def test_hits_are_the_first_checkpoints_at_or_below_the_target():
    run = make_run("a", "m", 0, 0.5)
    curve = make_curve(run, [(0, 1.0), (7, 0.2), (20, 0.9), (300, 0.05), (1000, 0.5)])
    hits = make_hits(pd.DataFrame([run]), pd.DataFrame(curve), make_targets(make_tasks("a")))
    cost = dict(zip(hits["target"], hits["cost"], strict=True))
    assert cost[0] == 7  # .56
    assert cost[1] == 7  # .32
    assert cost[2] == 300  # .18
    assert cost[SOLVED] == 300
    assert cost[4] == 300  # .056
    assert math.isnan(cost[5])  # .032
    assert hits["hit"].sum() == 5
    assert hits.loc[hits["target"] == 0, "wall_s"].item() == 0.007


def test_hits_expect_what_the_curve_says():
    """The case above again, the slow way: scan every curve for every target."""
    generator = np.random.default_rng(0)
    runs, curves = [], []
    for seed in range(5):
        run = make_run("a", "m", seed, 0.1)
        runs.append(run)
        curves += make_curve(run, zip(range(0, 300, 10), 10 ** -generator.uniform(0, 5, 30), strict=True))
    curves = pd.DataFrame(curves)
    hits = make_hits(pd.DataFrame(runs), curves, make_targets(make_tasks("a")))
    for row in hits.itertuples():
        reached = curves[(curves["seed"] == row.seed) & (curves["value"] <= GAPS[row.target])]["cost"]
        assert row.hit == (len(reached) > 0)
        assert not row.hit or row.cost == reached.min()


def test_expected_running_time_is_cocos():
    spent, success = np.array([100.0, 1000.0, 300.0]), np.array([1.0, 0.0, 1.0])
    assert expected_running_time(spent, success) == 700
    assert expected_running_time(spent, 0 * success) == np.inf


def test_ecdf_area_of_known_costs():
    assert ecdf_area(np.array([1.0, 1000.0]), 1000) == pytest.approx(0.5)
    assert ecdf_area(np.array([1.0, np.nan]), 1000) == pytest.approx(0.5)
    assert ecdf_area(np.array([0.0, 10.0, 100.0, np.nan]), 1000) == pytest.approx((1 + 2 / 3 + 1 / 3) / 4)
    assert ecdf_area(np.full(3, np.nan), 1000) == 0


def test_ecdf_area_is_the_integral_of_the_ecdf():
    generator = np.random.default_rng(1)
    cost = 10 ** generator.uniform(0, 3, 50)
    cost[::5] = np.nan
    grid = np.linspace(0, 3, 20001)
    ecdf = (cost[:, None] <= 10**grid).mean(0)
    assert ecdf_area(cost, 1000) == pytest.approx(np.trapezoid(ecdf, grid) / 3, abs=1e-3)


def test_wilson_interval_of_known_counts():
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Newcombe 1998, method 3
    low, high = wilson(3, 3)
    assert (low, high) == pytest.approx((0.4385, 1.0), abs=1e-4)
    assert all(map(math.isnan, wilson(0, 0)))


def test_bootstrap_repeats_itself_and_covers_the_median():
    samples = np.random.default_rng(3).normal(5, 1, 20)
    first = bootstrap(samples, median)
    np.random.default_rng(9).random(5)
    assert bootstrap(samples, median) == first
    assert first[0] < np.median(samples) < first[1]
    assert set(first) <= set(median(samples[None, [i, j]])[0] for i in range(20) for j in range(20))


def test_bootstrap_of_equal_samples_has_no_width_and_of_none_no_value():
    assert bootstrap(np.full(4, 2.5), median) == (2.5, 2.5)
    assert all(map(math.isnan, bootstrap(np.empty(0), median)))


def test_bootstrap_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = [
        low <= 0 <= high
        for low, high in (bootstrap(generator.normal(size=20), lambda drawn: drawn.mean(1)) for _ in range(200))
    ]
    assert 0.86 < np.mean(covered) < 0.99  # percentile intervals of 20 are a little too narrow


@pytest.mark.parametrize(("n", "covers"), [(3, 0.75), (5, 0.9375), (10, 0.95)])
def test_how_often_an_interval_of_few_replicates_covers_the_median(n, covers):
    """On three replicates it is their range: 1 − 2 · (1/2)³. Five are the fewest that come near 95 %."""
    generator = np.random.default_rng(n)
    found = [low <= 0 <= high for low, high in (bootstrap(generator.normal(size=n), median) for _ in range(1500))]
    assert np.mean(found) == pytest.approx(covers, abs=0.03)


def test_infinities_are_order_statistics():
    assert interval(np.array([1.0, 2.0, np.inf, np.inf])) == (1.0, np.inf)
    assert all(map(math.isnan, interval(np.array([1.0, np.nan]))))
    assert median(np.array([[1.0, np.inf, 2.0]]))[0] == 2


def test_cluster_bootstrap_weighs_tasks_alike_and_knows_their_spread():
    many, few = np.full(100, 1.0), np.full(3, 3.0)
    low, high = cluster_bootstrap([many, few])
    assert (low, high) == (1.0, 3.0)
    assert cluster_bootstrap([few]) == (3.0, 3.0)


def test_scores_of_a_cell():
    runs, curves = make_tables({("a", "m"): [0.05, 0.2, 0.08, 0.04], ("a", "random_search"): [0.5, 0.5, 0.4, 0.6]})
    row = score(runs, curves).loc[("a", "m")]
    assert row["loss_median"] == row["gap_median"] == pytest.approx(0.065)
    assert row["loss_low"] >= 0.04
    assert row["loss_high"] <= 0.2
    assert row["success_rate"] == 0.75
    assert row["ert"] == pytest.approx(4000 / 3)
    assert row["ert_low"] <= row["ert"] <= row["ert_high"]
    assert row["versus_random"] == pytest.approx(0.065 / 0.5)
    assert row["overhead_ms"] == pytest.approx(1.5)
    assert row["evaluate_ms"] == pytest.approx(2.0)
    assert row["memory_mib"] == 50
    assert row["rank"] == 1


def test_expected_running_time_counts_failures_to_their_end():
    good, bad = make_run("a", "m", 0, 0.01), make_run("a", "m", 1, math.nan, status="diverged", cost=70.0)
    curves = make_curve(good, [(0, 1.0), (400, 0.05), (1000, 0.01)]) + make_curve(bad, [(0, 1.0), (60, 0.9)])
    row = score(pd.DataFrame([good, bad]), pd.DataFrame(curves)).loc[("a", "m")]
    assert row["ert"] == 400 + 70
    assert row["ert_high"] == np.inf


def test_what_a_run_reached_before_it_diverged_counts_as_reached_but_it_has_no_final_loss():
    good, bad = make_run("a", "m", 0, 0.5), make_run("a", "m", 1, math.nan, status="diverged", cost=70.0)
    curves = make_curve(good, [(0, 1.0), (1000, 0.5)]) + make_curve(bad, [(0, 1.0), (60, 0.05)])
    row = score(pd.DataFrame([good, bad]), pd.DataFrame(curves)).loc[("a", "m")]
    assert row["n_ok"] == 1
    assert row["success_rate"] == 0.5
    assert math.isnan(row["loss_median"])  # half of the runs failed


def test_failed_run_is_worse_than_any_other():
    runs, curves = make_tables({("a", "m"): [0.1, 0.2, 0.9]})
    runs.loc[0, ["status", "loss_final"]] = "diverged", math.nan
    row = score(runs, curves).loc[("a", "m")]
    assert row["loss_median"] == 0.9
    assert row["loss_high"] == np.inf


def test_ranks_with_ties_failures_and_oracles():
    finals = {
        ("a", name): [loss] for name, loss in {"b": 0.1, "c": 0.1, "d": 0.5, "e": 0.0, "f": 0.0, "g": 0.2}.items()
    }
    runs, curves = make_tables(finals)
    runs = runs.set_index("method", drop=False)
    runs.loc["f", ["status", "loss_final"]] = "diverged", math.nan
    runs.loc["g", ["status", "loss_final", "cost"]] = "unsupported", math.nan, 0.0
    curves = curves[curves["method"] != "g"]
    scores = score(runs.reset_index(drop=True), curves, oracles={"e"})
    rank = scores["rank"].droplevel("task")
    assert rank[["b", "c", "d", "f"]].tolist() == [1.5, 1.5, 3, 4]
    assert rank[["e", "g"]].isna().all()
    assert scores["n_ranked"].unique() == [4]
    assert scores["oracle"].droplevel("task")["e"]


def test_unsupported_method_is_counted_not_scored():
    runs, curves = make_tables({("a", "m"): [0.1, 0.2], ("a", "n"): [math.nan, math.nan]})
    refused = runs["method"] == "n"
    runs.loc[refused, ["status", "reason", "cost", "n_evals"]] = "unsupported", "needs 9.9 GiB", 0.0, 0
    scores = score(runs, curves[curves["method"] != "n"])
    row = scores.loc[("a", "n")]
    assert (row["status"], row["reason"], row["n_runs"], row["n_ok"]) == ("unsupported", "needs 9.9 GiB", 2, 0)
    assert row[["loss_median", "ert", "ecdf_area", "rank", "success_rate", "wall_s"]].isna().all()
    summary = make_summary(scores.reset_index()).set_index("method")
    assert summary.loc["n", ["n_tasks", "n_supported", "ecdf_area"]].tolist() == [1, 0, 0.0]
    assert math.isnan(summary.loc["n", "largest_dim"])


def test_suite_in_which_nothing_ran_still_has_tables():
    runs, curves = make_tables({("a", "m"): [math.nan]})
    runs[["status", "cost", "n_evals"]] = "unsupported", 0.0, 0
    scores = score(runs, curves.iloc[:0].astype({"seed": int}))
    assert scores["ecdf_area"].isna().all()
    assert len(make_summary(scores.reset_index())) == 1


def test_summary_over_tasks():
    finals = {("a", "m"): [0.01], ("b", "m"): [0.5], ("a", "random_search"): [0.1], ("b", "random_search"): [0.05]}
    summary = make_summary(score(*make_tables(finals)).reset_index()).set_index("method")
    row = summary.loc["m"]
    assert row["mean_rank"] == 1.5
    assert row["relative_rank"] == 0.5
    assert row["tasks_solved"] == 1
    assert row["versus_random"] == pytest.approx(1.0)  # geometric mean of 1/10 and 10
    assert row["wall_s"] == 8.0


def test_environment_counts_runs():
    runs, _ = make_tables({("a", "m"): [0.1, 0.1, 0.1]})
    runs.loc[0, "commit"] = "other"
    found = make_environment(runs)
    assert found["n_runs"].tolist() == [2, 1]


def second(runs):
    """Return tuning runs as those of the second round."""
    return runs.assign(round=2, cell=runs["cell"] + 10)


def test_tuning_takes_the_lowest_median_of_the_second_round():
    first = make_tuning(
        {(0.3, 1.0): [0.2, 0.2], (0.1, 2.0): [0.3, 0.3], (0.1, 1.0): [0.1, 0.1], (0.2, 1.0): [1.0, 2.0]}
    )
    final = second(make_tuning({(0.1, 1.0): [0.04, 0.06], (0.3, 1.0): [0.03, 0.04], (0.1, 2.0): [0.02, 0.3]}))
    grid = make_grid(pd.concat([first, final]))
    assert grid.loc[grid["best"], ["round", "choice"]].to_numpy().tolist() == [[2, '{"lr": 0.3, "sigma": 1.0}']]
    best = make_best(grid).set_index("parameter")["value"]
    assert best.to_dict() == {"lr": "0.3", "sigma": "1.0"}


def test_what_is_chosen_follows_from_the_stored_grid_alone(tmp_path):
    """Failed before: a sixth of the choices in best.csv did not follow from the committed grid."""
    generator = np.random.default_rng(0)
    tables = []
    for task in "abcd":
        losses = {(round(0.1 * step, 1), 1.0): [float(generator.choice([0.1, 0.2, 1.0, 3.0]))] for step in range(1, 7)}
        finals = {key: [float(generator.choice([0.05, 0.06, 1.0]))] for key in list(losses)[:3]}
        tables += [make_tuning(losses, task), second(make_tuning(finals, task))]
    grid = make_grid(pd.concat(tables))
    grid.to_csv(tmp_path / "grid.csv", index=False)
    stored = pd.read_csv(tmp_path / "grid.csv", keep_default_na=False, na_values=[""])
    assert mark_best(stored.assign(best=False))["best"].tolist() == grid["best"].tolist()
    assert 0 < grid["best"].sum() <= 4


def test_effort_is_stored_and_shared_out():
    runs = pd.concat([make_tuning({(0.1, 1.0): [0.5]}, method="a"), make_tuning({(0.1, 1.0): [0.5]}, method="b")])
    runs["cost"] = [100.0, 300.0]
    assert make_grid(runs)[["method", "cost", "share"]].to_numpy().tolist() == [["a", 100, 0.25], ["b", 300, 0.75]]


def test_tuning_prefers_cells_that_never_fail_and_skips_methods_that_always_do():
    runs = make_tuning({(0.1, 1.0): [0.001, None], (0.2, 1.0): [0.5, 0.5]})
    grid = make_grid(runs)
    assert grid.loc[grid["best"], "cell"].tolist() == [1]
    assert grid["status"].tolist()[1] == "finished"
    grid = make_grid(make_tuning({(0.1, 1.0): [None, None], (0.2, 1.0): [None, None]}))
    assert not grid["best"].any()
    assert make_best(grid).empty


def test_tuning_chooses_nothing_where_no_cell_left_the_start():
    assert not make_grid(make_tuning({(0.1, 1.0): [1.0, 1.0], (0.2, 1.0): [1.0, 1.00001]}))["best"].any()
    assert not make_grid(make_tuning({(0.1, 1.0): [1.0, 1.0], (0.2, 1.0): [1.0, 1.1]}))["best"].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="gap"), "columns missing: .'gap'"),
        (lambda t: t.assign(extra=1), "unknown: .'extra'"),
        (lambda t: t.assign(gap="x"), "column 'gap': type is object"),
        (lambda t: t.assign(gap=2.0), "expected 0 … 1"),
        (lambda t: t.assign(gap=np.nan), "values are missing"),
        (lambda t: pd.concat([t, t]), "two rows for"),
    ],
)
def test_schema_refuses(change, message):
    table = make_targets(make_tasks("a"))
    check(table, "targets")
    with pytest.raises(SchemaError, match=message):
        check(change(table), "targets")


def test_a_suite_of_which_no_run_left_a_row_has_a_table_without_rows():
    """Failed before: a column of nothing was looked up."""
    runs = pd.DataFrame([make_run("a", "m", 0, 0.5)])
    tasks = make_tasks("a")
    hits = make_hits(runs, pd.DataFrame(make_curve(runs.iloc[0], [(1, 1.0)])), make_targets(tasks))
    scores = make_scores(runs.iloc[:0], tasks, hits.iloc[:0], set())
    assert scores.empty
    assert "gap_median" in scores
