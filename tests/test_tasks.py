"""The contract of a task, checked on every file in the worlds of `benchmarks/`."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.contract.problem import Problem
from benchmarks.harness.registry import task_class
from benchmarks.harness.rooms import task_names

TINY = {  # parameters that make a task quick; a task that is not named here is tested as it comes
    "caustics.height_field": {"photons": 32, "pixels": 16},
    "pixels.camera": {"size": 16},
    "pixels.mixture": {"size": 8},
    "pixels.texture": {"size": 8},
    "raster.square": {"size": 32, "squares": 3},
}
DIMENSIONS = [  # the benchmark's table of sizes
    ("analytic.toy_spline", {}, 1),
    ("analytic.plateau", {"dim": 250_000}, 250_000),
    ("analytic.rosenbrock", {}, 2),
    ("analytic.quadratic", {"dim": 250_000}, 250_000),
    ("raster.square", {}, 2),
    ("raster.square", {"squares": 7, "size": 64}, 14),
    ("pixels.texture", {"size": 32}, 3_072),
    ("pixels.texture", {"size": 64}, 12_288),
    ("pixels.texture", {"size": 128}, 49_152),
    ("pixels.texture", {"size": 256}, 196_608),
    ("pixels.texture", {"size": 288}, 248_832),
    ("networks.digit_mlp", {}, 35_152),
    ("caustics.height_field", {}, 1_024),
]
EXACT_IN_SINGLE = {"raster.square"}  # counts pixels: its float32 sums have no rounding
everywhere = pytest.mark.parametrize("name", task_names())


@cache
def tiny(name: str) -> Problem:
    return task_class(name)(**TINY.get(name, {}))


def around(problem: Problem, count: int, seed: int = 0) -> Tensor:
    """Candidates (count, dim) one natural step around a start, inside the box."""
    noise = torch.randn(count, problem.dim, generator=torch.Generator().manual_seed(seed))
    space = problem.space(seed, 100)
    return space.project(space.start + noise.to(space.start))


def in_double_precision(name: str) -> Problem:
    """The task with all its constants in float64, so that differences are not drowned by rounding."""
    problem = task_class(name)(**TINY.get(name, {}))
    if name in EXACT_IN_SINGLE:
        return problem
    for key, value in vars(problem).items():
        if isinstance(value, Tensor) and value.is_floating_point():
            setattr(problem, key, value.double())
    return problem


@pytest.mark.parametrize(("name", "params", "dim"), DIMENSIONS)
def test_dimensions_and_start(name, params, dim):
    problem = task_class(name)(**params)
    space = problem.space(0, 100)
    assert problem.dim == space.dim == dim
    assert space.start.shape == (dim,)
    assert space.max_batch >= 2


def test_a_task_that_hides_a_part_of_its_contract_is_told_so():
    class Hiding(task_class("analytic.quadratic")):
        def setup(self, dim: int = 3) -> None:
            super().setup(dim)
            self.floor = 0.0

    with pytest.raises(ValueError, match="setup sets floor, which the contract calls: rename"):
        Hiding()


@everywhere
def test_decoded_values_of_a_start_are_named(name):
    problem = tiny(name)
    assert all(isinstance(key, str) for key in problem.decoded(problem.space(0, 100).start))


@everywhere
def test_says_what_it_is(name):
    problem = tiny(name)
    assert problem.provenance in ("paper", "released", "ours")
    assert problem.source
    assert problem.noise in ("fixed", "fresh")
    assert problem.gradient in ("exact", "biased", "none")
    assert problem.max_batch >= 2


@everywhere
def test_start_depends_on_the_seed_alone(name):
    problem = tiny(name)
    first, again, other = problem.start(1), problem.start(1), problem.start(2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    space = problem.space(1, 100)
    assert torch.equal(space.project(space.start), space.start)
    assert torch.isfinite(space.start).all()


@everywhere
def test_losses_of_a_batch_are_those_of_its_candidates(name):
    problem = tiny(name)
    z = around(problem, 3)
    before = z.clone()
    with torch.no_grad():
        together = problem.loss(z, 5)
        alone = torch.cat([problem.loss(row[None], 5) for row in z])
    assert together.shape == (3,)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-7)
    assert torch.equal(z, before)


@everywhere
def test_same_question_same_answer_and_no_global_random_state(name):
    problem = tiny(name)
    z = around(problem, 2)
    theirs, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with torch.no_grad():
        first, second = problem.loss(z, 7), problem.loss(z, 7)
    problem.start(3)
    torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-9)
    assert torch.equal(theirs, torch.get_rng_state())
    assert np.array_equal(numpys, np.random.get_state()[1])  # noqa: NPY002


@everywhere
def test_the_optimum_is_no_worse_than_the_start(name):
    problem = tiny(name)
    start = problem.validate(problem.space(0, 100).start)
    assert problem.floor() < start["loss"]
    if problem.reference is not None:
        best = problem.validate(problem.reference)
        assert best["parameter_error"] <= 1e-6 < start["parameter_error"]
        with torch.no_grad():
            assert best["loss"] <= float(problem.loss(around(problem, 64), 0).min())


@everywhere
def test_picture_and_criterion_make_the_loss(name):
    problem = tiny(name)
    if not problem.has_picture:
        with pytest.raises(TypeError, match="no picture"):
            problem.observe(around(problem, 1), 0)
        return
    z = around(problem, 3)
    with torch.no_grad():
        observed = problem.observe(z, 0)
        expected = problem.loss(z, 0)
    assert len(observed) == 3
    observed = observed.requires_grad_(True)
    loss = problem.criterion(observed)
    torch.testing.assert_close(loss.detach(), expected)
    (slope,) = torch.autograd.grad(loss.sum(), observed)
    assert torch.isfinite(slope).all()
    assert (slope.flatten(1).norm(dim=1) > 0).all()


@everywhere
def test_images_can_be_shown(name):
    problem = tiny(name)
    target = problem.target_image()
    pictures = [problem.image(z) for z in around(problem, 2)] + [target]
    if target is None:
        assert not problem.has_picture
        assert pictures == [None, None, None]
        return
    for picture in pictures:
        assert picture.shape == target.shape
        assert picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    assert not torch.equal(pictures[0], target)


@pytest.mark.parametrize("name", [name for name in task_names() if task_class(name).gradient == "exact"])
def test_exact_gradients_are_the_limit_of_central_differences(name):
    problem = in_double_precision(name)
    step = 1e-5
    for z in around(problem, 3).double():
        loss, gradient = (item[0] for item in problem.loss_and_grad(z[None], 0))
        torch.testing.assert_close(loss, problem.loss(z[None], 0)[0])
        noise = torch.randn(problem.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        for direction in (noise / noise.norm(), gradient / gradient.norm().clamp_min(1e-12)):
            ahead, behind = problem.loss(torch.stack([z + step * direction, z - step * direction]), 0)
            difference = float(ahead - behind) / (2 * step)
            assert difference == pytest.approx(float(gradient @ direction), rel=1e-5, abs=1e-9)
    torch.testing.assert_close(problem.oracle_gradient(z), gradient)


@everywhere
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_agrees(name):
    there = task_class(name)(device="cuda", **TINY.get(name, {}))
    here = tiny(name)
    z = around(here, 3)
    with torch.no_grad():
        torch.testing.assert_close(there.loss(z.cuda(), 0).cpu(), here.loss(z, 0), rtol=1e-2, atol=1e-5)
    torch.testing.assert_close(there.space(4, 10).start.cpu(), here.space(4, 10).start)
