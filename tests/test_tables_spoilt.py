"""Tables are made from what there is: tasks that could not be measured, cells that crashed, learners that failed."""

from __future__ import annotations

import shutil
from functools import partial
from itertools import product

import pandas as pd
import pytest
import yaml

from benchmarks.experiments import sampling
from benchmarks.harness import adapt, calibrate, cell
from benchmarks.harness.phases import NAMES, NOBODY, Beat
from benchmarks.harness.watch import Death
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables, write

CONFIG = {
    "suite": "spoilt",
    "seeds": 2,
    "checkpoints": 3,
    "limits": {"evaluations": 60, "minutes": 1},
    "tasks": {
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 3}},
        "square": {"problem": "raster.square", "params": {"case": "apart"}},
    },
    "methods": {"random_search": {}, "adam": {}, "prdpt": {}},
    "grid": [{"tasks": ["bowl", "square"], "methods": ["random_search", "adam", "prdpt"]}],
    "families": {
        "small": {
            "family": "brdf",
            "params": {"train": 4, "validation": 1, "test": 2, "samples": 16, "pixels": 16},
            "training": {"samples": 2000},
        }
    },
    "learners": {"fomaml": {}, "overfit": {}},
    "adaptations": [{"families": ["small"], "learners": ["fomaml", "overfit"], "steps": 10}],
    "sampling": {
        "family": "small",
        "params": {"train": 4, "validation": 1, "test": 2, "samples": 16, "pixels": 16},
        "models": ["phong"],
        "counts": [1, 4],
        "warm_steps": 2,
        "outer_steps": 1,
    },
}
STATUSES = ("unsupported", "crashed", "timeout", "out_of_memory")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small suite of all kinds, run."""
    folder = tmp_path_factory.mktemp("suite")
    suite = write_suite(folder, CONFIG)
    for label in suite.tasks:
        calibrate.calibrate(suite.calibration(label), folder / "tasks" / label)
    for one in suite.cells:
        cell.run_cell(one, folder / "runs" / one.task / one.method)
    for one in suite.meta_cells:
        where = (one.family, one.learner)
        adapt.adapt_all(one, folder.joinpath("models", *where), folder.joinpath("adaptation", *where))
    for model, spec in suite.sampling.items():
        sampling.run_sampling(sampling.Sampling(**spec), folder / "sampling" / model)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it to be spoilt."""
    return shutil.copytree(finished, tmp_path / "suite")


def write_suite(folder, config):
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return load_suite(path)


def death(status="crashed", phase="ask"):
    beat = Beat(1, phase, 0, NOBODY, 0, 0, 0, 0, 0.0)
    assert phase in NAMES
    return Death(status, "the process died of SIGSEGV", beat, 1.0, 100.0)


def spoil_task(suite, folder, label, status):
    facts = {"status": status, "phase": "task", "reason": "Mitsuba cannot be loaded: `apt-get install libatomic1`"}
    calibrate.store(suite.calibration(label), folder / "tasks" / label, facts)


def spoil_cell(suite, folder, task, method, status):
    for one in suite.cells:
        if (one.task, one.method) == (task, method):
            out = folder / "runs" / task / method
            shutil.rmtree(out)
            assert cell.bury([cell.Piece(one, out)], death(status)) == 2
            cell.write_tables(one, out)


def spoil_learner(suite, folder, learner, status):
    for one in suite.meta_cells:
        if one.learner == learner:
            models, out = folder / "models" / one.family / learner, folder / "adaptation" / one.family / learner
            shutil.rmtree(models)
            shutil.rmtree(out)
            assert adapt.bury([(one, models, out)], death(status, "train")) == 2
            adapt.write_tables(one, out, {})


def spoil_sampling(suite, folder, status):
    for model, spec in suite.sampling.items():
        shutil.rmtree(folder / "sampling" / model)
        asked = sampling.Sampling(**spec)
        assert sampling.bury(asked, folder / "sampling" / model, death(status, "train")) > 0
        sampling.write_rows(asked, folder / "sampling" / model)


def made(folder, config=CONFIG):
    """The tables, written and read again."""
    tables = make_tables(write_suite(folder, config), folder)
    write(tables, folder / "tables")
    return tables


def test_nothing_spoilt(folder):
    tables = made(folder)
    assert set(tables["runs.parquet"].status) == {"finished"}
    assert tables["runs.parquet"].dim.dtype == int
    assert set(tables["tasks.csv"].status) == {"ok"}


@pytest.mark.parametrize(("labels", "status"), product((["bowl"], ["bowl", "square"]), STATUSES))
def test_a_task_that_could_not_be_measured(labels, status, folder):
    suite = write_suite(folder, CONFIG)
    for label in labels:
        spoil_task(suite, folder, label, status)
    tables = made(folder)
    tasks = tables["tasks.csv"].set_index("task")
    assert list(tasks.status[labels]) == [status] * len(labels)
    assert tables["targets.csv"].task.isin(labels).sum() == 0
    scores = tables["scores.csv"]
    assert len(scores) == 6
    assert scores.gap_median[scores.task.isin(labels)].isna().all()
    assert len(pd.read_csv(folder / "tables" / "scores.csv")) == 6


@pytest.mark.parametrize("status", STATUSES)
def test_cells_that_crashed(status, folder):
    suite = write_suite(folder, CONFIG)
    for method in CONFIG["methods"]:
        spoil_cell(suite, folder, "bowl", method, status)
    spoil_cell(suite, folder, "square", "prdpt", status)
    tables = made(folder)
    runs = tables["runs.parquet"].set_index(["task", "method"])
    assert set(runs.loc["bowl"].status) == {status}
    assert set(runs.loc[("square", "adam")].status) == {"finished"}
    assert set(runs.loc["bowl"].dim) == {3}, "known from the task"
    assert tables["scores.csv"].set_index(["task", "method"]).n_ok[("square", "prdpt")] == 0


def test_everything_crashed(folder):
    suite = write_suite(folder, CONFIG)
    for task, method in product(CONFIG["tasks"], CONFIG["methods"]):
        spoil_task(suite, folder, task, "crashed")
        spoil_cell(suite, folder, task, method, "crashed")
    for learner in CONFIG["learners"]:
        spoil_learner(suite, folder, learner, "crashed")
    spoil_sampling(suite, folder, "crashed")
    tables = made(folder)
    assert set(tables["runs.parquet"].status) == {"crashed"}
    assert set(tables["models.parquet"].status) == {"crashed"}
    assert set(tables["sampling.parquet"].status) == {"crashed"}


@pytest.mark.parametrize(("learner", "status"), product(CONFIG["learners"], STATUSES))
def test_a_learner_that_failed(learner, status, folder):
    spoil_learner(write_suite(folder, CONFIG), folder, learner, status)
    tables = made(folder)
    models = tables["models.parquet"].set_index("learner")
    assert set(models.status[[learner]]) == {status}
    assert learner not in set(tables["adaptation.parquet"].learner)
    assert tables["speedups.csv"].empty


@pytest.mark.parametrize("learner", CONFIG["learners"])
def test_a_learner_without_rival(learner, folder):
    config = CONFIG | {
        "learners": {learner: {}},
        "adaptations": [{"families": ["small"], "learners": [learner], "steps": 10}],
    }
    tables = made(folder, config)
    assert set(tables["models.parquet"].learner) == {learner}
    assert tables["speedups.csv"].empty


@pytest.mark.parametrize("spoil", [partial(spoil_sampling, status="timeout"), None])
def test_sampling_that_failed(spoil, folder):
    suite = write_suite(folder, CONFIG)
    if spoil:
        spoil(suite, folder)
    assert set(made(folder)["sampling.parquet"].status) == {"timeout" if spoil else "ok"}
