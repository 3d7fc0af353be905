"""From folders of cells to tables: what is read, what is written, and damaged inputs."""

import math

import numpy as np
import pandas as pd
import pytest
import yaml
from tables_by_hand import make_tuning

from benchmarks.contract.errors import UsageError
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import run_cell
from benchmarks.harness.kept import write_table
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables as make_all
from workflow.tables.__main__ import read_grid
from workflow.tables.collect import read_curves, read_runs, read_tasks
from workflow.tables.pictures import collect_pictures
from workflow.tables.schema import FOLDER, schema
from workflow.tables.tuning import combine
from workflow.tables.written import CHECKSUMS, write

SUITE = {
    "suite": "mini",
    "seeds": 2,
    "checkpoints": 8,
    "limits": {"evaluations": 200, "minutes": 1},
    "tasks": {
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 3}},
        "square": {"problem": "raster.square", "params": {"size": 32}},
    },
    "methods": {"random_search": {}, "es": {"algorithm": "evolution_strategy"}, "adam": {}},
    "grid": [{"tasks": ["bowl", "square"], "methods": ["random_search", "es", "adam"]}],
    "figures": {"gallery": {"tasks": ["square"]}},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small suite that was really run: its config and its results folder."""
    home = tmp_path_factory.mktemp("suite")
    config = home / "mini.yaml"
    config.write_text(yaml.safe_dump({**SUITE, "results": str(home / "results")}))
    suite = load_suite(config)
    for task in suite.tasks:
        calibrate(suite.calibration(task), suite.folder / "tasks" / task)
    for cell in suite.cells:
        run_cell(cell, suite.folder / "runs" / cell.task / cell.method)
    return suite


def test_tables_of_a_real_suite(finished, tmp_path):
    made = make_all(finished, finished.folder)
    write(made, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*made, CHECKSUMS}
    scores = pd.read_csv(tmp_path / "scores.csv").set_index(["task", "method"])
    assert len(scores) == 6
    assert scores.loc[("bowl", "adam"), "oracle"]
    assert scores.loc[("bowl", "adam"), "gap_median"] < scores.loc[("bowl", "random_search"), "gap_median"]
    assert math.isnan(scores.loc[("bowl", "adam"), "rank"])
    assert scores.loc[("bowl", "es"), "algorithm"] == "evolution_strategy"
    assert len(pd.read_parquet(tmp_path / "hits.parquet")) == 6 * 2 * 16
    checks = pd.read_csv(tmp_path / "qc.csv")
    assert set(checks["verdict"]) <= {"ok", "warn"}, checks[checks["verdict"] == "fail"].to_string()
    with np.load(tmp_path / "pictures.npz", allow_pickle=False) as pictures:
        assert set(pictures.files) == {f"square/{name}" for name in ("start", "target", "random_search", "es", "adam")}
        assert pictures["square/es"].dtype == np.uint8


def test_tables_hold_what_the_config_asks_for_whatever_else_lies_in_the_folder(finished):
    fewer = [cell for cell in finished.cells if cell.method != "adam"]
    assert set(read_runs(fewer, finished.folder)["method"]) == {"random_search", "es"}
    assert set(read_curves(fewer, finished.folder)["method"]) == {"random_search", "es"}
    assert not any("adam" in key for key in collect_pictures(fewer, ["square"], finished.folder))


def test_tables_made_twice_are_equal(finished):
    first, second = make_all(finished, finished.folder), make_all(finished, finished.folder)
    for name, table in first.items():
        if isinstance(table, pd.DataFrame):
            pd.testing.assert_frame_equal(table, second[name])


@pytest.fixture
def one_cell(finished, tmp_path):
    """A copy of one cell and its task that a test may damage: the cell, the results folder."""
    cell = finished.cells[0]
    for part in (f"tasks/{cell.task}", f"runs/{cell.task}/{cell.method}"):
        (tmp_path / part).mkdir(parents=True)
        for file in (finished.folder / part).iterdir():
            (tmp_path / part / file.name).write_bytes(file.read_bytes())
    return cell, tmp_path


@pytest.mark.parametrize("damage", ["missing", "truncated"])
@pytest.mark.parametrize("name", ["runs.parquet", "curves.parquet", "images.npz", "task.json"])
def test_damaged_input_is_named_with_the_way_out(one_cell, name, damage):
    cell, results = one_cell
    (path,) = [*results.glob(f"runs/*/*/{name}"), *results.glob("tasks/*/task.json")][:1]
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    read = {
        "task.json": lambda: read_tasks("mini", [cell.task], results),
        "runs.parquet": lambda: read_runs([cell], results),
        "curves.parquet": lambda: read_curves([cell], results),
        "images.npz": lambda: collect_pictures([cell], [cell.task], results),
    }
    with pytest.raises(UsageError, match=f"{name}.*{damage if damage == 'missing' else 'damaged'}.*again"):
        read[name]()


def test_tuning_tables_from_files(tmp_path, capsys):
    for method, losses in (("m", [0.1]), ("broken", [None])):
        folder = tmp_path / "tuning" / "t" / method
        folder.mkdir(parents=True)
        runs = make_tuning({(0.1, 1.0): losses, (0.2, 1.0): losses}, method=method)
        write_table(folder / "grid.parquet", runs)
    combine(tmp_path)
    best = pd.read_csv(tmp_path / "tuning" / "best.csv")
    assert best.values.tolist() == [["t", "m", "lr", 0.1], ["t", "m", "sigma", 1.0]]
    assert "keeps its defaults (diverged: why diverged)" in capsys.readouterr().out
    assert len(read_grid(tmp_path / "tuning" / "best.csv")) == 4
    with pytest.raises(UsageError, match="no grid.parquet below"):
        combine(tmp_path / "empty")


def test_damaged_tuning_grid_is_named(tmp_path):
    (tmp_path / "grid.csv").write_text("task,method\nt,m\n")
    with pytest.raises(UsageError, match="grid.csv: .*columns missing"):
        read_grid(tmp_path / "best.csv")
    assert read_grid(tmp_path / "elsewhere" / "best.csv") is None


def test_every_column_of_every_schema_is_explained():
    for path in FOLDER.glob("*.yaml"):
        table = schema(path.stem)
        assert table["description"]
        assert set(table["key"]) <= set(table["columns"])
        for name, rule in table["columns"].items():
            assert rule["meaning"], f"{path.name}: {name}"
