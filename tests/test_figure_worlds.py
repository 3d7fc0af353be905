"""The pictures of what becomes of a task, run again from a small suite, and the figure of them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from figure_checks import assert_nothing_is_cut_off, words

from benchmarks.contract.errors import UsageError
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import run_cell
from benchmarks.harness.kept import write_pictures
from workflow.figures import figure
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.figures.worlds import Options, counts_of
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables
from workflow.tables.worlds import make_worlds
from workflow.tables.worlds import pictures as again
from workflow.tables.written import CHECKSUMS, write

SUITE = {
    "suite": "shown",
    "seeds": 2,
    "checkpoints": 4,
    "limits": {"evaluations": 100, "minutes": 1},
    "tasks": {
        "square": {"problem": "raster.square", "params": {"case": "overlap", "size": 32}},
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 3}},
        "wide": {"problem": "meshes.multi_view", "params": {"subdivisions": 1, "size": 16}},
    },
    "methods": {"random_search": {}, "es": {"algorithm": "evolution_strategy", "params": {"lr": 0.3}}},
    "grid": [{"tasks": ["square", "bowl", "wide"], "methods": ["random_search", "es"]}],
    "figures": {"worlds": {"tasks": ["square", "wide"]}},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the suite's tables, and the pictures run again."""
    home = tmp_path_factory.mktemp("suite")
    config = home / "shown.yaml"
    config.write_text(yaml.safe_dump({**SUITE, "results": str(home / "results")}))
    suite = load_suite(config)
    for task in suite.tasks:
        calibrate(suite.calibration(task), suite.folder / "tasks" / task)
    for cell in suite.cells:
        run_cell(cell, suite.folder / "runs" / cell.task / cell.method)
    folder = suite.folder / "tables"
    write(make_tables(suite, suite.folder), folder)
    (folder / CHECKSUMS).unlink()  # tests change tables on purpose
    pictures = make_worlds(suite, suite.folder)
    write_pictures(folder / "worlds.npz", pictures)
    return folder, pictures


def test_a_run_that_is_run_again_ends_with_the_stored_picture(made):
    folder, pictures = made
    stored = Tables(folder).pictures()
    for cell in load_suite(folder.parents[2] / "shown.yaml").cells:
        if cell.task == "square":
            assert np.array_equal(dict(again(cell, (0.5, 1.0)))[100], stored[f"square/{cell.method}"])
    assert {key.split("/")[0] for key in pictures} == {"square", "wide"}
    for method in ("es", "random_search"):
        assert np.array_equal(pictures[f"square/{method}/100"], stored[f"square/{method}"])
    assert [key for key in pictures if key.startswith("square/es")] == [f"square/es/{at}" for at in (2, 10, 30, 100)]


def test_the_figure_names_tasks_methods_and_evaluations(made):
    use_style()
    drawn = figure("worlds").draw(Tables(made[0]), Options())
    said = words(drawn)
    missing = [word for word in ("Square", "Wide", "start", "target", "Random search", "100") if word not in said]
    assert not missing, said
    assert_nothing_is_cut_off(drawn)


def test_nothing_to_show_is_told(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "tables")
    write_pictures(folder / "worlds.npz", {})
    with pytest.raises(UsageError, match="worlds.npz holds no picture"):
        figure("worlds").draw(Tables(folder), Options())


def test_counts_are_told_beside_those_of_the_target():
    assert counts_of("") == ("", "")
    values = {"stakes": 18, "rows": 9, "height": 1.2, "stakes_too_many": 1, "rows_too_many": -2}
    assert counts_of(json.dumps(values)) == ("stakes 18, rows 9", "stakes 17, rows 11")


def test_the_figure_shows_counts_and_why_a_task_has_no_pictures(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "tables")
    runs = pd.read_parquet(folder / "runs.parquet")
    runs["values"] = np.where(runs.task == "square", '{"stakes": 15, "stakes_too_many": -2}', "")
    lost = runs.task == "wide"
    runs.loc[lost, "status"], runs.loc[lost, "reason"] = "unsupported", "Blender is not installed"
    runs.loc[lost, "loss_final"] = np.nan
    runs.to_parquet(folder / "runs.parquet")
    kept = {key: item for key, item in made[1].items() if not key.startswith("wide/")}
    write_pictures(folder / "worlds.npz", kept)
    use_style()
    drawn = figure("worlds").draw(Tables(folder), Options(["square", "wide"]))
    said = words(drawn)
    missing = [word for word in ("stakes 15", "stakes 17", "Wide", "unsupported", "not installed") if word not in said]
    assert not missing, said
    assert_nothing_is_cut_off(drawn)
    assert drawn.get_size_inches()[1] < 3.2  # a line that says why needs no more
