"""A network that draws with a hard pen: against brute force, against the slope of what is smoothed, and trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from benchmarks.contract.parameters import check
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.runner import run
from benchmarks.networks._stroke import draw, spline_matrix, squared_distance
from benchmarks.networks.spline_vae import RADIUS, SAMPLES, SIGMA, SplineVae


def test_distances_are_those_of_every_point_of_the_line():
    generator = torch.Generator().manual_seed(0)
    line, pixels = torch.rand(2, 4, 2, generator=generator), torch.rand(9, 2, generator=generator)
    share = torch.linspace(0, 1, 2001)[:, None, None, None]
    every = (line[:, :-1] + share * (line[:, 1:] - line[:, :-1])).permute(1, 0, 2, 3).flatten(1, 2)  # (n, many, 2)
    nearest = torch.cdist(pixels.expand(2, -1, -1), every).amin(2)
    assert torch.allclose(squared_distance(line, pixels).clamp_min(0).sqrt(), nearest, atol=2e-3)


def test_a_line_that_stands_still_is_a_dot():
    pixels = torch.tensor([[0.5, 0.5], [0.5, 0.56], [0.5, 0.58]])
    drawn = draw(torch.full((1, 10, 2), 0.5), spline_matrix(10, SAMPLES), pixels, RADIUS)
    assert drawn.tolist() == [[1, 1, 0]]


def test_the_curve_is_the_spline_through_its_ends():
    control = np.random.default_rng(0).random((10, 2))
    knots = np.concatenate([[0] * 4, np.arange(1, 7) / 7, [1] * 4])
    curve = spline_matrix(10, SAMPLES).double().numpy() @ control
    assert np.allclose(curve, BSpline(knots, control, 3)(np.linspace(0, 1, SAMPLES)), atol=1e-6)
    assert np.allclose(curve[[0, -1]], control[[0, -1]], atol=1e-6)


def test_its_gradient_is_that_of_the_smoothed_error():
    """Move all strokes of a batch sideways: the biases that do it have the slope of the error, blurred over σ."""
    problem = SplineVae(batch=256)
    problem.pairs, problem.divergence = 64, 0.0
    sideways = torch.zeros(problem.dim)
    out, fan_in = problem.shapes[-1]
    sideways[-out * (fan_in + 1) :].view(out, -1)[::2, -1] = 1
    z = problem.start(0) + 15 * sideways  # where it slopes
    slope = problem.loss_and_grad(z[None], 3)[1][0] @ sideways
    shown, noise = problem.shown(3), torch.randn(100, 1, 10, 2, generator=torch.Generator().manual_seed(1))
    blurred = [
        problem.errors(problem.control_points(z[None] + step * sideways, shown, 3)[0] + SIGMA * noise, shown)
        for step in (2.0, -2.0)
    ]
    assert slope == pytest.approx(float(blurred[0].mean() - blurred[1].mean()) / 4, rel=0.1)
    assert slope > 1e-3


def test_candidates_do_not_see_each_other():
    problem = SplineVae()
    z = torch.stack([problem.start(seed) for seed in range(3)])
    losses, gradients = problem.loss_and_grad(z, 5)
    for row in range(3):
        loss, gradient = problem.loss_and_grad(z[row : row + 1], 5)
        assert torch.allclose(loss[0], losses[row], atol=1e-6)
        assert torch.allclose(gradient[0], gradients[row], atol=1e-6)


def test_training_sees_no_digit_of_the_validation():
    problem = SplineVae()
    assert len(problem.digits) + len(problem.unseen) == 1797
    before = problem.validate(problem.start(0))
    problem.unseen, told = torch.full_like(problem.unseen, torch.nan), problem.unseen
    loss, gradient = problem.loss_and_grad(problem.start(0)[None], 1)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    problem.unseen, problem.digits = told, torch.full_like(problem.digits, torch.nan)
    assert problem.validate(problem.start(0)) == before
    assert before["against_mean_digit"] > 1


@pytest.mark.slow
def test_it_learns_to_draw_better_than_the_best_constant():
    problem, kind = SplineVae(), method_class("adam")
    params = check(kind.setup, {"source": "smoothed"}, "adam")
    result = run(problem, kind, params, Limits(9000, 30), task="vae", label="adam", replicate=0)
    assert result.status == "finished", result.reason
    assert problem.validate(result.incumbent)["against_mean_digit"] < 0.9
