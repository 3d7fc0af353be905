"""Renders that fail, are not numbers, are killed or short of memory leave rows, not ruins."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pandas as pd
import pytest
import torch

from benchmarks.harness.cell import Cell
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.runner import run
from benchmarks.harness.sources import ROOT
from benchmarks.rendering._mitsuba import backend
from benchmarks.rendering.cup import Cup

pytestmark = pytest.mark.llvm

CELL = Cell(
    suite="test",
    task="cup",
    problem="rendering.cup",
    method="es",
    algorithm="evolution_strategy",
    evaluations=1000,
    minutes=2.0,
    replicates=[0],
    problem_params={"width": 16, "height": 12, "spp": 4},
    memory_gib=4.0,
    checkpoints=8,
)


class _Nan(Cup):
    """One pixel is not a number, from the render after `healthy` ones on."""

    healthy = 0
    renders = 0

    def _picture(self, spp, seed):
        self.renders += 1
        picture = super()._picture(spp, seed)
        return self.spoil(picture) if self.renders > self.healthy else picture

    def spoil(self, picture):
        picture[3, 5] = torch.nan
        return picture


class _Raise(_Nan):
    """The renderer gives up instead."""

    def spoil(self, picture):
        raise RuntimeError("the renderer gave up")


@pytest.mark.parametrize("healthy", [0, 40])
@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [(_Nan, "invalid_loss", "answered nan"), (_Raise, "crashed", "RuntimeError.*the renderer gave up")],
)
def test_a_bad_render_is_a_row(kind, status, words, healthy):
    problem = kind(width=16, height=12, spp=4)
    problem.healthy = healthy
    search = method_class("random_search")
    result = run(problem, search, {}, Limits(200, 60), task="cup", label="search", replicate=0, checkpoints=4)
    assert result.status == status
    assert re.search(words, result.reason)
    assert (result.row["cost"] > 0) == (healthy > 0)
    assert math.isnan(result.row["loss_final"])
    assert result.incumbent is None


def command(cell, out):
    return [sys.executable, "-m", "benchmarks.harness.cell", "--spec", json.dumps(asdict(cell)), "--out", str(out)]


def numbers(folder):
    runs, curves = pd.read_parquet(folder / "runs.parquet"), pd.read_parquet(folder / "curves.parquet")
    keys = ["task", "method", "seed", "status", "n_evals", "n_grads", "cost", "loss_start", "loss_final"]
    return runs[keys], curves[["cost", "metric", "value"]]


def test_a_killed_render_goes_on(folder):
    """The same command again finishes with the rows of an uninterrupted run."""
    environment = {**os.environ, "BEYOND_GD_SAVE_SECONDS": "0.05"}
    killed, whole = folder / "killed", folder / "whole"
    job = subprocess.Popen(command(CELL, killed), env=environment, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not (killed / "replicate_0.state").is_file() and time.monotonic() < deadline:
        assert job.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert (killed / "replicate_0.state").is_file()
    assert not (killed / "runs.parquet").exists()
    for out in (killed, whole):
        subprocess.run(command(CELL, out), env=environment, cwd=ROOT, check=True, capture_output=True)
    for mine, other in zip(numbers(killed), numbers(whole), strict=True):
        pd.testing.assert_frame_equal(mine, other)


def test_llvm_compiles_within_four_gibibytes(folder):
    if backend().no_gradient:
        pytest.skip(backend().no_gradient)
    cell = replace(CELL, method="adam", algorithm="adam", evaluations=60)
    fresh = {**os.environ, "DRJIT_CACHE_DIR": str(folder / "kernels")}
    (folder / "kernels").mkdir(parents=True)
    subprocess.run(command(cell, folder), env=fresh, cwd=ROOT, check=True, capture_output=True)
    row = pd.read_parquet(folder / "runs.parquet").iloc[0]
    assert (row["status"], row["reason"]) == ("finished", "")
    assert row["n_grads"] == 20
    assert row["memory_peak_mib"] < 4096
    assert "mitsuba=3." in row["versions"]
    assert list((folder / "kernels").iterdir()), "the kernels were compiled under the limit"
