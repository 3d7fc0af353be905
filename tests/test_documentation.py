"""The examples in CONTRIBUTING.md are files of real length that work as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

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
