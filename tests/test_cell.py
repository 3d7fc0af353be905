"""A cell keeps every finished replicate, trusts nothing that is stale or damaged, and says clearly what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.contract.errors import UsageError
from benchmarks.harness import cell as cell_module
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import Cell, run_cell, run_missing
from benchmarks.harness.registry import method_class, task_class
from benchmarks.harness.search import CELLS, FINALISTS
from benchmarks.harness.sources import ROOT, cell_sources
from benchmarks.harness.store import atomic
from benchmarks.harness.tune import TuningCell, budgets, tune

CELL = Cell(
    suite="test",
    task="bowl",
    problem="analytic.quadratic",
    method="es",
    algorithm="evolution_strategy",
    evaluations=160,
    minutes=1.0,
    replicates=[0, 1],
    problem_params={"dim": 3},
    checkpoints=6,
)


def numbers(folder):
    table = pd.read_parquet(folder / "runs.parquet")
    return table[["task", "method", "seed", "status", "n_evals", "cost", "loss_start", "loss_final"]]


def command(module, *arguments):
    return [sys.executable, "-m", f"benchmarks.harness{module}", *arguments]


def test_tables_of_a_cell(folder):
    run_cell(CELL, folder)
    runs, curves = pd.read_parquet(folder / "runs.parquet"), pd.read_parquet(folder / "curves.parquet")
    assert list(runs.seed) == [0, 1]
    assert set(runs.suite) == {"test"}
    assert "torch=" in runs.versions[0]
    assert json.loads(runs.params[0])["lr"] > 0
    assert list(curves.columns) == ["suite", "task", "method", "seed", "cost", "wall_s", "metric", "value"]
    last = curves[curves.metric == "loss"].groupby("seed").value.last()
    np.testing.assert_array_equal(last.to_numpy(), runs.loss_final.to_numpy())


def test_the_same_cell_twice_gives_the_same_numbers(folder):
    run_cell(CELL, folder / "a")
    run_cell(CELL, folder / "b")
    pd.testing.assert_frame_equal(numbers(folder / "a"), numbers(folder / "b"))


def test_finished_replicates_are_kept_and_damaged_ones_computed_again(folder, capsys):
    run_cell(CELL, folder)
    whole = numbers(folder)
    capsys.readouterr()
    (folder / "replicate_1.json").write_text((folder / "replicate_1.json").read_text()[:100])
    (folder / "runs.parquet").unlink()
    run_cell(CELL, folder)
    said = capsys.readouterr().out
    assert "replicate_1.json is damaged" in said
    assert "replicate 0:" not in said, "replicate 0 was finished"
    pd.testing.assert_frame_equal(numbers(folder), whole)


def test_changed_settings_or_code_make_a_replicate_stale(folder, capsys, monkeypatch):
    run_cell(CELL, folder)
    capsys.readouterr()
    run_cell(replace(CELL, suite="another", replicates=[0, 1, 2]), folder)
    assert capsys.readouterr().out.count("replicate") == 1, "only the new one"
    run_cell(replace(CELL, params={"lr": 0.2}), folder)
    assert capsys.readouterr().out.count("replicate") == 2
    monkeypatch.setattr(cell_module, "cell_sources", lambda *_: ["methods/base.py"])
    run_cell(replace(CELL, params={"lr": 0.2}), folder)
    assert capsys.readouterr().out.count("replicate") == 2


def test_sources_follow_imports():
    files = cell_sources("analytic.quadratic", "evolution_strategy")
    assert {"benchmarks/analytic/quadratic.py", "methods/evolution_strategy.py", "methods/base.py"} <= set(files)
    assert {"benchmarks/harness/loop.py", "benchmarks/harness/budget.py"} <= set(files)
    assert "methods/random_search.py" not in files


def test_killed_job_goes_on_where_it_stopped(folder):
    long = replace(CELL, evaluations=600_000, minutes=10.0, replicates=[0], algorithm="evolution_strategy")
    whole = folder / "whole"
    environment = {**os.environ, "BEYOND_GD_SAVE_SECONDS": "0.1"}
    spec = ["--spec", json.dumps(asdict(long)), "--out"]
    killed = folder / "killed"
    job = subprocess.Popen(command(".cell", *spec, str(killed)), env=environment, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (killed / "replicate_0.state").is_file() and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert (killed / "replicate_0.state").is_file()
    assert not (killed / "runs.parquet").exists()
    for out in (killed, whole):
        subprocess.run(command(".cell", *spec, str(out)), env=environment, cwd=ROOT, check=True, capture_output=True)
    pd.testing.assert_frame_equal(numbers(killed), numbers(whole))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problem": "analytic.quadratik"}, ["unknown task 'analytic.quadratik'", "analytic.quadratic"]),
        ({"algorithm": "evolution_stratgy"}, ["unknown method", "evolution_strategy"]),
        ({"params": {"sgima": 1.0}}, ["method 'es' (evolution_strategy)", "'sgima'", "'sigma'"]),
        ({"params": {"sigma": "wide"}}, ["'sigma'", "'wide'", "float"]),
        ({"params": {"sampling": "sideways"}}, ["sampling", "sideways", "antithetic"]),
        ({"problem_params": {"dim": 2.5}}, ["task 'bowl'", "'dim'", "int"]),
        ({"device": "cuda:97"}, ["cuda:97", "device"]),
    ],
)
def test_bad_specifications(folder, change, words):
    with pytest.raises(UsageError) as caught:
        run_cell(replace(CELL, **change), folder)
    for word in words:
        assert word in str(caught.value)


def test_unknown_key_of_a_specification():
    with pytest.raises(UsageError, match="did you mean 'evaluations'"):
        Cell.from_json(json.dumps({**asdict(CELL), "evaluation": 3}))


def test_unwritable_folder_is_a_clear_error(tmp_path):
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(UsageError, match="cannot write .*results.*kept"):
        run_cell(CELL, tmp_path / "results" / "cell")


def test_full_disk_keeps_the_old_file(tmp_path):
    path = tmp_path / "table"
    path.write_text("old")

    def write():
        with atomic(path) as part:
            part.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(UsageError, match=r"No space left.*free some space"):
        write()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_a_lack_of_memory_is_a_row(folder):
    spec = replace(CELL, problem_params={"dim": 250_000}, params={"batch": 2000}, memory_gib=1.0, replicates=[0])
    arguments = ["--spec", json.dumps(asdict(spec)), "--out", str(folder)]
    subprocess.run(command(".cell", *arguments), cwd=ROOT, check=True, capture_output=True)
    assert pd.read_parquet(folder / "runs.parquet").status[0] == "out_of_memory"


def test_tuning_uses_other_replicates_and_the_whole_grid(folder):
    cell = TuningCell(**{**vars(CELL), "replicates": [0]}, fraction=0.25)
    tune(cell, folder)
    table = pd.read_parquet(folder / "grid.parquet")
    assert table.seed.min() >= 1_000_000
    assert len(table) == CELLS + FINALISTS
    assert table.choice.nunique() == CELLS
    first, second = (table[table["round"] == number] for number in (1, 2))
    assert not set(first.seed) & set(second.seed)
    assert (first.budget == CELL.evaluations // 4).all()
    assert (second.budget == CELL.evaluations).all()
    spent = table.cost.sum() / CELL.evaluations
    assert budgets(cell) * 0.7 < spent <= budgets(cell)  # whole batches only


def test_tuning_goes_on_where_it_was_killed(folder, monkeypatch):
    cell = TuningCell(**{**vars(CELL), "replicates": [0]}, fraction=0.25)
    tune(cell, folder / "whole")
    ran = []
    monkeypatch.setattr("benchmarks.harness.cell.run_missing", lambda *given: ran.append(given) or run_missing(*given))
    whole = pd.read_parquet(folder / "whole" / "grid.parquet")
    for number in (4, CELLS + 1):
        for file in (folder / "whole" / f"cell_{number}").glob("replicate_*.json"):
            file.unlink()
    tune(cell, folder / "whole")
    assert len(ran) == 2
    again = pd.read_parquet(folder / "whole" / "grid.parquet")
    keep = ["round", "cell", "choice", "seed", "loss_final", "n_evals"]
    pd.testing.assert_frame_equal(whole[keep], again[keep])


def test_calibration(folder):
    spec = {"task": "bowl", "problem": "analytic.quadratic", "problem_params": {"dim": 3}, "device": "cpu"}
    calibrate({**spec, "replicates": [0, 1], "threads": 1}, folder)
    row = json.loads((folder / "task.json").read_text())
    assert row["dim"] == 3
    assert row["loss_floor"] == 0
    assert row["gradient_error"] < 1e-2
    assert row["evaluate_ms"] > 0


def test_by_hand_shows_progress_and_the_row():
    arguments = [
        "--task",
        "analytic.quadratic",
        "--method",
        "random_search",
        "--evaluations",
        "64",
        "--task-set",
        "dim=2",
    ]
    done = subprocess.run(command("", *arguments), cwd=ROOT, check=True, capture_output=True, text=True)
    assert "finished" in done.stdout
    assert "64" in done.stderr
    wrong = subprocess.run(
        command("", "--task", "analytic.quadratic", "--method", "randm_search"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert wrong.returncode == 2
    assert wrong.stderr.strip() == "error: unknown method 'randm_search'; did you mean 'random_search'?"


def test_a_file_holds_exactly_one(monkeypatch):
    assert task_class("analytic.quadratic").__name__ == "Quadratic"
    assert method_class("random_search").__name__ == "RandomSearch"
