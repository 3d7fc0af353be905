"""Quality checks: a good table passes all of them, and for each there is a table that it catches."""

import math
from dataclasses import replace

import pandas as pd
import pytest
from tables_by_hand import make_cells, make_tables, make_tasks, make_tuning

from workflow.tables import quality
from workflow.tables.quality import Results, make_quality
from workflow.tables.scores import make_scores
from workflow.tables.targets import make_hits, make_targets
from workflow.tables.tuning import make_grid

FINALS = {
    ("a", "random_search"): [0.9, 0.91, 0.92],
    ("a", "m"): [0.10, 0.11, 0.12],
    ("a", "n"): [0.20, 0.21, 0.22],
    ("a", "o"): [0.30, 0.31, 0.32],
}


def results(finals=FINALS, spoil=lambda tables: None, dim=10, grid=None):
    tasks = make_tasks(*dict.fromkeys(task for task, _ in finals), dim=dim)
    runs, curves = make_tables(finals, dim=dim)
    tables = {"tasks": tasks, "runs": runs, "curves": curves}
    spoil(tables)
    tasks, runs, curves = tables.values()
    scores = make_scores(runs, tasks, make_hits(runs, curves, make_targets(tasks)), set())
    return Results(make_cells(finals), tasks, runs, curves, scores, grid)


def verdicts(check, found):
    return {row[0]: row[2] for row in check(found)}


def test_good_tables_pass_every_check():
    grid = make_grid(make_tuning({(lr, 1.0): [abs(lr - 0.2)] for lr in (0.1, 0.2, 0.3)}))
    table = make_quality(results(grid=grid, dim=1000))
    assert set(table["verdict"]) == {"ok"}, table[table["verdict"] != "ok"].to_string()
    assert set(table["check"]) == {check.__name__ for check in quality.CHECKS}


def change(table, where, **values):
    """Return a function that sets values in the rows of a table that `where` picks."""

    def spoil(tables):
        rows = where(tables[table])
        for name, value in values.items():
            tables[table][name] = tables[table][name].mask(rows, value)

    return spoil


def drop(table, where):
    def spoil(tables):
        tables[table] = tables[table][~where(tables[table])].reset_index(drop=True)

    return spoil


def one(frame):
    return (frame["method"] == "m") & (frame["seed"] == 1)


def last(frame):
    return one(frame) & (frame["cost"] == 1000)


def everything(frame):
    return pd.Series(True, index=frame.index)


def twins(tables):
    """Seed 2 of method n becomes seed 1 once more."""
    curves = tables["curves"]
    source = curves[(curves["method"] == "n") & (curves["seed"] == 1)]["value"].to_numpy()
    curves.loc[(curves["method"] == "n") & (curves["seed"] == 2), "value"] = source
    runs = tables["runs"]
    runs.loc[(runs["method"] == "n") & (runs["seed"] == 2), "loss_final"] = source[-1]


SPOILT = [
    ("complete", drop("runs", one), "a/m", "fail"),
    ("budget", change("runs", one, cost=1001.0, n_evals=1001), "a/m/1", "fail"),
    ("budget", change("runs", one, n_grads=100), "a/m/1", "fail"),
    ("used", change("runs", one, cost=500.0, n_evals=500), "a/m", "warn"),
    ("same_start", change("runs", one, loss_start=1.001), "a", "fail"),
    ("same_start", change("tasks", everything, loss_start=1.001), "a", "fail"),
    ("curves_rise", change("curves", last, cost=5.0), "a/m/1", "fail"),
    ("curves_rise", change("curves", last, wall_s=0.0), "a/m/1", "fail"),
    ("curves_rise", change("curves", last, value=0.4), "a/m/1", "fail"),
    ("curves_rise", drop("curves", one), "a/m/1", "fail"),
    ("floor", change("tasks", everything, loss_floor=0.2), "a", "fail"),
    ("floor", change("tasks", everything, loss_floor=1.0), "a", "fail"),
    ("seeds_differ", twins, "a/n", "fail"),
    ("gradients", change("tasks", everything, gradient_error=0.1), "a", "warn"),
    ("gradients", change("tasks", everything, gradient_error=0.5), "a", "fail"),
    ("gradients", change("tasks", everything, gradient_error=1.0), "a", "warn"),
    ("statuses", change("runs", one, status="timeout"), "m", "warn"),
    ("statuses", change("runs", one, status="diverged", loss_final=math.nan), "m", "warn"),
    ("statuses", change("runs", one, status="crashed", loss_final=math.nan), "m", "fail"),
    ("timing", change("runs", lambda frame: frame["method"] == "m", eval_s=50.0), "a", "warn"),
    ("uniform", change("runs", one, device="another"), "device", "warn"),
    ("uniform", change("runs", one, versions="python=3.11.7 torch=2.12.0"), "versions", "warn"),
    ("uniform", change("runs", one, commit="fedcba987654"), "commit", "warn"),
    ("uniform", change("runs", everything, commit="0123456789ab+"), "commit", "warn"),
]


@pytest.mark.parametrize(("check", "spoil", "subject", "verdict"), SPOILT)
def test_check_bites(check, spoil, subject, verdict):
    assert verdicts(getattr(quality, check), results(spoil=spoil))[subject] == verdict


def test_one_run_may_have_several_faults():
    def spoil(tables):
        for step in (change("runs", one, cost=1001.0, n_evals=900), change("curves", last, cost=5.0, value=0.4)):
            step(tables)

    table = make_quality(results(spoil=spoil))
    wrong = table[(table["verdict"] == "fail") & (table["subject"] == "a/m/1")]
    assert wrong["check"].value_counts().to_dict() == {"budget": 2, "curves_rise": 2}


def test_every_check_is_bitten():
    others = {"beats_random", "random_is_last", "tuning_grid", "tuned", "plateaus"}  # below; plateaus only tells
    assert {row[0] for row in SPOILT} | others == {check.__name__ for check in quality.CHECKS}


def test_random_search_that_nobody_beats_is_suspicious():
    good = {**FINALS, ("a", "random_search"): [0.05, 0.06, 0.07]}
    assert verdicts(quality.beats_random, results(good)) == {"a": "warn"}
    assert verdicts(quality.random_is_last, results(good, dim=10)) == {}
    assert verdicts(quality.random_is_last, results(good, dim=1000)) == {"a": "warn"}
    assert verdicts(quality.random_is_last, results(dim=1000)) == {"a": "ok"}


def test_unresolvable_slope_is_not_judged():
    spoil = change("tasks", everything, gradient_error=0.5, central_difference=1e-7)
    assert verdicts(quality.gradients, results(spoil=spoil)) == {"a": "ok"}


def test_deterministic_methods_may_repeat_themselves():
    finals = {("a", "adam"): [0.1, 0.1]}
    runs, curves = make_tables(finals)
    curves["value"] = curves["value"].replace(0.989, 0.99)
    tasks = make_tasks("a")
    scores = make_scores(runs, tasks, make_hits(runs, curves, make_targets(tasks)), set())
    found = Results(make_cells(finals), tasks, runs, curves, scores, deterministic=frozenset({"adam"}))
    assert verdicts(quality.seeds_differ, found) == {"all": "ok"}
    found = replace(found, deterministic=frozenset())
    assert verdicts(quality.seeds_differ, found) == {"a/adam": "fail"}


def test_methods_that_missed_their_tuning():
    untuned = [("a", "m"), ("a", "n")]
    spoil = change("runs", lambda frame: frame["method"] == "n", status="unsupported", loss_final=math.nan)
    assert verdicts(quality.tuned, replace(results(spoil=spoil), untuned=untuned)) == {"m": "warn"}
    assert verdicts(quality.tuned, results()) == {"all": "ok"}


def test_tuned_values_at_the_edge_of_the_grid():
    steps = (0.1, 0.2, 0.3)
    tables = [make_tuning({(lr, 1.0): [lr] for lr in steps}, task=task) for task in "ab"]
    tables.append(make_tuning({(lr, 1.0): [abs(lr - 0.2)] for lr in steps}, task="c"))
    grid = make_grid(pd.concat(tables))
    assert verdicts(quality.tuning_grid, results(grid=grid)) == {"m/lr": "warn"}
    failed = make_grid(make_tuning({(lr, 1.0): [None] for lr in steps}))
    assert verdicts(quality.tuning_grid, results(grid=failed)) == {"m": "warn"}
