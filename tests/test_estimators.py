"""Gradient estimators against quadrature and closed forms: sign, scale, bias and variance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from methods.base import Evaluation, Space
from methods.evolution_strategy import EvolutionStrategy
from methods.finite_differences import FiniteDifferences
from methods.prdpt import Prdpt
from methods.spsa import Spsa

SIGMA = 0.7
ERRORS = 5.0  # standard errors that a mean may be off
NODES = np.linspace(-9 * SIGMA, 9 * SIGMA, 40_001)
KERNEL = np.exp(-0.5 * (NODES / SIGMA) ** 2) * (NODES[1] - NODES[0]) / (SIGMA * math.sqrt(2 * math.pi))
SCORE = KERNEL * NODES / SIGMA**2  # d/dθ ∫ κ(u) f(θ + u) du = ∫ κ(u) u/σ² f(θ + u) du


def integral(function, theta, weights):
    """∫ weights(u) f(θ + u) du by quadrature, over the first axis of f's answer."""
    values = function(torch.tensor(theta + NODES)[:, None]).numpy()
    return np.tensordot(weights, values, 1)


def smooth(z):
    return z[:, 0].sin() + 0.3 * z[:, 0] ** 2


def plateau(z):
    return (z[:, 0].abs() > 1.0).to(z.dtype)


def separable(z):
    return (z[:, 0] > 0.4).to(z.dtype) + z[:, 1].sin() + z[:, 2] ** 2


def gated(z):
    """Not separable: x₀ · 1[|x₁| < σ]."""
    return z[:, 0] * (z[:, 1].abs() < SIGMA)


CASES = {
    "smooth": (smooth, [0.4]),
    "plateau": (plateau, [0.8]),
    "separable": (separable, [0.1, 0.5, -1.0]),
    "gated": (gated, [1.5, 0.0]),
}


def truth(case):
    """Gradient of the Gaussian-smoothed loss."""
    function, at = CASES[case]
    if case in ("smooth", "plateau"):
        return [integral(function, at[0], SCORE)]
    if case == "separable":
        density = math.exp(-0.5 * ((0.4 - at[0]) / SIGMA) ** 2) / (SIGMA * math.sqrt(2 * math.pi))
        return [density, math.cos(at[1]) * math.exp(-0.5 * SIGMA**2), 2 * at[2]]
    return [math.erf(1 / math.sqrt(2)), 0.0]  # P(|u₁| < σ) = 0.683


def space(at, budget=10**9, max_batch=4096):
    return Space(len(at), torch.tensor(at, dtype=torch.float64), None, None, max_batch, budget)


def build(kind, at, seed=1, **params):
    """A method that stays at `at`: its optimizer has no step size."""
    method = kind(space(at), seed, **{"lr": 0.0, **params})
    assert method.unsupported(space(at), **params) is None
    return method


def draw(method, function, count):
    """`count` independent gradient estimates, (count, dim)."""
    found = []
    for _ in range(count):
        z = method.ask()
        method.tell(z, Evaluation(function(z)))
        found.append(method.gradient)
    return torch.stack(found)


def assert_mean(samples, expected):
    expected = torch.as_tensor(np.asarray(expected), dtype=samples.dtype)
    error = samples.std(0) / math.sqrt(len(samples)) + 1e-12
    away = ((samples.mean(0) - expected) / error).abs()
    assert away.max() < ERRORS, f"mean {samples.mean(0)}, expected {expected}, {away} standard errors off"


PRDPT = [
    {"estimator": "exact"},
    {"estimator": "exact", "antithetic": False},
    {"estimator": "exact", "importance_sampling": False},
    {"estimator": "released", "importance_sampling": False},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("params", PRDPT, ids=lambda params: "-".join(map(str, params.values())))
def test_prdpt_is_unbiased(case, params):
    function, at = CASES[case]
    method = build(Prdpt, at, sigma=SIGMA, annealing="constant", pairs=100, **params)
    assert_mean(draw(method, function, 200), truth(case))


@pytest.mark.parametrize("case", ["smooth", "plateau", "separable"])
def test_released_prdpt_is_right_for_separable_losses(case):
    function, at = CASES[case]
    method = build(Prdpt, at, sigma=SIGMA, annealing="constant", pairs=100)
    assert_mean(draw(method, function, 200), truth(case))


def test_released_prdpt_is_wrong_where_coordinates_interact():
    function, at = CASES["gated"]
    method = build(Prdpt, at, sigma=SIGMA, annealing="constant", pairs=100)
    samples = draw(method, function, 400)
    assert_mean(samples, [1 - math.exp(-0.5), 0.0])  # P(|u₁| < σ) = 0.394 for a Rayleigh magnitude
    assert abs(samples[:, 0].mean() - 0.683) > 0.25


def test_in_one_dimension_released_and_exact_share_a_density():
    at = [0.0]
    released = build(Prdpt, at, sigma=SIGMA, annealing="constant").sample(40_000).abs().sort(0).values[:, 0]
    exact = build(Prdpt, at, 2, sigma=SIGMA, annealing="constant", estimator="exact").sample(40_000)
    exact = exact.abs().sort(0).values[:, 0]
    rank = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000
    rayleigh = SIGMA * (-2 * torch.log1p(-rank)).sqrt()
    inner = slice(400, -400)  # the quantiles of the tails are noisy
    assert (released - rayleigh)[inner].abs().max() < 0.05
    assert (exact - rayleigh)[inner].abs().max() < 0.05


def variance(case, **params):
    function, at = CASES[case]
    method = build(Prdpt, at, sigma=SIGMA, annealing="constant", estimator="exact", pairs=1, **params)
    return float(draw(method, function, 4000).var(0).sum())


def test_antithetic_pairs_and_importance_sampling_lower_the_variance():
    assert variance("smooth") < 0.5 * variance("smooth", antithetic=False)
    assert variance("smooth") < 0.5 * variance("smooth", importance_sampling=False)


def picture(z):
    """A soft and a hard pixel, each moving with z (n, 1): (n, 2, 1)."""
    return torch.stack([z.sin(), 2 * (z > 0.8).to(z.dtype)], 1)


REFERENCE = torch.tensor([[0.9], [0.2]], dtype=torch.float64)


def squared_error(observed):
    return (observed - REFERENCE).square().sum((1, 2))


def draw_pictures(method, count):
    found = []
    for _ in range(count):
        z = method.ask()
        seen = picture(z)
        method.tell(z, Evaluation(squared_error(seen), None, seen, squared_error))
        found.append(method.gradient)
    return torch.stack(found)


def picture_truth(at):
    """Gradients of |Q − r|² and of E|P − r|², by quadrature."""
    smoothed, slope = integral(picture, at, KERNEL), integral(picture, at, SCORE)
    of_picture = 2 * ((smoothed - REFERENCE.numpy()) * slope).sum()
    of_loss = integral(lambda z: squared_error(picture(z)), at, SCORE)
    return of_picture, of_loss


@pytest.mark.parametrize("antithetic", [True, False])
def test_picture_objectives(antithetic):
    at, pairs = 0.1, 2
    of_picture, of_loss = picture_truth(at)
    assert abs(of_picture - of_loss) > 0.3, "the variance of the picture has a slope of its own"
    shared = {"sigma": SIGMA, "annealing": "constant", "pairs": pairs, "antithetic": antithetic}
    samples = {
        objective: draw_pictures(build(Prdpt, [at], objective=objective, **shared), 8_000)
        for objective in ("loss", "picture", "leave_one_out")
    }
    assert_mean(samples["loss"], [of_loss])
    assert_mean(samples["leave_one_out"], [of_picture])
    biased = samples["picture"]
    error = float(biased.std()) / math.sqrt(len(biased))
    assert abs(float(biased.mean()) - of_picture) > 2 * ERRORS * error, "two pairs leave a bias"
    assert abs(float(biased.mean()) - of_picture) < abs(of_loss - of_picture)


def test_picture_objective_loses_its_bias_with_the_number_of_pairs():
    of_picture, of_loss = picture_truth(0.1)
    method = build(Prdpt, [0.1], sigma=SIGMA, annealing="constant", pairs=500, objective="picture")
    assert abs(float(draw_pictures(method, 400).mean()) - of_picture) < 0.05 * abs(of_loss - of_picture)


def test_one_pair_gives_the_loss_objective():
    method = build(Prdpt, [0.1], sigma=SIGMA, importance_sampling=False)
    offsets = method.ask() - 0.1
    seen = picture(0.1 + offsets)
    method.objective = "picture"
    weights = method.picture_weights(Evaluation(squared_error(seen), None, seen, squared_error))
    losses = squared_error(seen)
    assert float(weights[0] - weights[1]) == pytest.approx(float(losses[0] - losses[1]))
    for objective in ("picture", "leave_one_out"):
        assert "pairs" in Prdpt.unsupported(space([0.0]), objective=objective, pairs=1)


def test_picture_objective_asks_for_pictures():
    assert build(Prdpt, [0.0]).needs == "value"
    assert build(Prdpt, [0.0], objective="picture", pairs=2).needs == "picture"


def test_annealing_follows_the_budget():
    for annealing, end in (("linear", 0.1 * SIGMA), ("constant", SIGMA)):
        method = Prdpt(space([0.4], budget=100), 0, sigma=SIGMA, annealing=annealing)
        assert method.bandwidth == pytest.approx(SIGMA)
        draw(method, smooth, 25)
        assert method.bandwidth == pytest.approx((SIGMA + end) / 2)
        draw(method, smooth, 25)
        assert method.bandwidth == pytest.approx(end)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sampling", ["antithetic", "one_sided"])
def test_evolution_strategy_is_unbiased(case, sampling):
    function, at = CASES[case]
    method = build(EvolutionStrategy, at, sigma=SIGMA, batch=200, sampling=sampling)
    assert_mean(draw(method, function, 200), truth(case))


def test_one_sided_baseline_takes_out_a_constant():
    at = [0.4]
    raised = build(EvolutionStrategy, at, sigma=SIGMA, sampling="one_sided")
    plain = build(EvolutionStrategy, at, sigma=SIGMA, sampling="one_sided")
    high = draw(raised, lambda z: smooth(z) + 1000.0, 50)
    assert torch.allclose(high, draw(plain, smooth, 50), atol=1e-9)


def bowl(z):
    """A quadratic with interacting coordinates, whose central differences are exact."""
    return z[:, 0] ** 2 + z[:, 0] * z[:, 1] - 2 * z[:, 1] + 0.5 * z[:, 2] ** 2


BOWL_AT, BOWL_SLOPE = [1.0, -0.5, 2.0], [1.5, -1.0, 2.0]


@pytest.mark.parametrize("optimizer", ["plain", "adam"])
@pytest.mark.parametrize("pairs", [1, 4])
def test_spsa_is_unbiased_on_a_quadratic(optimizer, pairs):
    method = build(Spsa, BOWL_AT, step=0.5, optimizer=optimizer, pairs=pairs)
    assert_mean(draw(method, bowl, 4000), BOWL_SLOPE)


def test_spsa_follows_its_gain_sequences():
    lr, budget = 0.25, 400
    method = Spsa(space(BOWL_AT, budget), 0, lr=lr, step=0.5, optimizer="plain")
    start = method.incumbent()
    z = method.ask()
    assert len(z) == 16, "the first step measures the slope with eight pairs"
    assert torch.allclose((z - start).abs(), torch.tensor(0.5, dtype=z.dtype))
    loss = bowl(z)
    method.tell(z, Evaluation(loss))
    magnitude = float((loss[:8] - loss[8:]).abs().mean()) / (2 * 0.5)
    assert torch.allclose(start - method.incumbent(), lr * method.gradient / magnitude)
    before, z = method.incumbent(), method.ask()
    assert len(z) == 2
    assert torch.allclose((z - before).abs(), torch.tensor(0.5 / 2**0.101, dtype=z.dtype))
    method.tell(z, Evaluation(bowl(z)))
    stability = 0.1 * budget / 2
    gain = lr / magnitude * ((stability + 1) / (stability + 2)) ** 0.602
    assert torch.allclose(before - method.incumbent(), gain * method.gradient)


def test_plain_spsa_survives_a_plateau():
    method = Spsa(space([0.0, 0.0], 1000), 0)
    for _ in range(3):
        z = method.ask()
        method.tell(z, Evaluation(torch.ones(len(z), dtype=z.dtype)))
    assert method.gain is None
    assert torch.equal(method.incumbent(), torch.zeros(2, dtype=torch.float64))


def test_full_finite_differences_are_exact_on_a_quadratic():
    method = build(FiniteDifferences, BOWL_AT, step=0.7)
    z = method.ask()
    assert z.shape == (6, 3)
    method.tell(z, Evaluation(bowl(z)))
    assert torch.allclose(method.gradient, torch.tensor(BOWL_SLOPE, dtype=torch.float64))


def test_blocks_of_coordinates_are_unbiased():
    method = build(FiniteDifferences, BOWL_AT, step=0.7, block=2)
    samples = draw(method, bowl, 3000)
    assert ((samples != 0).sum(1) == 2).all()
    assert_mean(samples, BOWL_SLOPE)


@pytest.mark.parametrize(
    ("budget", "max_batch", "expected"), [(10**6, 4096, 50), (1000, 4096, 5), (10**6, 16, 8), (10, 4096, 1)]
)
def test_automatic_block(budget, max_batch, expected):
    method = FiniteDifferences(space([0.0] * 50, budget, max_batch), 0)
    assert len(method.ask()) == 2 * expected


def test_blocks_visit_every_coordinate_before_any_twice():
    method = FiniteDifferences(space([0.0] * 12), 0, block=4)
    seen = torch.cat([(method.ask() != 0).any(0).nonzero()[:, 0] for _ in range(3)])
    assert sorted(seen.tolist()) == list(range(12))


@pytest.mark.parametrize("dim", [1, 2, 30])
def test_exact_offsets_are_distributed_as_the_kernels_gradient(dim):
    """E_p f = E_κ(‖u‖ f) / E_κ‖u‖ for f = ‖u‖², whose mean under p is σ²(d + 1)."""
    method = build(Prdpt, [0.0] * dim, sigma=SIGMA, annealing="constant", estimator="exact")
    square = method.sample(20_000).square().sum(1) / SIGMA**2
    assert_mean(square[:, None], [dim + 1.0])


def test_released_offsets_stay_finite_in_many_dimensions():
    method = build(Prdpt, [0.0] * 200_000)
    offsets = torch.cat([method.sample(32).to(torch.float32) for _ in range(4)])
    assert offsets.isfinite().all()
    assert float(offsets.abs().max()) < 6.0
