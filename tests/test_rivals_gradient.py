"""Rivals that estimate or learn a gradient, against closed forms: moments of samples, quadrature, quadratics."""

from __future__ import annotations

import math

import pytest
import torch
from agreement import assert_agree

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.contract import parameters
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from methods.base import Evaluation, Space
from methods.directional_smoothing import DirectionalSmoothing
from methods.explicit_gradient_learning import ExplicitGradientLearning
from methods.guided_es import GuidedEs

RIVALS = [GuidedEs, DirectionalSmoothing, ExplicitGradientLearning]
SIGMA = 0.7
SLOPE = torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0, -1.0], dtype=torch.float64)


def space(dim, at=None, budget=10**9, max_batch=4096):
    start = torch.zeros(dim, dtype=torch.float64) if at is None else torch.as_tensor(at, dtype=torch.float64)
    return Space(dim, start, None, None, max_batch, budget)


def estimate(method, loss):
    """One gradient estimate; the method stays where it is if it was given no rate."""
    z = method.ask()
    method.tell(z, Evaluation(loss(z)))
    return method.gradient


def gap(method_class, dim=10, evaluations=2000, **params):
    problem = Quadratic("cpu", dim=dim, condition=10.0)
    params = parameters.check(method_class.setup, params, method_class.__name__)
    row = run(problem, method_class, params, Limits(evaluations, 60), task="q", label="m", replicate=0).row
    return row["loss_final"] / row["loss_start"]


def guided(directions, alpha):
    """A guided strategy in six dimensions whose subspace is spanned by these directions and stays so."""
    method = GuidedEs(space(6), 3, lr=0.0, sigma=SIGMA, batch=2000, alpha=alpha, memory=max(1, len(directions)))
    for direction in directions:
        method.remember(direction)
    method.remember = lambda estimate: None
    return method


def covariance(directions, alpha):
    """σ²(αI + (1 − α) dim/k UUᵀ) with the projection UUᵀ by least squares."""
    if not directions:
        return SIGMA**2 * torch.eye(6, dtype=torch.float64)
    span = torch.nn.functional.normalize(torch.stack(directions, 1), dim=0)
    projection = span @ torch.linalg.pinv(span)
    return SIGMA**2 * (alpha * torch.eye(6, dtype=torch.float64) + (1 - alpha) * 6 / len(directions) * projection)


DIRECTIONS = [SLOPE, torch.tensor([1e30, 1e30, 0.0, 0.0, 0.0, 1e30], dtype=torch.float64)]


@pytest.mark.parametrize(("count", "alpha"), [(0, 0.5), (1, 0.5), (2, 0.5), (2, 0.1), (2, 1.0)])
def test_guided_samples_have_their_covariance(count, alpha):
    method, expected = guided(DIRECTIONS[:count], alpha), covariance(DIRECTIONS[:count], alpha)
    halves = torch.cat([method.ask()[: method.pairs] for _ in range(40)])
    assert_agree(halves, 0.0, resolution=0.1)
    assert_agree(halves[:, :, None] * halves[:, None, :], expected, resolution=0.1)
    assert float(expected.trace()) == pytest.approx(6 * SIGMA**2), "σ is a root mean square per coordinate"


def test_guided_estimate_is_the_covariance_times_the_slope():
    method = guided(DIRECTIONS, 0.5)
    method.pairs = 20
    samples = torch.stack([estimate(method, lambda z: z @ SLOPE) for _ in range(4000)])
    expected = covariance(DIRECTIONS, 0.5) @ SLOPE / SIGMA**2
    assert_agree(samples, expected, resolution=0.5)
    assert float((expected - SLOPE).abs().max()) > 1.0, "the bias towards the subspace can be seen"


def test_guided_subspace_is_that_of_the_last_estimates():
    method, told = GuidedEs(space(6), 1, lr=0.0, memory=3), []
    for _ in range(5):
        told.append(estimate(method, lambda z: z @ SLOPE + z[:, 0] ** 2).clone())
    rank = torch.linalg.matrix_rank(torch.cat([method.basis, torch.stack(told[-3:], 1)], 1), rtol=1e-9)
    assert int(rank) == 3
    assert torch.allclose(method.basis.T @ method.basis, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("method_class", RIVALS)
def test_a_plateau_has_no_slope(method_class):
    method = method_class(space(6, SLOPE), 1)
    assert not estimate(method, lambda z: torch.full((len(z),), 0.3, dtype=z.dtype)).any()


def test_guided_is_isotropic_until_something_is_known():
    method = GuidedEs(space(6), 1)
    for _ in range(3):
        estimate(method, lambda z: torch.ones(len(z), dtype=z.dtype))
    assert method.basis.shape == (6, 0)
    estimate(method, lambda z: torch.full((len(z),), math.inf, dtype=z.dtype))
    assert method.basis.shape == (6, 0)


@pytest.mark.parametrize("method_class", RIVALS)
def test_it_descends(method_class):
    assert gap(method_class, lr=0.3) < 0.02


def polynomial(degree, at):
    """A polynomial of one coordinate x, and the slope of E L(at + r v) by the moments of v ~ N(0, 1)."""
    coefficients = torch.linspace(1.0, -2.0, degree + 1, dtype=torch.float64)

    def loss(z):
        return sum(c * z[:, 0] ** power for power, c in enumerate(coefficients))

    def slope(radius):
        total = 0.0
        for power, c in enumerate(coefficients):
            for even in range(0, power, 2):  # E (at + r v)^(power − 1), E v^even = (even − 1)!!
                moment = math.prod(range(1, even, 2))
                total += c * power * math.comb(power - 1, even) * at ** (power - 1 - even) * radius**even * moment
        return float(total)

    return loss, slope


@pytest.mark.parametrize("nodes", [2, 3, 5, 6])
def test_quadrature_is_exact_for_polynomials(nodes):
    loss, slope = polynomial(2 * nodes - 2, 0.3)
    method = DirectionalSmoothing(space(1, [0.3]), 1, lr=0.0, sigma=SIGMA, nodes=nodes)
    assert len(method.ask()) == nodes // 2 * 2, "the middle node is not paid for"
    assert float(estimate(method, loss)) == pytest.approx(slope(SIGMA), rel=1e-9)
    loss, slope = polynomial(2 * nodes + 1, 0.3)
    assert float(estimate(method, loss)) != pytest.approx(slope(SIGMA), rel=1e-6), "and no further"


def test_all_directions_give_the_gradient_of_a_quadratic():
    generator = torch.Generator().manual_seed(0)
    half, at = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)[0], SLOPE / 3
    hessian = half @ half.T

    def loss(z):
        return 0.5 * ((z @ hessian) * z).sum(1) + z @ SLOPE

    for frame, radius in (("random", SIGMA * math.sqrt(6)), ("axes", SIGMA)):
        method = DirectionalSmoothing(space(6, at), 1, lr=0.0, sigma=SIGMA, frame=frame)
        found = estimate(method, loss)
        assert torch.allclose(found, hessian @ at + SLOPE)
        assert torch.allclose(method.lines @ method.lines.T, torch.eye(6, dtype=torch.float64), atol=1e-12)
        assert method.radius == pytest.approx(radius)


@pytest.mark.parametrize("frame", ["random", "axes"])
def test_some_directions_are_the_gradient_on_average(frame):
    method = DirectionalSmoothing(space(6), 1, lr=0.0, directions=2, frame=frame)
    samples = torch.stack([estimate(method, lambda z: z @ SLOPE) for _ in range(4000)])
    assert_agree(samples, SLOPE, resolution=0.5)


def test_random_directions_are_uniform_over_rotations():
    method = DirectionalSmoothing(space(3), 1)
    lines = torch.stack([method.draw() for _ in range(4000)])  # (n, directions, dim)
    assert_agree(lines, 0.0, resolution=0.1)
    assert_agree(lines.square(), 1 / 3, resolution=0.05)


@pytest.mark.parametrize(("budget", "max_batch", "expected"), [(10**6, 4096, 50), (4000, 4096, 10), (10**6, 17, 4)])
def test_number_of_directions(budget, max_batch, expected):
    assert DirectionalSmoothing(space(50, budget=budget, max_batch=max_batch), 1).directions == expected
    assert "4 candidates" in DirectionalSmoothing.unsupported(space(50, max_batch=3))


HESSIAN = torch.diag(torch.tensor([4.0, 1.0, 2.0, 0.5, 3.0, 1.0], dtype=torch.float64)) + 0.3


def learned(loss, iterations, at=None, **params):
    """A learner that has stayed where it is for so many iterations."""
    method = ExplicitGradientLearning(space(6, at), 1, **{"lr": 0.0, "sigma": SIGMA, "lr_phi": 3e-3, **params})
    for _ in range(iterations):
        estimate(method, loss)
    return method


def test_learned_gradient_of_a_line_is_its_slope():
    method = learned(lambda z: z @ SLOPE, 100)
    assert float((method.gradient - SLOPE).norm() / SLOPE.norm()) < 0.02


def test_learned_gradients_of_a_quadratic_are_the_true_one_and_everywhere_those_of_least_squares():
    def loss(z):
        return 0.5 * ((z @ HESSIAN) * z).sum(1) + z @ SLOPE

    method = learned(loss, 100, SLOPE / 3)
    truth = HESSIAN @ SLOPE / 3 + SLOPE
    assert float((method.gradient - truth).norm() / truth.norm()) < 0.05
    z, y = method.points, method.losses  # all samples are pairs where θ stays
    planes = [torch.linalg.lstsq(z - x, (y - loss(x[None]))[:, None]).solution[:, 0] for x in z]
    unit = float((y[None] - y[:, None]).abs().sum()) / (len(y) ** 2 - len(y))
    error = unit / method.epsilon * method.predict(z) - torch.stack(planes)
    assert float(error.square().mean().sqrt()) < 0.08 * float(torch.stack(planes).square().mean().sqrt())


def test_learned_gradient_has_the_unit_of_the_loss_per_natural_step():
    one, other = (learned(lambda z, c=c: c * (z @ SLOPE), 5) for c in (1.0, 2.0**-40))
    assert torch.allclose(2.0**40 * other.gradient, one.gradient)


def test_samples_of_one_iteration_are_pairs_and_include_the_iterate():
    method = ExplicitGradientLearning(space(6, SLOPE), 1, sigma=SIGMA, batch=500)
    z = method.ask()
    assert torch.equal(z[0], SLOPE)
    assert float(torch.cdist(z, z).max()) <= method.epsilon * (1 + 1e-9)
    radius = (z[1:] - SLOPE).norm(dim=1) / (SIGMA * math.sqrt(6))
    assert_agree(radius**6, 0.5, resolution=0.1)  # uniform in the ball: the share of its volume that lies within


def test_buffer_keeps_the_latest_and_leaves_out_what_is_no_number():
    method = learned(lambda z: torch.where(z[:, 0] > 0, z @ SLOPE, math.nan), 6, batch=16, buffer=40)
    assert 16 < len(method.losses) <= 40
    assert method.losses.isfinite().all()
    assert method.gradient.isfinite().all()
    whole, latest = ExplicitGradientLearning(space(6), 1, batch=4, buffer=8), []
    for _ in range(3):
        latest.append(whole.ask())
        whole.tell(latest[-1], Evaluation(latest[-1] @ SLOPE))
    assert torch.equal(whole.points, torch.cat(latest[1:]))


def test_pairs_farther_apart_than_epsilon_teach_nothing():
    found = []
    for value in (0.0, 1e3):
        method = learned(lambda z: z @ SLOPE, 1, batch=8)
        far = torch.full((1, 6), 100.0, dtype=torch.float64)
        method.points = torch.cat([far, method.points])
        method.losses = torch.cat([torch.tensor([value], dtype=torch.float64), method.losses])
        method.fit()
        found.append(method.predict(method.theta[None]))
    assert torch.equal(*found)


def test_epsilon_shrinks_where_the_loss_stops_falling_and_not_on_a_plateau():
    method = learned(lambda z: z @ SLOPE, 31, patience=10, shrink=0.5)
    assert method.sigma == pytest.approx(SIGMA / 8)
    assert learned(lambda z: torch.ones(len(z), dtype=z.dtype), 31).sigma == SIGMA
    falling = ExplicitGradientLearning(space(6), 1, lr=0.1, sigma=SIGMA)
    for _ in range(31):
        estimate(falling, lambda z: z @ SLOPE)
    assert falling.sigma == SIGMA


def test_slopes_along_lines_are_those_of_the_network():
    method = learned(lambda z: z @ SLOPE, 3)
    x, lines = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert float(method.network(x).detach().abs().max()) > 0.01
    assert torch.allclose(method.network.along(x, lines), method.network(x) @ lines.T)


def test_memory_of_the_network_is_granted_or_not():
    large = Quadratic("cpu", dim=250_000).space(0, 1000)
    assert "GiB" in ExplicitGradientLearning.unsupported(large)
    assert ExplicitGradientLearning.unsupported(large, memory_gib=2.0) is None
    assert ExplicitGradientLearning.unsupported(Quadratic("cpu", dim=35_152).space(0, 1000)) is None
