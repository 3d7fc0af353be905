"""Predicted costs: no clock in them, near what was measured, and read by a user before a suite is submitted."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.harness.costs import MACHINES, machine_of, predicted_seconds, seconds_of
from benchmarks.harness.registry import method_class, task_class
from benchmarks.harness.rooms import method_names
from benchmarks.harness.sources import ROOT
from methods._work import Work
from workflow.estimate import estimates
from workflow.suite import load_suite

DESK = load_suite(ROOT / "config" / "desk.yaml")


@pytest.fixture(scope="module")
def measured():
    """The committed runs, and what is predicted of each."""
    runs = pd.read_parquet(ROOT / "results" / "desk" / "tables" / "runs.parquet")
    runs = runs[(runs.n_evals > 100) & runs.method.isin(DESK.config["methods"])]
    rows = []
    for (task, method), cells in runs.groupby(["task", "method"]):
        where, who = DESK.tasks[task], DESK.config["methods"][method]
        problem = task_class(where.problem)(**where.params)
        kind, params = method_class(who.get("algorithm", method)), who.get("params", {})
        space = problem.space(0, int(cells.cost.median()))
        predicted = predicted_seconds(problem, kind, params, space)
        rows.append((task, method, predicted, float((cells.ask_s + cells.eval_s + cells.tell_s).median())))
    return pd.DataFrame(rows, columns=["task", "method", "predicted", "measured"]).set_index(["task", "method"])


def test_predictions_are_near_what_was_measured(measured):
    """Within a factor of three for most: enough to decide what a suite can carry."""
    long = measured[(measured.measured > 0.5) & ~measured.index.get_level_values("method").str.startswith("zerograds")]
    ratio = np.log10(long.predicted / long.measured)
    assert len(long) > 100
    assert (ratio.abs() < np.log10(3)).mean() > 0.8, ratio[ratio.abs() > np.log10(3)].round(2).to_string()
    assert ratio.abs().max() < np.log10(12), ratio[ratio.abs() > 1].round(2).to_string()


@pytest.mark.parametrize("name", method_names())
def test_work_grows_with_dimensions_and_is_never_negative(name):
    kind, small, large = method_class(name), *(task_class("analytic.quadratic")(dim=dim) for dim in (8, 512))
    works = [kind.work(problem.space(0, 1000)) for problem in (small, large)]
    for work in works:
        assert min(work.launches, work.numbers, work.host, work.kept) >= 0
    assert works[1].numbers + works[1].host > works[0].numbers + works[0].host
    machine = machine_of("cpu")
    assert seconds_of(works[1] * 1000, machine) > seconds_of(works[0] * 1000, machine) > 0


def test_work_adds_up_and_what_is_kept_is_kept_once():
    one = Work(launches=2, numbers=10, host=1, kept=5)
    assert one * 3 == Work(6, 30, 3, 5)
    assert one + one == Work(4, 20, 2, 10)
    assert machine_of("cuda:1") is MACHINES["cuda"]


def test_the_sizes_that_suites_promise(tmp_path):
    """Desk: within 85 minutes on two cores. Paper: within 24 hours on a GPU, no task, size or family lost."""
    desk = estimates(DESK, MACHINES["cpu"])
    assert sum(item.hours for item in desk) / 2 < 85 / 60
    text = (ROOT / "config" / "paper.yaml").read_text(encoding="utf-8")
    assert "digits: mnist" in text
    (tmp_path / "paper.yaml").write_text(text.replace("digits: mnist", "digits: scikit-learn"))  # nothing downloaded
    paper = load_suite(tmp_path / "paper.yaml")
    found = estimates(paper, MACHINES["cuda"])
    assert sum(item.hours for item in found) < 24
    assert {item.method for item in found if not item.reason} >= {cell.method for cell in paper.cells}
    assert {item.task for item in found if not item.reason} == set(paper.tasks)


def test_the_command_prints_tasks_methods_and_what_is_left_out():
    command = [sys.executable, "-m", "benchmarks", "estimate", "config/desk.yaml", "--on", "cpu", "--left-out"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "desk on one core of a CPU" in told
    assert "bowl_250k cma_es: covariance needs 500.0 GB" in told
    assert "digit_mlp zerograds: too dear" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["estimat"], "unknown command 'estimat'; did you mean 'estimate'?"),
        (["estimate", "config/nothing.yaml"], "nothing.yaml"),
        (["estimate", "config/appearance.yaml"], "learners only"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, said):
    done = subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
