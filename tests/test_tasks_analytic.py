"""Closed forms of the analytic tasks against numerical integration, and the plateaus that they promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.interpolate import Akima1DInterpolator
from scipy.optimize import rosen
from scipy.stats import norm

from benchmarks.analytic.plateau import Plateau
from benchmarks.analytic.quadratic import Quadratic
from benchmarks.analytic.rosenbrock import STEP as ROSENBROCK_STEP
from benchmarks.analytic.rosenbrock import Rosenbrock
from benchmarks.analytic.toy_spline import HEIGHTS, KNOTS, STEP, ToySpline

SIGMA = 0.7


def gauss_hermite(problem, z, sigma, nodes=12):
    """E[L(z + σε)], (n,), for a polynomial loss: exact up to degree 2 · nodes − 1."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grids = torch.tensor(np.stack(np.meshgrid(*[points] * z.shape[1]), -1).reshape(-1, z.shape[1]))
    products = np.prod(np.meshgrid(*[weights] * z.shape[1]), axis=0).ravel() / (2 * np.pi) ** (z.shape[1] / 2)
    values = problem.loss((z[:, None] + sigma * grids).flatten(0, 1), 0).view(len(z), -1)
    return values @ torch.tensor(products)


def test_plateau_smoothed_is_the_integral_over_the_wells():
    problem = Plateau(dim=1)
    for z in (-3.2, -1.0, 0.3, 2.0):
        inside, _ = quad(norm(z, SIGMA).pdf, -1, 1)  # where z + σε falls into the well
        at = torch.tensor([[z]], dtype=torch.float64)
        assert float(problem.smoothed(at, SIGMA)) == pytest.approx(1 - inside, abs=1e-7)
    at = torch.tensor([[3.0, 0.2, -1.1]], dtype=torch.float64)
    split = torch.stack([problem.smoothed(column[:, None], SIGMA) for column in at.T]).mean()
    torch.testing.assert_close(Plateau(dim=3).smoothed(at, SIGMA)[0], split)


def test_plateau_smoothed_is_the_mean_of_samples():
    problem = Plateau(dim=2)
    noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at = torch.tensor([[1.4, -0.6]], dtype=torch.float64)
    sampled = problem.loss(at + SIGMA * noise, 0)
    assert float(problem.smoothed(at, SIGMA)) == pytest.approx(float(sampled.mean()), abs=5e-3)


def test_plateau_smoothed_gradient_is_the_slope_of_smoothed():
    problem = Plateau(dim=3)
    z = torch.tensor([[3.1, -0.8, 0.4], [-2.9, 1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(problem.smoothed(z, SIGMA).sum(), z)
    torch.testing.assert_close(problem.smoothed_gradient(z.detach(), SIGMA), slope)


@pytest.mark.parametrize("dim", [1, 5])
def test_plateau_starts_where_no_step_of_one_changes_anything(dim):
    problem = Plateau(dim=dim)
    for seed in range(8):
        start = problem.start(seed)
        steps = 2 * torch.rand(256, dim, generator=torch.Generator().manual_seed(seed)) - 1
        losses, gradients = problem.loss_and_grad(start + steps, 0)
        assert (losses == 1).all()
        assert not gradients.any()
        downhill = start - 3 * problem.smoothed_gradient(start[None], 1.0)[0].sign()
        assert float(problem.loss(downhill[None], 0)) == 0  # but the smoothed gradient shows the way


def test_rosenbrock_is_rosenbrocks():
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.tensor([rosen(row) for row in ROSENBROCK_STEP * z.numpy()])
    torch.testing.assert_close(Rosenbrock().loss(z, 0), expected)
    wide = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(
        Rosenbrock(dim=4).loss(wide, 0), torch.tensor([rosen(row) / 3 for row in ROSENBROCK_STEP * wide.numpy()])
    )


@pytest.mark.parametrize("dim", [2, 3])
def test_rosenbrock_smoothed_is_its_integral(dim):
    problem = Rosenbrock(dim=dim)
    z = 3 * torch.randn(4, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(problem.smoothed(z, SIGMA), gauss_hermite(problem, z, SIGMA, nodes=5))


def test_quadratic_smoothed_is_its_integral():
    problem = Quadratic(dim=3, condition=50.0)
    problem.curvature, problem.reference = problem.curvature.double(), problem.reference.double()
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(problem.smoothed(z, SIGMA), gauss_hermite(problem, z, SIGMA, nodes=3))


def test_quadratic_has_the_condition_asked_for():
    curvature = Quadratic(dim=7, condition=200.0).curvature
    assert float(curvature.max() / curvature.min()) == pytest.approx(200, rel=1e-4)


def test_spline_is_scipys():
    x = np.linspace(KNOTS[0], KNOTS[-1], 1001)
    curve = ToySpline().curve(torch.tensor(x, dtype=torch.float32))
    assert np.allclose(curve, Akima1DInterpolator(KNOTS, HEIGHTS)(x), atol=1e-5)


def test_spline_is_constant_beyond_its_ends():
    problem = ToySpline()
    outside, gradient = problem.loss_and_grad(torch.tensor([[-2.0], [20.0]]), 0)
    assert outside.tolist() == pytest.approx([HEIGHTS[0], HEIGHTS[-1]])
    assert not gradient.any()


def test_spline_starts_on_a_plateau_with_a_trap_before_the_optimum():
    problem = ToySpline()
    plateau = problem.curve(torch.linspace(1.0, 1.6, 100))
    torch.testing.assert_close(plateau, torch.full_like(plateau, 0.8), rtol=0, atol=1e-6)
    for seed in range(8):
        assert 1.0 < float(problem.start(seed)) * STEP < 1.6
    optimum = float(problem.reference) * STEP
    assert 3 < optimum < 4
    x = torch.linspace(KNOTS[0], KNOTS[-1], 20_001)
    height = problem.curve(x)
    assert float(height.min()) == pytest.approx(problem.floor(), abs=1e-5)
    valley = (height[1:-1] < height[:-2]) & (height[1:-1] < height[2:])
    strict = x[1:-1][valley & (height[1:-1] < 0.75)]
    assert ((strict > 1.6) & (strict < 2.2)).any()  # a local minimum between start and optimum


def test_spline_smoothed_is_its_integral():
    problem = ToySpline()
    curve = Akima1DInterpolator(KNOTS, HEIGHTS)
    for z in (1.0, 5.5, 9.9, 14.5):

        def integrand(e, z=z):
            return curve(np.clip(STEP * (z + SIGMA * e), KNOTS[0], KNOTS[-1])) * norm.pdf(e)

        kinks = [(knot / STEP - z) / SIGMA for knot in KNOTS]
        points = [point for point in kinks if -8 < point < 8]
        expected, _ = quad(integrand, -8, 8, points=points, limit=200)
        assert float(problem.smoothed(torch.tensor([[z]]), SIGMA)) == pytest.approx(expected, abs=1e-4)
