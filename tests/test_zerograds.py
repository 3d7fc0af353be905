"""ZeroGrads: order of steps, samples per iteration, encoding, surrogates, switches, state, memory."""

from __future__ import annotations

import io

import pytest
import torch

from methods._surrogates import Encoding, build, layout, parameter_count
from methods.base import Evaluation, Space
from methods.zerograds import Zerograds

SLOPE = torch.tensor([1.0, -2.0, 0.5])


def space(dim=3, lower=None, upper=None, max_batch=64):
    return Space(dim, torch.full((dim,), 2.0), lower, upper, max_batch, 1000)


def bowl(z):
    return (z - 1.0).square().mean(1) + 3.0


def plane(z):
    return z @ SLOPE + 10.0


def iterate(method, function, count):
    for _ in range(count):
        z = method.ask()
        method.tell(z, Evaluation(function(z)))


def copy_of(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def test_released_order_follows_the_network_that_was_there_before_the_fit():
    method = Zerograds(space(), 0)
    believed, before = method.slope(), method.incumbent()
    loss_scale = float(bowl(torch.full((1, 3), 2.0)))
    iterate(method, bowl, 1)
    assert torch.nn.functional.cosine_similarity(method.gradient, believed, dim=0) > 0.9999
    assert 0.2 * loss_scale < float(method.gradient.norm() / believed.norm()) < 5 * loss_scale
    assert torch.allclose(before - method.incumbent(), 0.01 * believed.sign(), atol=1e-4), "Adam's first step"


def test_fit_first_follows_the_fitted_network():
    released, fitting = Zerograds(space(), 0, lr_phi=0.1), Zerograds(space(), 0, lr_phi=0.1, order="fit_first")
    believed, at = fitting.slope(), fitting.incumbent()
    for method in (released, fitting):
        iterate(method, bowl, 1)
    assert torch.nn.functional.cosine_similarity(fitting.gradient, believed, dim=0) < 0.999
    for mine, other in zip(released.surrogate.parameters(), fitting.surrogate.parameters(), strict=True):
        assert torch.equal(mine, other), "the fit sees the same samples in both orders"
    fitting.theta.copy_(at)
    assert torch.allclose(fitting.slope(), fitting.gradient)


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("batch", [1, 5])
def test_samples_per_iteration(batch, antithetic):
    method = Zerograds(space(), 0, batch=batch, antithetic=antithetic, smoothing=False)
    z = method.ask()
    assert z.shape == (2 * batch, 3)
    mirrored = torch.allclose(z[:batch] + z[batch:], 2 * method.theta, atol=1e-5)
    assert mirrored == antithetic


def test_a_small_batch_limit_is_kept():
    assert len(Zerograds(space(max_batch=6), 0, batch=50).ask()) == 6


def test_fitted_before_it_stays_for_half_of_the_budget_and_then_follows_a_network_that_stays():
    method = Zerograds(space(), 0, fitting="before", locality=False, lr_phi=0.1)
    iterate(method, bowl, 25)  # of 20 evaluations, of 1,000
    assert torch.equal(method.incumbent(), space().start)
    network = copy_of(method.surrogate)
    iterate(method, bowl, 5)
    assert not torch.equal(method.incumbent(), space().start)
    assert all(torch.equal(one, other) for one, other in zip(network, copy_of(method.surrogate), strict=True))


def test_steps_per_iteration():
    method = Zerograds(space(), 0, k_theta=4, k_phi=7)
    iterate(method, bowl, 3)
    assert [int(state["step"]) for state in method.optimizer.state.values()] == [12]
    assert method.fitter.steps == 21


def test_smoothing_jitters_what_is_evaluated_and_not_what_is_fitted():
    sharp, smooth = (Zerograds(space(), 0, smoothing=on, sigma=2.0, batch=32) for on in (False, True))
    assert torch.equal(sharp.ask(), sharp.samples)
    jitter = smooth.ask() - smooth.samples
    assert torch.equal(smooth.samples, sharp.samples)
    assert float(jitter.std()) == pytest.approx(0.1 * 2.0, rel=0.25)


def test_locality():
    box = {"lower": torch.tensor([-9.0, 0.0, 5.0]), "upper": torch.tensor([9.0, 1.0, 6.0])}
    near = Zerograds(space(**box), 0, batch=32, smoothing=False).ask()
    assert float((near - 2.0).std()) == pytest.approx(1.0, rel=0.25)
    inside = Zerograds(space(**box), 0, batch=32, smoothing=False, locality=False).ask()
    assert ((inside >= box["lower"] - 1e-5) & (inside <= box["upper"] + 1e-5)).all()
    extent = (inside.amax(0) - inside.amin(0)) / (box["upper"] - box["lower"])
    assert extent.min() > 0.8
    moved = Zerograds(space(), 0, batch=32, smoothing=False, locality=False)
    moved.theta += 100.0
    wide = moved.ask() - 2.0
    assert float(wide.mean().abs()) < 1e-4
    assert float(wide.std()) == pytest.approx(10.0, rel=0.25)


def test_sigma_is_the_spread_of_the_samples():
    z = Zerograds(space(dim=200), 0, sigma=0.3, batch=32, smoothing=False).ask()
    assert float((z - 2.0).std()) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    ("dim", "frequencies", "width", "layers", "units"),
    [(2, None, 2, 3, 64), (336, None, 13 * 336, 8, 128), (336, 3, 7 * 336, 8, 128)],
)
def test_published_networks(dim, frequencies, width, layers, units):
    surrogate = Zerograds(space(dim), 0, frequencies=frequencies).surrogate
    assert surrogate.features(torch.zeros(5, dim)).shape == (5, width)
    shapes = [tuple(weight.shape) for weight in surrogate.weights]
    assert tuple(surrogate.first.shape) == (width, units)
    assert shapes == [*[(units, units)] * (layers - 1), (1, units)]


@pytest.mark.parametrize("kind", ["neural", "quadratic", "linear"])
def test_parameters_are_counted_right(kind):
    shape = layout(100, None, None, None)
    surrogate = build(kind, torch.zeros(100), *shape, 1.0, torch.Generator())
    assert sum(parameter.numel() for parameter in surrogate.parameters()) == parameter_count(kind, 100, *shape)


def test_encoding_holds_octaves_of_sine_and_cosine():
    surrogate = Zerograds(space(1), 0, frequencies=3, scale=0.5).surrogate
    x = 0.5 * 1.7
    expected = [
        x,
        *(torch.tensor(2.0**k * x).sin() for k in range(3)),
        *(torch.tensor(2.0**k * x).cos() for k in range(3)),
    ]
    assert torch.allclose(surrogate.features(torch.tensor([[1.7]]))[0], torch.tensor(expected))


def test_encoding_is_differentiated_right():
    z = torch.linspace(-2, 2, 15, dtype=torch.float64).view(3, 5).requires_grad_(True)
    for frequencies in (0, 1, 4):
        assert torch.autograd.gradcheck(lambda z, k=frequencies: Encoding.apply(z, 0.3, k), (z,))


def test_output_is_leaky():
    surrogate = Zerograds(space(), 0).surrogate
    with torch.no_grad():
        surrogate.biases[-1].fill_(-1000.0)
    assert -11.0 < float(surrogate(torch.zeros(1, 3)).detach()) < -9.0


@pytest.mark.parametrize("kind", ["neural", "quadratic", "linear"])
def test_fit_learns_the_direction_of_a_quadratics_gradient(kind):
    method = Zerograds(space(), 0, lr=0.0, surrogate=kind, sigma=0.5, batch=16, k_phi=10, lr_phi=1e-2)
    iterate(method, bowl, 200)
    true = 2 / 3 * (method.theta - 1.0)
    assert torch.nn.functional.cosine_similarity(method.slope(), true, dim=0) > 0.95
    assert float(method.slope().norm() / true.norm()) == pytest.approx(1.0, abs=0.25)
    assert float(method.predict(method.theta[None])) == pytest.approx(float(bowl(method.theta[None])), rel=0.1)


def test_linear_surrogate_recovers_a_plane():
    method = Zerograds(space(), 0, lr=0.0, surrogate="linear", smoothing=False, batch=16, k_phi=10, lr_phi=1e-2)
    iterate(method, plane, 300)
    assert torch.allclose(method.slope(), SLOPE, atol=0.02)


def test_quadratic_surrogate_bends_and_the_linear_one_does_not():
    for kind, bends in (("quadratic", True), ("linear", False)):
        method = Zerograds(space(), 0, lr=0.0, surrogate=kind, batch=16, k_phi=10, lr_phi=1e-2)
        iterate(method, bowl, 200)
        here = method.slope()
        method.theta += 0.5
        assert (float((method.slope() - here).norm()) > 0.1) == bends


def test_surrogates_differ_and_descend():
    for kind in ("neural", "quadratic", "linear"):
        method = Zerograds(space(), 0, surrogate=kind, lr=0.05, lr_phi=1e-2, batch=2)
        begin = float(bowl(method.incumbent()[None]))
        iterate(method, bowl, 150)
        assert float(bowl(method.incumbent()[None])) - 3.0 < 0.5 * (begin - 3.0)


def test_no_global_random_state_is_touched():
    before = torch.get_rng_state()
    iterate(Zerograds(space(), 0), bowl, 2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", ["neural", "quadratic", "linear"])
def test_killed_and_resumed_equals_uninterrupted(kind):
    whole = Zerograds(space(), 3, surrogate=kind)
    iterate(whole, bowl, 4)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    iterate(whole, bowl, 5)
    file.seek(0)
    resumed = Zerograds(space(), 3, surrogate=kind)
    iterate(resumed, bowl, 1)  # something to overwrite
    resumed.load_state_dict(torch.load(file, weights_only=True))
    iterate(resumed, bowl, 5)
    assert torch.equal(resumed.incumbent(), whole.incumbent())
    for mine, other in zip(copy_of(resumed.surrogate), copy_of(whole.surrogate), strict=True):
        assert torch.equal(mine, other)


def test_too_large_a_network_says_what_it_needs():
    wide = Space(196_608, torch.zeros(196_608), None, None, 64, 1000)
    reason = Zerograds.unsupported(wide, memory_gib=2.0)
    assert "327,271,553 weights" in reason
    assert "3.7 GiB" in reason
    assert "2.0 GiB are free" in reason
    assert Zerograds.unsupported(wide, memory_gib=8.0) is None
    assert Zerograds.unsupported(wide, surrogate="linear", memory_gib=0.1) is None
    assert "quadratic" in Zerograds.unsupported(wide, surrogate="quadratic")
    assert Zerograds.unsupported(space()) is None
