"""What a task refuses, what it leaves alone, and how much memory its batches take."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.contract import parameters
from benchmarks.contract.errors import UsageError
from benchmarks.harness.registry import task_class
from benchmarks.harness.rooms import task_names

GIBIBYTE = 2**30
BAD = [
    ("analytic.plateau", "dim", 0),
    ("analytic.plateau", "dim", -1),
    ("analytic.quadratic", "dim", 0),
    ("analytic.quadratic", "dim", -3),
    ("analytic.quadratic", "condition", 0.0),
    ("analytic.quadratic", "condition", -1.0),
    ("analytic.quadratic", "condition", float("nan")),
    ("analytic.rosenbrock", "dim", 1),
    ("caustics.height_field", "photons", 0),
    ("caustics.height_field", "photons", -8),
    ("caustics.height_field", "pixels", 1),
    ("caustics.height_field", "pixels", -8),
    ("networks.digit_mlp", "index", -1),
    ("networks.digit_mlp", "index", 1797),
    ("networks.digit_mlp", "digits", "cifar"),
    ("pixels.texture", "size", 0),
    ("pixels.texture", "size", -32),
    ("pixels.texture", "size", 32.5),
    ("raster.square", "size", 0),
    ("raster.square", "size", -64),
    ("raster.square", "squares", 0),
    ("raster.square", "squares", -1),
    ("raster.square", "case", "beside"),
    ("raster.square", "squares", True),
]
LARGE = [
    ("analytic.quadratic", {"dim": 250_000}),
    ("analytic.plateau", {"dim": 100_000}),
    ("analytic.rosenbrock", {"dim": 100_000}),
    ("caustics.height_field", {}),
    ("caustics.height_field", {"photons": 16, "pixels": 64}),
    ("networks.digit_mlp", {}),
    ("pixels.texture", {"size": 64}),
    ("raster.square", {}),
    ("raster.square", {"case": "occluded"}),
    ("raster.square", {"squares": 400, "size": 320}),
]


def peak_bytes(work) -> int:
    """Most bytes of tensors that `work` held at a time, beyond those there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = work()
    del kept
    changes = [
        (event.start_ns(), event.nbytes()) for event in record.profiler.kineto_results.events() if event.nbytes()
    ]
    return int(np.cumsum([nbytes for _, nbytes in sorted(changes)]).max(initial=0))


@pytest.mark.parametrize(("name", "key", "value"), BAD)
def test_impossible_parameters_are_refused_by_name(name, key, value):
    cls = task_class(name)
    with pytest.raises(UsageError) as caught:
        cls(**parameters.check(cls.setup, {key: value}, name))
    assert name in str(caught.value)
    assert key in str(caught.value)


@pytest.mark.parametrize("name", task_names())
def test_building_and_looking_is_repeatable_and_touches_no_global_random_state(name):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    seen = []
    for _ in range(2):
        problem = task_class(name)()
        start = problem.space(4, 10).start
        pictures = [problem.image(start), problem.target_image()]
        seen.append([start, problem.validate(start), problem.floor(), problem.oracle_gradient(start), *pictures])
    for first, second in zip(*seen, strict=True):
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


@pytest.mark.parametrize("name", task_names())
def test_the_floor_is_the_loss_of_the_optimum(name):
    problem = task_class(name)()
    metrics = problem.validate(problem.space(0, 10).start)
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())
    # A rendered task is validated with many samples per pixel, a trained network on digits that no run sees.
    noise = 0.25 if name.startswith("rendering.") or name == "networks.spline_vae" else 1e-6
    assert metrics["loss"] == pytest.approx(float(problem.loss(problem.space(0, 10).start[None], 0)), rel=noise)
    known = problem.solution()
    best = 0.0 if known is None else float(problem.loss(known[None], 0))
    assert problem.floor() == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize(("name", "params"), LARGE)
def test_the_largest_batch_fits_into_the_memory_that_it_claims(name, params):
    problem = task_class(name)(**params)
    start = problem.space(0, 10).start
    candidates = min(8, problem.max_batch)
    z = start.repeat(candidates, 1)
    with torch.no_grad():
        per_candidate = peak_bytes(partial(problem.loss, z, 0)) / candidates
    assert 0 < per_candidate * problem.max_batch < 1.5 * GIBIBYTE
