"""Scenes of a moving sphere: their plateaus, their bounds, their ways down, and which gradients see them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from agreement import assert_agree
from torch.nn.functional import avg_pool2d

from benchmarks.harness.certificate import certify, slopes
from benchmarks.harness.registry import task_class
from benchmarks.rendering import occlusion, shadows, sphere

pytestmark = pytest.mark.llvm

SCENES = [("shadows", None), ("occlusion", None), ("sphere", "overlap"), ("sphere", "apart"), ("sphere", "occluded")]
INVISIBLE = [SCENES[0], SCENES[1], SCENES[4]]  # at the start, the sphere has no effect on the picture at all
STARTS = 20
CERTIFIED = 0.1  # natural steps, the widest of a certificate's central differences


@cache
def scene(name, case=None):
    return task_class(f"rendering.{name}")(**({"case": case} if case else {}))


def around(problem, z, step):
    """Return z (dim,) moved by ± step along every axis, (2 dim, dim)."""
    moves = step * torch.eye(problem.dim)
    return torch.cat([z + moves, z - moves])


def frustum(problem):
    """Return camera position (3,) and the inward normals (4, 3) of the planes through the picture's borders."""
    sensor = problem.describe()["sensor"]
    place = torch.from_numpy(np.array(sensor["to_world"].matrix, dtype=np.float32)).reshape(4, 4)
    side, up, ahead, origin = place[:3].unbind(1)
    across = np.tan(np.radians(sensor["fov"]) / 2)
    upright = across * problem.height / problem.width
    normals = torch.stack([across * ahead - side, across * ahead + side, upright * ahead - up, upright * ahead + up])
    return origin, torch.nn.functional.normalize(normals, dim=1)


def corners(problem):
    """Return the corners (2^dim, dim) of the bounds."""
    return torch.cartesian_prod(*torch.stack([problem.lower, problem.upper], 1)).view(-1, problem.dim)


def distances(problem, radius):
    """Return how far inside each border plane the sphere's centre is at the corners of the bounds (c, 4), in radii."""
    origin, normals = frustum(problem)
    centers = torch.stack([problem.parameters(z)["mover.to_world"][:3, 3] for z in corners(problem)])
    return (centers - origin) @ normals.T / radius


# plateaus


@pytest.mark.parametrize(("name", "case"), INVISIBLE)
def test_every_start_is_on_an_exact_plateau(name, case):
    """To the last bit, but for the scalar variant: a path that meets the sphere out of sight takes fewer random
    numbers, and the pixel's other paths take others. There the pictures agree on average, in blocks of 8 × 8 pixels."""
    problem = scene(name, case)
    changes = []
    for seed in range(STARTS):
        z = problem.start(seed)
        pictures = problem.observe(torch.cat([z[None], around(problem, z, CERTIFIED)]), seed)
        changes.append((pictures[1:] - pictures[:1]).movedim(-1, 1))
        if problem.mi.variant() != "scalar_rgb":
            assert not changes[-1].any()
    reference = problem.observe(problem.reference[None], seed)[0]
    resolution = 0.02 * float(reference.mean())
    assert_agree(torch.stack([avg_pool2d(change, 8) for change in changes]), 0.0, resolution=resolution)
    assert float(avg_pool2d((pictures[0] - reference).movedim(-1, 0), 8).abs().max()) > 2 * resolution


def test_every_start_apart_neither_overlaps_its_target_nor_touches_the_border():
    problem = scene("sphere", "apart")
    starts = torch.cat([problem.start(seed) for seed in range(STARTS)]) * sphere.STEP
    assert sphere.TARGET - starts.max() - CERTIFIED * sphere.STEP > 2 * sphere.RADIUS
    assert starts.min() - CERTIFIED * sphere.STEP > -sphere.FARTHEST


@pytest.mark.parametrize(("case", "verdict"), [("apart", "plateau"), ("overlap", "control")])
def test_certificate_of_a_sphere_that_is_seen(case, verdict):
    problem = scene("sphere", case)
    starts = [problem.start(seed) for seed in (3, 4, 5)]
    assert certify(problem, starts, problem.validate(starts[0])["loss"] - problem.floor())["plateau"] == verdict


# bounds


def test_the_bounds_keep_the_shadow_throwing_sphere_out_of_the_picture():
    """Being outside a plane is linear in the centre: it holds in the box if it holds at its corners."""
    problem = scene("shadows")
    assert distances(problem, shadows.RADIUS).max(0).values.min() < -1, "wholly outside one and the same plane"
    lowest, highest = problem.lower[0] * shadows.STEP, problem.upper[0] * shadows.STEP
    assert lowest - shadows.RADIUS > shadows.FLOOR
    assert highest + shadows.RADIUS < shadows.CARD


@pytest.mark.parametrize(("name", "case"), SCENES[1:])
def test_the_bounds_keep_a_visible_sphere_in_the_picture(name, case):
    problem = scene(name, case)
    assert distances(problem, (occlusion if name == "occlusion" else sphere).RADIUS).min() > 1


@pytest.mark.parametrize(("name", "case"), SCENES)
def test_starts_and_target_are_within_the_bounds(name, case):
    problem = scene(name, case)
    points = [problem.reference, *(problem.start(seed) for seed in range(STARTS))]
    assert all(torch.equal(problem.space(0, 1).project(z), z) for z in points)


# the way down


def smoothed(problem, z, sigma=1.0, nodes=9):
    """Return the loss smoothed with a Gaussian of σ at z (dim,), by quadrature, within the bounds."""
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    node, weight = torch.from_numpy(node).float(), torch.from_numpy(weight / weight.sum()).float()
    offsets = sigma * torch.cartesian_prod(*[node] * problem.dim).view(-1, problem.dim)
    weights = torch.cartesian_prod(*[weight] * problem.dim).view(-1, problem.dim).prod(1)
    return float(weights @ problem.loss(problem.space(0, 1).project(z + offsets), 0))


@pytest.mark.parametrize(("name", "case"), SCENES)
def test_the_smoothed_loss_falls_on_the_way_to_the_target(name, case):
    problem = scene(name, case)
    way = [torch.lerp(problem.begin, problem.reference, share) for share in (0.0, 0.25, 0.5, 0.75)]
    losses = [smoothed(problem, z) for z in way]
    assert all(after < 0.995 * before for before, after in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize(("name", "case"), SCENES)
def test_the_loss_itself_falls_near_the_target_and_nowhere_lower(name, case):
    problem = scene(name, case)
    ways = torch.linspace(1, 0, 5)[:, None] * torch.nn.functional.normalize(problem.begin - problem.reference, dim=0)
    losses = problem.loss(problem.reference + ways, 0)
    assert (losses.diff() < 0).all()
    assert losses[-1] == 0
    assert losses[0] < problem.loss(problem.begin[None], 0)[0]


# gradients

RIGHT = {"prb": {"sphere"}, "prb_projective": {"sphere", "occlusion", "shadows"}}  # to a quarter
SEEDS = {"shadows": 8, "occlusion": 3, "sphere": 3}  # silhouettes as seen from a small light are noisy


@pytest.mark.parametrize("name", ["shadows", "occlusion", "sphere"])
@pytest.mark.parametrize("estimator", list(RIGHT))
def test_gradients_near_the_target(name, estimator):
    """Without silhouettes, `prb` sees no shadow and half of a growing sphere; of one that fades, all but nothing."""
    problem = scene(name, "apart" if name == "sphere" else None)
    if problem.without_gradient:
        pytest.skip(problem.without_gradient)
    z = problem.reference + 0.25
    expected = slopes(problem, z, torch.eye(problem.dim), 0.05, 8).mean(0)
    gradients = [problem.precise_gradient(estimator, z, seed) for seed in range(SEEDS[name])]
    found = torch.stack(gradients).mean(0).double()
    error = float((found - expected).norm() / expected.norm())
    if name in RIGHT[estimator]:
        assert error < 0.25
    else:
        assert error > 0.4
