"""Light transport: the flow is a density, learning it lowers variance, and guiding the renderer changes no mean."""

from __future__ import annotations

import pytest
import torch

from benchmarks.appearance._flow import Flow, spline
from benchmarks.appearance._path_space import DIM, luminance, radiance
from benchmarks.appearance.transport import Transport, mixture
from benchmarks.contract.errors import UsageError
from methods.meta._adam import adam

SMALL = {"train": 4, "validation": 2, "test": 3, "samples": 256, "pixels": 8, "spp": 64, "hidden": 8}
PLANE = Flow(2, ((0,), (1,), (0,), (1,)), bins=5, hidden=8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def bent(flow, count, seed=0):
    """Weights (count, n_weights) whose flow is far from the identity, unlike that of initial ones."""
    return 2 * flow.initial(count, seeded(seed)).double()


def corners(count):
    """`count`² centres of cells of the unit square, (1, count², 2)."""
    axis = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return torch.cartesian_prod(axis, axis)[None]


@pytest.mark.parametrize("flow", [PLANE, Flow(6, ((0, 1, 2), (3, 4, 5), (0, 2, 4)), bins=4, hidden=6)])
def test_flow_and_its_inverse(flow):
    weights = bent(flow, 3)
    points = torch.rand(3, 500, flow.dim, generator=seeded(1), dtype=torch.float64)
    base, log_density = flow.to_base(weights, points)
    assert float((base - points).abs().mean()) > 0.02, "a flow that does nothing is its own inverse"
    assert float(base.min()) >= 0
    assert float(base.max()) <= 1
    back, log_drawn = flow.from_base(weights, base)
    torch.testing.assert_close(back, points, atol=1e-7, rtol=0)
    torch.testing.assert_close(log_drawn, log_density, atol=1e-5, rtol=0)


def test_density_integrates_to_one():
    density = PLANE.to_base(bent(PLANE, 4), corners(300).expand(4, -1, -1))[1].exp()
    assert float(density.std(1).min()) > 0.2
    torch.testing.assert_close(density.mean(1), torch.ones(4, dtype=torch.float64), atol=2e-3, rtol=0)


def test_density_is_the_determinant_of_autograds_jacobian():
    flow = Flow(3, ((0,), (1, 2), (0, 1)), bins=4, hidden=6)
    weights = bent(flow, 1)
    points = torch.rand(5, 3, generator=seeded(1), dtype=torch.float64)
    log_density = flow.to_base(weights, points[None])[1][0]
    for point, expected in zip(points, log_density, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda u: flow.to_base(weights, u[None, None])[0][0, 0], point)
        torch.testing.assert_close(jacobian.det().log(), expected)


def test_drawn_points_follow_the_density():
    weights = bent(PLANE, 1)
    cells = PLANE.to_base(weights, corners(120))[1].exp().view(6, 20, 6, 20).mean((1, 3))
    points = PLANE.from_base(weights, torch.rand(1, 60_000, 2, generator=seeded(2), dtype=torch.float64))[0][0]
    column, row = (points * 6).long().clamp_max(5).unbind(1)
    counts = torch.bincount(6 * column + row, minlength=36).view(6, 6) * 36 / len(points)
    error = (cells * 36 / len(points)).sqrt()  # standard deviation of a count, in the same unit
    assert float(((counts - cells) / error).square().mean()) < 2


def test_splines_without_parameters_are_the_identity():
    x = torch.linspace(0, 1, 41)
    for inverse in (False, True):
        y, log_slope = spline(x, torch.zeros(41, 16), inverse)
        torch.testing.assert_close(y, x)
        torch.testing.assert_close(log_slope, torch.zeros(41), atol=1e-6, rtol=0)


def test_loss_has_first_and_second_derivatives():
    family = Transport(**SMALL)
    batch = {name: value.double() for name, value in family.sample(family.split.test, 64, seeded()).items()}
    weights = (2 * family.initial(3, seeded(1))).double().requires_grad_(True)
    way = torch.randn(weights.shape, generator=seeded(2), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(family.loss(weights, batch).sum(), weights, create_graph=True)
    (second,) = torch.autograd.grad((gradient * way).sum(), weights)
    values, slopes = [], []
    for sign in (1, -1):
        shifted = (weights + sign * 1e-6 * way).detach().requires_grad_(True)
        values.append(family.loss(shifted, batch))
        slopes.append(torch.autograd.grad(values[-1].sum(), shifted)[0])
    torch.testing.assert_close((values[0] - values[1]) / 2e-6, (gradient * way).sum(1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close((slopes[0] - slopes[1]) / 2e-6, second, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def fitted():
    """A family, its test members and a flow for each after 40 steps of Adam."""
    family = Transport(**{**SMALL, "hidden": 20})
    members, generator, update = family.split.test, seeded(), adam(0.01)
    weights = family.initial(3, generator)
    before = family.metrics(weights, members)
    for step in range(40):
        weights = weights.detach().requires_grad_(True)
        loss = family.loss(weights, family.sample(members, 256, generator))
        (gradient,) = torch.autograd.grad(loss.sum(), weights)
        weights = update(weights.detach(), gradient, step)
    return family, members, weights, before


def test_learning_lowers_variance(fitted):
    family, members, weights, before = fitted
    after = family.metrics(weights, members)
    assert set(after) == {"variance", "nll", "psnr"}
    torch.testing.assert_close(before["variance"], torch.ones(3), atol=0.1, rtol=0)
    assert float(after["variance"].max()) < 0.95
    assert float(after["variance"].mean()) < 0.85
    assert float((after["psnr"] - before["psnr"]).mean()) > 0.3  # less noise is seen, too
    assert float((before["nll"] - after["nll"]).min()) > 0.1


def test_a_uniform_flow_is_uniform_sampling():
    family = Transport(**SMALL)
    members = family.split.test
    metrics = family.metrics(torch.zeros(3, family.n_weights), members)
    torch.testing.assert_close(metrics["variance"], torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(metrics["nll"], torch.zeros(3), atol=1e-4, rtol=0)


def test_variance_is_that_of_samples_drawn(fitted, monkeypatch):
    """The metric looks at uniform points; here two paths from one place are drawn from p, and compared."""
    family, members, weights, _ = fitted
    generator = seeded(3)
    count = 120_000
    film = torch.rand(3, count, 2, generator=generator)

    def light(guided):
        points = torch.cat([film, torch.rand(3, count, DIM - 2, generator=generator)], 2)
        if not guided:
            return luminance(radiance(family.rooms[members], points))
        drawn, _ = family.flow.from_base(weights, points)
        points = torch.where(torch.rand(3, count, 1, generator=generator) < 0.1, points, drawn)
        assert torch.equal(points[..., :2], film), "the place on the film is told, not drawn"
        density = mixture(family.flow.to_base(weights, points)[1])
        return luminance(radiance(family.rooms[members], points)) / density

    noise = [(light(guided) - light(guided)).square().mean(1) for guided in (True, False)]
    monkeypatch.setattr(family, "checked", torch.rand(count, DIM, generator=generator))
    monkeypatch.setattr(family, "_light", {})
    torch.testing.assert_close(family.metrics(weights, members)["variance"], noise[0] / noise[1], rtol=0.1, atol=0)


def test_guided_pictures_are_unbiased(fitted, monkeypatch):
    """The mean of many guided renderings is the picture, pixel by pixel, within standard errors of both."""
    family, members, weights, _ = fitted
    member = int(members[0])
    renderings = []
    for seed in range(32):
        monkeypatch.setattr(family, "_seeded", lambda purpose, seed=seed: seeded(100 + seed))
        renderings.append(family.rendered(weights[0], member))
    guided = torch.stack(renderings)
    count = 64 * 3000
    points = torch.rand(64, 3000, DIM, generator=seeded(1))
    cell = torch.cartesian_prod(torch.arange(8), torch.arange(8)).flip(1)[:, None]
    points[..., :2] = (cell + points[..., :2]) / 8
    light = radiance(family.rooms[torch.tensor([member])], points.view(1, count, DIM)).view(64, 3000, 3)
    reference, noise = light.mean(1).view(8, 8, 3), light.var(1).view(8, 8, 3) / 3000
    score = (guided.mean(0) - reference) / (guided.var(0) / len(guided) + noise).sqrt()
    assert float(score.square().mean()) < 1.5
    assert float(score.mean().abs()) < 0.35
    one = (family.converged(member) - reference) / (noise * 3000 / 64 + noise).sqrt()
    assert float(one.square().mean()) < 1.3, "the reference picture is the same"


def test_weights_of_samples_have_mean_one():
    family = Transport(**SMALL)
    batch = family.sample(family.split.test, 256, seeded())
    assert batch["points"].shape == (3, 256, DIM)
    assert float(batch["weight"].min()) >= 0
    torch.testing.assert_close(batch["weight"].mean(1), torch.ones(3))
    zero = torch.zeros(3, family.n_weights)
    torch.testing.assert_close(family.loss(zero, batch), torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"test": 0}, "'test' is 0"), ({"bins": 1}, "'bins' is 1"), ({"pixels": 4}, "'pixels' is 4"), ({"spp": 0}, "spp")],
)
def test_bad_parameters(change, message):
    with pytest.raises(UsageError, match=message):
        Transport(**{**SMALL, **change})
