"""What the pipeline calls, on a GPU or its test double: it runs, and a lack of the device's memory is a row."""

from __future__ import annotations

import json
from functools import wraps

import pandas as pd
import pytest
import torch
from cuda_double import on_the_device
from test_diffusion import CONFIG as DIFFUSION
from test_meta_learners import SMALL
from test_meta_sampling import SPEC as SAMPLING
from test_tasks import TINY

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.appearance.brdf import Brdf
from benchmarks.experiments.diffusion import Diffusion
from benchmarks.experiments.sampling import MODELS as MODELS_OF_BRDFS
from benchmarks.experiments.sampling import TABLE, Sampling, run_sampling
from benchmarks.harness import meta_speed, zerograds_speed
from benchmarks.harness.adapt import MODELS, adapt_all
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import RUNS, Cell, run_cell
from benchmarks.harness.ending import ending_of
from benchmarks.harness.kept import read_json
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.pieces import run_pieces
from benchmarks.harness.trained import load_trained
from benchmarks.harness.tune import TuningCell, tune
from methods.prdpt import Prdpt
from workflow.suite import Suite

TEXT = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 79 GiB in total"
META = MetaCell(
    *("s", "brdf", "brdf", "maml", "maml", 3, 2000, [0]), family_params=SMALL["brdf"], pictured=1, device="cuda"
)
SPEC = {
    "suite": "s",
    "task": "t",
    "problem": "analytic.quadratic",
    "method": "m",
    "algorithm": "prdpt",
    "device": "cuda",
    "minutes": 1.0,
}


def fill(monkeypatch, kind, name):
    """Let a function of a class meet a full device whenever it is called."""

    @wraps(getattr(kind, name))
    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError(TEXT)

    monkeypatch.setattr(kind, name, full)


@pytest.mark.parametrize(
    ("kind", "name", "phase"),
    [
        (Quadratic, "setup", "task"),
        (Quadratic, "loss", "loss"),
        (Quadratic, "image", "image"),
        (Prdpt, "setup", "setup"),
        (Prdpt, "tell", "tell"),
    ],
)
def test_out_of_memory_is_a_row(kind, name, phase, folder, monkeypatch):
    fill(monkeypatch, kind, name)
    with on_the_device():
        run_cell(Cell(**SPEC, evaluations=40, replicates=[0, 1]), folder)
    rows = pd.read_parquet(folder / RUNS)
    assert list(rows.status) == ["out_of_memory"] * 2
    assert set(rows.phase) == {phase}
    assert rows.reason.str.startswith("CUDA out of memory").all()
    assert rows.loss_final.isna().all()


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    ],
)
def test_a_lack_that_a_library_tells_in_its_own_words(text):
    assert ending_of(RuntimeError(text)).status == "out_of_memory"
    assert ending_of(RuntimeError("CUDA error: an illegal memory access was encountered")).status == "crashed"


def test_out_of_memory_in_the_middle_keeps_what_was_spent(folder, monkeypatch):
    whole, calls = Quadratic.loss, []

    def sometimes(self, z, seed):
        calls.append(len(z) - 1)  # a single candidate is a validation
        if len(z) > 1 and sum(calls) > 30:
            raise torch.cuda.OutOfMemoryError(TEXT)
        return whole(self, z, seed)

    monkeypatch.setattr(Quadratic, "loss", sometimes)
    with on_the_device():
        run_cell(Cell(**SPEC, evaluations=1000, replicates=[0]), folder)
    row = pd.read_parquet(folder / RUNS).iloc[0]
    assert (row.status, row.phase) == ("out_of_memory", "loss")
    assert row.n_steps > 0
    assert 0 < row.n_evals < 100
    assert row.gpu_peak_mib > 0
    assert row.device


@pytest.mark.parametrize(("kind", "name"), [(Brdf, "setup"), (Brdf, "loss"), (Brdf, "picture")])
def test_out_of_memory_of_a_learner_is_a_row(kind, name, folder, monkeypatch):
    fill(monkeypatch, kind, name)
    with on_the_device():
        adapt_all(META, folder / "models", folder / "out")
    row = pd.read_parquet(folder / "out" / MODELS).iloc[0]
    assert row.status == "out_of_memory"
    assert "CUDA out of memory" in row.reason


def test_programs(folder):
    """What the pipeline calls, in one process: cells, tuning, calibration, training, adaptation, sampling, speed."""
    with on_the_device():
        cell = Cell(**SPEC, evaluations=60, replicates=[0], memory_gib=1.0)
        run_cell(cell, folder / "runs")
        row = pd.read_parquet(folder / "runs" / RUNS).iloc[0]
        assert (row.status, row.device) == ("finished", torch.cuda.get_device_name("cuda"))
        assert row.gpu_peak_mib > 0
        tune(TuningCell(**SPEC, evaluations=60, replicates=[0], fraction=0.5), folder / "tuning")
        assert set(pd.read_parquet(folder / "tuning" / "grid.parquet").status) <= {"finished", "stopped"}
        spec = {"task": "t", "problem": "raster.square", "problem_params": TINY["raster.square"], "threads": 1}
        calibrate({**spec, "device": "cuda", "replicates": [0, 1]}, folder / "tasks")
        assert read_json(folder / "tasks" / "task.json")["status"] == "ok"
        adapt_all(META, folder / "models", folder / "out")
        assert list(pd.read_parquet(folder / "out" / MODELS).status) == ["ok"]
        trained = load_trained(folder / "models" / "replicate_0.pt", "cuda")
        own = trained.family.sample(trained.family.split.test[:1], 8, torch.Generator().manual_seed(0))
        assert trained.adapt({key: value.cpu() for key, value in own.items()}, steps=2).device.type == "cuda"
        asked = Sampling.from_json(json.dumps({**SAMPLING, "models": list(MODELS_OF_BRDFS), "device": "cuda"}))
        run_sampling(asked, folder / "sampling")
        assert pd.read_parquet(folder / "sampling" / TABLE).value.notna().all()
        for spec in Suite("tiny.yaml", {**DIFFUSION, "device": "cuda"}).diffusion.values():
            run_pieces(Diffusion(**spec), folder / "diffusion" / spec["task"])
            choices = pd.read_parquet(folder / "diffusion" / spec["task"] / "choices.parquet")
            assert set(choices.status) <= {"ok", "unsupported"}, set(choices.reason)
            assert (choices.status == "ok").any()
        meta_speed.measure(Brdf("cuda", **SMALL["brdf"]), tasks=2, steps=2, repeats=1)
        zerograds_speed.measure(100, 1, "cuda")
