"""Second-order estimators against a renderer with a smoothed picture in closed form, and the steps they take."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.contract import parameters
from benchmarks.contract.problem import Problem
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from benchmarks.raster.square import Square
from methods.base import Evaluation, Space
from methods.gauss_newton import GaussNewton, chi_quantile, solve
from methods.prdpt import Prdpt
from methods.prdpt_diff import PrdptDiff
from methods.smoothed_newton import SmoothedNewton, steihaug

SIGMA = 0.7
ERRORS = 5.0  # standard errors that a mean may be off
SEEDS = range(5)
AT = {1: [0.3], 2: [0.3, -0.2], 3: [0.3, -0.2, 0.1]}
EDGES = torch.tensor(
    [[-0.6, 0.2, -0.9], [0.1, -0.7, -1.5], [0.5, 0.4, -0.3], [0.9, -1.2, 0.2], [-1.1, -0.4, -0.8]], dtype=torch.float64
)
REFERENCE = torch.tensor([0.9, 0.2, 0.4, 0.1, 0.7], dtype=torch.float64)


def render(z):
    """Hard-edged pixels: pixel i is lit where z_j > edge_ij for every j; (n, 5)."""
    return (z[:, None] > EDGES[:, : z.shape[1]]).all(2).to(z.dtype)


def smoothed(theta):
    """Q(θ) = Π_j Φ((θ_j − edge_ij)/σ), (5,)."""
    return torch.special.ndtr((theta - EDGES[:, : len(theta)]) / SIGMA).prod(1)


def criterion(picture):
    return (picture - REFERENCE).square().sum(1)


def smoothed_loss(theta):
    """E|P − r|² = Σ Q_i (1 − 2 r_i) + r_i², as P is 0 or 1."""
    return (smoothed(theta) * (1 - 2 * REFERENCE) + REFERENCE.square()).sum()


def space(at, budget=10**9, max_batch=10**6, **more):
    return Space(len(at), torch.tensor(at, dtype=torch.float64), None, None, max_batch, budget, **more)


def theta_of(dim):
    return torch.tensor(AT[dim], dtype=torch.float64)


def assert_mean(samples, expected, bias=0.0):
    error = samples.std(0) / math.sqrt(len(samples)) * ERRORS + bias + 1e-12
    away = (samples.mean(0) - expected).abs() / error
    assert away.max() < 1, f"mean {samples.mean(0)}, expected {expected}: {away} of what is allowed"


def test_closed_form_is_the_integral():
    nodes = torch.linspace(-9 * SIGMA, 9 * SIGMA, 40_001, dtype=torch.float64)
    kernel = (-0.5 * (nodes / SIGMA) ** 2).exp() * (nodes[1] - nodes[0]) / (SIGMA * math.sqrt(2 * math.pi))
    theta = theta_of(1)
    values = criterion(render(theta + nodes[:, None]))
    assert kernel @ values == pytest.approx(float(smoothed_loss(theta)), abs=1e-3)
    slope = (kernel * nodes / SIGMA**2) @ values
    assert slope == pytest.approx(float(torch.func.grad(smoothed_loss)(theta)), abs=1e-3)
    bend = (kernel * (nodes**2 / SIGMA**4 - 1 / SIGMA**2)) @ values
    assert bend == pytest.approx(float(torch.func.hessian(smoothed_loss)(theta)), abs=3e-3)


@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("sampling", ["aggregate", "kernel"])
def test_newton_estimates_are_unbiased(dim, sampling):
    method = SmoothedNewton(space(AT[dim]), 1, sigma=SIGMA, sigma_end=1.0, sampling=sampling, pairs=200)
    direction = torch.tensor([0.8, -0.5, 1.3], dtype=torch.float64)[:dim]
    found = []
    for _ in range(200):
        loss = criterion(render(method.ask()))
        odd, even = method.differences(loss)
        gradient = odd @ method.half / len(odd)
        found.append(torch.cat([gradient, method.hessian_product(even, direction), method.hessian_diagonal(even)]))
    hessian = torch.func.hessian(smoothed_loss)(theta_of(dim))
    expected = [torch.func.grad(smoothed_loss)(theta_of(dim)), hessian @ direction, hessian.diagonal()]
    assert_mean(torch.stack(found), torch.cat(expected))


def test_aggregate_weights_are_bounded_and_average_to_one():
    for dim in (1, 2, 30):
        method = SmoothedNewton(space([0.0] * dim), 1, pairs=20_000)
        method.ask()
        weights = method.weights()
        assert 0 < weights.min() <= weights.max() < 2
        assert_mean(weights[:, None], torch.ones(1, dtype=torch.float64))


@pytest.mark.parametrize("dim", [1, 2, 30])
def test_aggregate_samples_follow_their_density(dim):
    """E r² is dim under κ and dim + 2 under r² κ/dim, and each makes half of the samples."""
    method = SmoothedNewton(space([0.0] * dim), 1, sigma=1.0, pairs=100_000)
    square = method.ask()[:100_000].square().sum(1)
    assert_mean(square[:, None], torch.tensor([dim + 1.0], dtype=torch.float64))
    assert_mean(square.square()[:, None], torch.tensor([(dim + 2.0) * (2 * dim + 4) / 2], dtype=torch.float64))


def test_baseline_takes_out_a_constant():
    found = []
    for raised in (0.0, 1000.0):
        method = SmoothedNewton(space(AT[2]), 1, sigma=SIGMA)
        even = method.differences(criterion(render(method.ask())) + raised)[1]
        found.append(method.hessian_diagonal(even))
    assert torch.allclose(*found, atol=1e-8)


def test_steihaug_solves_bends_away_and_stays_within_the_radius():
    gradient = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    for curvature, radius in (([3.0, 1.0, 0.2], 100.0), ([3.0, 1.0, 0.2], 0.5), ([3.0, -1.0, 0.2], 2.0)):
        matrix = torch.diag(torch.tensor(curvature, dtype=torch.float64))
        step = steihaug(gradient, lambda v, matrix=matrix: matrix @ v, radius)
        if radius == 100.0:
            assert torch.allclose(step, -torch.linalg.solve(matrix, gradient))
        else:
            assert float(step.norm()) == pytest.approx(radius)
        cauchy = -radius * gradient / gradient.norm()
        model = [float(gradient @ p + p @ matrix @ p / 2) for p in (step, cauchy)]
        assert model[0] < min(0.0, model[1] + 1e-12) or radius == 100.0
    assert torch.equal(steihaug(torch.zeros(2), lambda v: v, 1.0), torch.zeros(2))


def gauss_newton(dim, pairs, **params):
    return GaussNewton(space(AT[dim]), 1, sigma=SIGMA, sigma_end=1.0, pairs=pairs, significance=0.0, **params)


def parts(picture):
    ahead, behind = picture.unflatten(0, (2, -1))
    return (ahead + behind) / 2, (ahead - behind) / 2


@pytest.mark.parametrize("dim", [1, 2])
def test_gauss_newton_estimates(dim):
    """J is unbiased; gradient and JᵀHJ are products of estimates, with a bias of order 1/pairs."""
    pairs, found = 500, []
    method = gauss_newton(dim, pairs, memory=0.0)
    for _ in range(200):
        system = method.remember(*parts(render(method.ask())), criterion)
        found.append([method.slopes.T.flatten(), system["gradient"], system["matrix"].flatten()])
    slopes, gradients, matrices = (torch.stack(part) for part in zip(*found, strict=True))
    jacobian = torch.func.jacfwd(smoothed)(theta_of(dim))  # (pixels, dim)
    expected = [jacobian.T @ (2 * (smoothed(theta_of(dim)) - REFERENCE)), 2 * jacobian.T @ jacobian]
    assert_mean(slopes, jacobian.flatten())
    assert_mean(gradients, expected[0], bias=3 / pairs)
    assert_mean(matrices, expected[1].flatten(), bias=10 / pairs)


def test_slopes_in_the_span_of_few_samples():
    """With a linear criterion the gradient is Jᵀc exactly, and the normal equations hold its projection."""
    method, found = gauss_newton(3, 2, memory=0.0), []
    for _ in range(3000):
        system = method.span(*parts(render(method.ask())), lambda picture: picture @ REFERENCE)
        assert not system["matrix"].any(), "a linear criterion has no curvature"
        found.append(torch.stack([method.gradient, system["gradient"] @ system["basis"]]))
    gradient = torch.func.jacfwd(smoothed)(theta_of(3)).T @ REFERENCE
    assert_mean(torch.stack(found), torch.stack([gradient, 2 / 3 * gradient]))


def test_matrix_in_the_span_is_the_projected_one():
    """P linear in θ and radii of their mean square: B JᵀHJ Bᵀ exactly, B the directions."""
    method = gauss_newton(3, 2, memory=0.0)
    method._draw_radii = lambda: torch.full((2,), math.sqrt(3), dtype=torch.float64)
    system = method.span(*parts(method.ask() @ EDGES.T), criterion)
    basis = system["basis"]
    assert torch.allclose(basis @ basis.T, torch.eye(2, dtype=torch.float64))
    assert torch.allclose(system["matrix"], basis @ (2 * EDGES.T @ EDGES) @ basis.T)


def test_curvature_of_a_criterion_that_is_not_quadratic():
    method = gauss_newton(2, 4000, memory=0.0)
    picture = method.ask() @ EDGES[:, :2].T
    system = method.remember(*parts(picture), lambda q: (q - REFERENCE).pow(4).sum(1))
    jacobian, middle = method.slopes.T, picture.mean(0)
    expected = jacobian.T @ torch.diag(12 * (middle - REFERENCE) ** 2) @ jacobian
    assert torch.allclose(system["matrix"], expected)


@pytest.mark.parametrize(("dim", "pairs"), [(1, 4), (3, 2), (3, 7), (150, 8)])
def test_offsets_are_normal_antithetic_and_orthogonal(dim, pairs):
    method = GaussNewton(space([0.0] * dim), 1, sigma=SIGMA, pairs=pairs)
    drawn = torch.stack([method.ask() for _ in range(600)])
    assert torch.equal(drawn[:, :pairs], -drawn[:, pairs:])
    block = min(dim, pairs)
    first = method.directions[:block]
    assert torch.allclose(first @ first.T, torch.eye(block, dtype=torch.float64))
    one = drawn[:, 0] / SIGMA
    assert_mean(one.square().sum(1, keepdim=True), torch.tensor([float(dim)], dtype=torch.float64))
    assert_mean(one[:, :1].pow(4), torch.tensor([3.0], dtype=torch.float64))


def test_chi_quantile_inverts_the_distribution():
    probability = torch.linspace(0.001, 0.999, 50, dtype=torch.float64)
    for dim in (1, 2, 150, 100_000):
        radius = chi_quantile(probability, dim)
        found = torch.special.gammainc(torch.full_like(radius, dim / 2), radius.square() / 2)
        assert torch.allclose(found, probability, atol=1e-8)


def relative_error(significance, memory):
    """Error of J, 40 steps at one place, for 20 pixels of which each sees one of 20 coordinates."""
    method = GaussNewton(space([0.0] * 20), 1, sigma_end=1.0, reach=0.0, significance=significance, memory=memory)
    for _ in range(40):
        method.remember(*parts(method.ask().sin()), lambda q: q.square().sum(1))
    truth = math.exp(-0.5) * torch.eye(20, dtype=torch.float64)
    return float((method.significant() - truth).norm() / truth.norm())


def test_memory_and_significance_clean_the_slopes():
    raw, kept, cleaned = relative_error(0.0, 0.0), relative_error(0.0, 0.9), relative_error(2.0, 0.9)
    assert kept < 0.5 * raw
    assert cleaned < 0.7 * kept


def told(method, picture, of=criterion):
    method.tell(torch.empty(len(picture), method.space.dim), Evaluation(of(picture), None, picture, of))


def test_a_clear_rise_is_taken_back_with_more_damping():
    method = gauss_newton(2, 4)
    before = method.incumbent()
    told(method, method.ask() @ EDGES[:, :2].T)
    tried, damping = method.incumbent(), method.damping
    assert not torch.equal(tried, before)
    told(method, method.ask() @ EDGES[:, :2].T + 50)
    assert method.damping == 4 * damping
    assert torch.equal(method.origin, before)
    assert (method.incumbent() - before).norm() < (tried - before).norm()
    told(method, method.ask() @ EDGES[:, :2].T + 500)
    assert not torch.equal(method.origin, before), "not twice in a row"


def test_singular_and_broken_systems():
    gradient = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert torch.allclose(solve(torch.zeros(2, 2, dtype=torch.float64), gradient, 0.01), -gradient / 5)
    assert torch.allclose(solve(torch.full((2, 2), math.nan, dtype=torch.float64), gradient, 0.01), -gradient / 5)
    assert not solve(torch.eye(2, dtype=torch.float64), gradient * math.inf, 0.01).any()
    indefinite = solve(torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64)), gradient, 0.01)
    assert gradient @ indefinite < 0
    method = gauss_newton(2, 4)
    told(method, torch.ones(len(method.ask()), 5, dtype=torch.float64))  # a plateau
    assert torch.equal(method.incumbent(), theta_of(2))


def test_too_small_a_batch_is_unsupported():
    for kind in (GaussNewton, SmoothedNewton):
        assert "pairs" in kind.unsupported(space([0.0]), pairs=1)
        assert "batch" in kind.unsupported(space([0.0], max_batch=3))
        assert kind.unsupported(space([0.0], max_batch=4)) is None
    assert "batch" in PrdptDiff.unsupported(space([0.0], max_batch=1))


def slopes_of(function, method, count):
    found = []
    for _ in range(count):
        z = method.ask().requires_grad_(True)
        loss = function(z)
        (slope,) = torch.autograd.grad(loss.sum() + 0 * z.sum(), z)
        method.tell(z.detach(), Evaluation(loss.detach(), slope))
        found.append(method.gradient)
    return torch.stack(found)


def test_prdpt_diff_averages_the_gradient_and_misses_edges():
    method = PrdptDiff(space(AT[1]), 1, lr=0.0, sigma=SIGMA, annealing="constant", pairs=20)
    damped = math.exp(-(SIGMA**2) / 2) * math.cos(AT[1][0])  # ∇E sin(θ + u)
    assert_mean(slopes_of(lambda z: z[:, 0].sin(), method, 500), torch.tensor([damped], dtype=torch.float64))
    assert not slopes_of(lambda z: criterion(render(z)), method, 10).any()
    assert abs(float(torch.func.grad(smoothed_loss)(theta_of(1)))) > 0.1


def test_prdpt_diff_anneals_over_what_gradients_cost():
    method = PrdptDiff(space(AT[1], budget=60, grad_cost=2.0), 1)
    slopes_of(lambda z: z[:, 0].sin(), method, 10)
    assert method.used == 60


def final(kind, problem, evaluations, **params):
    """Return final over first loss for each seed."""
    params = parameters.check(kind.setup, params, kind.__name__)
    limits, label = Limits(evaluations, 60), kind.__name__
    runs = [run(problem, kind, params, limits, task="t", label=label, replicate=seed) for seed in SEEDS]
    return [found.row["loss_final"] / found.row["loss_start"] for found in runs]


class Bowl(Problem):
    """The ill-conditioned bowl as a picture: P = √λ z."""

    gradient = "exact"
    has_picture = True

    def setup(self):
        self.bowl = Quadratic("cpu", dim=4)
        self.dim, self.reference = 4, self.bowl.reference

    def start(self, seed):
        return self.bowl.start(seed)

    def observe(self, z, seed):
        return z * self.bowl.curvature.sqrt()

    def criterion(self, observed):
        return observed.square().mean(1)


def test_the_ill_conditioned_bowl_takes_fewer_evaluations_than_descent():
    rival = min(max(final(Prdpt, Bowl(), 400, lr=lr)) for lr in (0.06, 0.2, 0.6))
    assert max(final(SmoothedNewton, Bowl(), 400)) < 0.5 * rival
    assert max(final(GaussNewton, Bowl(), 400, reach=1.0)) < 0.5 * rival


def test_the_square_takes_fewer_evaluations_than_descent():
    problem = Square("cpu", size=64)
    rival = min(sum(final(Prdpt, problem, 120, lr=lr, sigma=3.0)) for lr in (0.06, 0.2))
    assert sum(final(SmoothedNewton, problem, 120, sigma=3.0)) < 0.8 * rival
    assert max(final(GaussNewton, problem, 250, sigma=3.0)) < 0.1


def test_sixteen_squares_gain_most_from_slopes_per_pixel():
    problem = Square("cpu", size=64, squares=16)
    rival = min(sum(final(Prdpt, problem, 400, lr=lr, sigma=3.0)) for lr in (0.06, 0.2))
    assert sum(final(GaussNewton, problem, 400, sigma=3.0)) < 0.5 * rival
