"""The examples in CONTRIBUTING.md are files of real length that work as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from benchmarks.harness.sources import ROOT

EXAMPLES = re.findall(
    r"Save this as\s+`([\w/]+\.py)`:\n\n```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the rooms with the examples dropped in, and nothing else done to it."""
    folder = tmp_path_factory.mktemp("project")
    for room in ("benchmarks", "methods"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in EXAMPLES:
        (folder / name).write_text(code)
    return folder


def by_hand(project, *arguments):
    command = [sys.executable, "-m", "benchmarks.harness", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if len(line.split()) > 1)


def test_a_file_of_ones_own_is_compared_as_the_page_says(tmp_path):
    page = (ROOT / "docs" / "your_method.md").read_text()
    (name, code), (command,) = (
        re.findall(r"Save this as `(\S+)`:\n\n```python\n(.*?)```", page, re.S)[0],
        re.findall(r"```sh\n(.*?)\n```", page),
    )
    assert len([line for line in command.splitlines() if line]) == 1
    (tmp_path / name).write_text(code)
    done = subprocess.run(
        [sys.executable, *command.split()[1:], "--cores", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"^> +\d+ +Mine ", done.stdout, re.M)
    assert "Mine against" in done.stdout
    folder = tmp_path / "results" / "compare_mine"
    assert (folder / "report.html").is_file()
    assert (folder / "figures" / "overview.png").is_file()
    grid = pd.read_csv(folder / "tuning" / "grid.csv")
    assert set(grid.method) == {"mine"}
    assert len(grid[grid["round"] == 2]) == 3  # with everybody's effort
    runs = pd.read_parquet(folder / "tables" / "runs.parquet")
    assert runs[runs.method == "mine"].source.eq("fresh").all()
    assert runs.method.nunique() > 20


def test_both_kinds_are_shown():
    assert {name.split("/")[0] for name, _ in EXAMPLES} == {"methods", "benchmarks"}
    for name, code in EXAMPLES:
        assert 15 <= len(code.splitlines()) <= 60, name


@pytest.mark.parametrize(
    ("task", "method"),
    [("raster.square", "cross_entropy"), ("raster.disc", "random_search"), ("raster.disc", "cross_entropy")],
)
def test_examples_work(project, task, method):
    row = by_hand(project, "--task", task, "--method", method, "--evaluations", "2000")
    assert row["status"] == "finished"
    assert float(row["loss_final"]) < float(row["loss_start"])


def test_examples_are_as_tidy_as_the_rest(project):
    files = [str(project / name) for name, _ in EXAMPLES]
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--config", str(ROOT / "pyproject.toml"), *files],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
