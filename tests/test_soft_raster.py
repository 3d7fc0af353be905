"""Soft rasterizers: their hard limit, their distribution functions, their gradients, and what they miss on a mug."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._mitsuba import backend
from benchmarks.rendering._soft_gradient import SoftGradient
from benchmarks.rendering._soft_raster import (
    SOFTNESSES,
    Camera,
    GenDR,
    SignedDistance,
    Softness,
    SoftRas,
    SoftRasterizer,
    Surface,
    inverse_depth,
)
from benchmarks.rendering.cup import Cup

AHEAD = (0.0, 0.0, 1.0)  # light from the viewer
FAMILIES = {
    "softras": lambda d, s: stats.logistic.cdf(np.sign(d) * d**2 / s.sigma),
    "gendr_gaussian": lambda d, s: stats.norm.cdf(d / s.tau),
    "gendr_cauchy": lambda d, s: stats.cauchy.cdf(np.sign(d) * (d / s.tau) ** 2),
    "gendr_uniform": lambda d, s: stats.uniform.cdf(d / s.tau, -1, 2),
}
every_softness = pytest.mark.parametrize("name", SOFTNESSES)


@cache
def mug() -> Cup:
    return Cup()


@cache
def fine_mug() -> Cup:
    return Cup(width=96, height=72)


def rasterizer(softness: Softness, width: int = 16, height: int = 12) -> SoftRasterizer:
    """Seen from z = 4 along −z, with a field of view of 90°, in double precision."""
    directions = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64).diag()
    camera = Camera(directions, torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64), zoom=1.0)
    return SoftRasterizer(camera, width, height, softness, AHEAD)


def octahedron(centre: Tensor, radius: float = 1.0) -> Tensor:
    axes = torch.tensor([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], dtype=centre.dtype)
    turn = torch.linalg.matrix_exp(torch.tensor([(0, -0.4, 0.3), (0.4, 0, -0.2), (-0.3, 0.2, 0)], dtype=centre.dtype))
    return radius * axes @ turn.T + centre


OCTAHEDRON = torch.tensor([(a, b, c) if s else (b, a, c) for a, b, c, s in (
    (0, 2, 4, 1), (2, 1, 4, 1), (1, 3, 4, 1), (3, 0, 4, 1), (0, 2, 5, 0), (2, 1, 5, 0), (1, 3, 5, 0), (3, 0, 5, 0),
)])  # fmt: skip
HALF_PLANE = torch.tensor([(0.0, -1000.0, 0.0), (0.0, 1000.0, 0.0), (-1000.0, 0.0, 0.0)], dtype=torch.float64)


def test_distances_are_those_to_the_nearest_point_of_the_outline():
    triangle = np.array([(-0.5, -0.4), (0.6, -0.3), (0.1, 0.7)])
    pixels = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    share = np.linspace(0, 1, 4001)[:, None]
    outline = np.concatenate([a + share * (b - a) for a, b in zip(triangle, np.roll(triangle, -1, 0), strict=True)])
    expected = np.linalg.norm(pixels[:, None] - outline, axis=2).min(1)
    edges = np.roll(triangle, -1, 0) - triangle
    rays = pixels[:, None] - triangle
    inside = (edges[:, 0] * rays[..., 1] - edges[:, 1] * rays[..., 0] > 0).all(1)
    assert 0 < inside.sum() < 200
    for corners in (triangle, triangle[::-1].copy()):  # either winding
        found = SignedDistance.apply(torch.from_numpy(corners)[None], torch.from_numpy(pixels))[0].numpy()
        np.testing.assert_allclose(found, np.where(inside, expected, -expected), atol=1e-5)


def test_derivatives_of_distance_and_depth():
    generator = torch.Generator().manual_seed(1)
    corners = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64).requires_grad_(True)
    pixels = torch.randn(7, 2, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: SignedDistance.apply(x[..., :2], pixels), corners)
    assert torch.autograd.gradcheck(lambda x: inverse_depth(x, pixels), corners)


@every_softness
def test_a_half_plane_is_covered_as_the_distribution_function_says(name):
    """The edge is x = 0 in the plane before the background; what shows is D · colour + (1 − D) · background."""
    softness = SOFTNESSES[name]
    if isinstance(softness, SoftRas):  # its background takes part in the softmax: equal weights show D / (D + 1)
        softness = replace(softness, epsilon=(1 / 4 - 0.01) / 0.99)
    grid = rasterizer(softness, 64, 4)
    shown = grid([Surface(HALF_PLANE, torch.tensor([(0, 1, 2)]), (1.0, 0.5, 0.0))])
    covered = ((shown - grid.background) / (torch.tensor((1.0, 0.5, 0.0)) - grid.background))[1].numpy()
    expected = FAMILIES[name](-grid.pixels[:64, 0].numpy(), softness)
    assert expected.min() < 0.05 < 0.95 < expected.max()
    if isinstance(softness, SoftRas):
        expected = expected / (expected + 1)
    np.testing.assert_allclose(covered, np.stack([expected] * 3, 1), atol=1e-6)


@every_softness
def test_gradients_are_the_limit_of_central_differences(name):
    """Two surfaces, one before the other, moving along all three axes; shading, depth and outline all change."""
    grid = rasterizer(SOFTNESSES[name], 12, 9)
    behind = octahedron(torch.tensor([0.3, -0.2, -2.0], dtype=torch.float64), 1.5)
    weights = torch.rand(9, 12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(z: Tensor) -> Tensor:
        turned = octahedron(torch.zeros(3, dtype=torch.float64)) * (1 + 0.3 * z[3]) + z[:3]
        surfaces = [Surface(behind, OCTAHEDRON, (0.2, 0.7, 0.3)), Surface(turned, OCTAHEDRON, (0.8, 0.2, 0.1))]
        return (weights * grid(surfaces)).square().sum()

    z = torch.tensor([0.35, 0.25, 0.1, 0.2], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(z), z)
    assert gradient.abs().min() > 1e-4
    for axis, step in enumerate(1e-6 * torch.eye(4, dtype=torch.float64)):
        with torch.no_grad():
            difference = (loss(z + step) - loss(z - step)) / 2e-6
        assert float(gradient[axis]) == pytest.approx(float(difference), rel=1e-4, abs=1e-7)


@every_softness
def test_triangles_behind_the_camera_are_left_out(name):
    grid = rasterizer(SOFTNESSES[name])
    seen = octahedron(torch.zeros(3, dtype=torch.float64))
    behind = octahedron(torch.tensor([0.0, 0.0, 6.0], dtype=torch.float64))
    alone = grid([Surface(seen, OCTAHEDRON, (0.8, 0.2, 0.1))])
    both = grid([Surface(seen, OCTAHEDRON, (0.8, 0.2, 0.1)), Surface(behind, OCTAHEDRON, (0.0, 0.0, 1.0))])
    assert torch.equal(alone, both)
    nothing = grid([Surface(behind, OCTAHEDRON, (0.0, 0.0, 1.0))])
    assert torch.equal(nothing, grid.background.expand_as(nothing))


def test_only_what_moves_is_drawn_again():
    grid = rasterizer(SOFTNESSES["softras"])
    drawn = []
    draw = grid._layer
    grid._layer = lambda surface: (drawn.append(surface.color), draw(surface))[1]
    still = octahedron(torch.zeros(3, dtype=torch.float64))
    for shift in (0.0, 0.5):
        grid([Surface(still, OCTAHEDRON, (1.0, 0.0, 0.0)), Surface(still + shift, OCTAHEDRON, (0.0, 1.0, 0.0))])
    assert drawn == [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0)]


SHARP = {
    "softras": SoftRas(sigma=1e-8, gamma=1e-4),
    "gendr": GenDR(1e-8, 1e-4, SOFTNESSES["gendr_gaussian"].distribution, tau=1e-5),
}


@cache
def shapes_seen(degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Return per pixel which surface all of Mitsuba's samples hit (−1: the sky), and whether they agree."""
    import drjit as dr

    problem, mi = fine_mug(), backend().mi
    problem._place(problem.reference + math.radians(degrees) / problem.scale)
    integrator = mi.load_dict({"type": "aov", "aovs": "seen:shape_index,far:depth"})
    found = np.array(mi.render(problem.scene, integrator=integrator, spp=64))[..., -2:]
    index = found[..., 0].round().astype(int)
    sky = found[..., 1] == 0
    pure = sky | (np.abs(found[..., 0] - index) < 1e-4)
    surfaces = np.full(index.max() + 1, -2)
    for shape in problem.scene.shapes():
        number = int(np.array(dr.reinterpret_array(mi.UInt32, mi.ShapePtr(shape)))[0])
        if shape.id() in ("floor", "body", "handle"):
            surfaces[number] = ("floor", "body", "handle").index(shape.id())
    return np.where(sky, -1, surfaces[index]), pure


@pytest.mark.llvm
@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize("degrees", [0, 60, 120])  # at 120 the body hides the handle
def test_sharp_pictures_have_the_silhouettes_that_mitsuba_sees(name, degrees):
    """Of pixels that all of Mitsuba's samples agree on, at most 0.5 % show another surface."""
    if backend().no_gradient:
        pytest.skip("Mitsuba's scalar variant numbers no shapes")
    problem = fine_mug()
    camera = next(iter(problem.soft.values())).rasterizer.camera
    soft = SoftRasterizer(camera, 96, 72, SHARP[name], (0.0, 1.0, 0.0))
    surfaces = problem.surfaces(problem.reference + math.radians(degrees) / problem.scale)
    shown = soft([replace(item, color=tuple(row)) for item, row in zip(surfaces, torch.eye(3).tolist(), strict=True)])
    sky = (shown - soft.background).abs().amax(2) < 1e-3
    found = torch.where(sky, -1, shown.argmax(2)).numpy()
    expected, pure = shapes_seen(degrees)
    assert pure.mean() > 0.85
    assert {-1, 0, 1} <= set(np.unique(expected[pure]))
    assert ((expected == 2) & pure).mean() < 1e-3 if degrees == 120 else ((expected == 2) & pure).mean() > 0.01
    assert (found[pure] != expected[pure]).mean() < 0.005


@pytest.mark.llvm
@every_softness
def test_the_mug_is_found_from_near_and_seen_through_from_behind_only_by_tails(name):
    """10° off, slopes lead home from both sides; from behind there is only what leaks through, by long tails mostly."""
    problem = mug()
    estimator = problem.estimators()[name]
    beside = torch.tensor([10.0, -10.0])[:, None].deg2rad() / problem.scale + problem.reference
    losses, gradients = estimator(torch.cat([beside, problem.reference[None], problem.begin[None]]), 0)
    assert gradients[0] > 0 > gradients[1]
    assert float(losses[2]) == 0.0 < float(losses[:2].min())
    leak = abs(float(gradients[3])) / float(gradients[:2].abs().min())
    assert 0.03 < leak < 1 if name == "gendr_cauchy" else leak < 0.01


@pytest.mark.llvm
def test_a_hidden_handle_has_no_gradient_at_the_published_constants():
    """σ = γ = 1e-4 (Liu et al. 2019): in single precision what a nearer surface hides has no weight at all."""
    problem = mug()
    soft = problem.soft["softras"]
    published = SoftRasterizer(soft.rasterizer.camera, 32, 24, SoftRas(1e-4, 1e-4), (0.0, 6.0, 3.0))
    gradient = SoftGradient(published, problem.surfaces, problem.compare, problem.reference)
    starts = torch.stack([problem.start(seed) for seed in range(3)])
    losses, gradients = gradient(torch.cat([starts, problem.reference[None] + 0.3]), 0)
    assert torch.equal(gradients[:3], torch.zeros(3, 1))
    assert losses[:3].min() > 0
    assert gradients[3].abs() > 1e-3


def test_tessellated_spheres_are_closed_and_face_outwards():
    vertices, faces = shapes.icosphere(2)
    assert (len(vertices), len(faces)) == (162, 320)
    torch.testing.assert_close(vertices.norm(dim=1), torch.ones(162))
    first, second, third = vertices[faces].double().unbind(1)
    volumes = (torch.linalg.cross(first, second) * third).sum(1) / 6
    assert volumes.min() > 0
    assert 0.96 < float(volumes.sum()) / (4 / 3 * math.pi) < 1
    edges = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    assert len(edges.unique(dim=0)) == len(edges) == 2 * len(edges.sort(1).values.unique(dim=0))


@pytest.mark.llvm
def test_gradients_have_names_in_an_order():
    problem = mug()
    assert list(problem.soft) == list(SOFTNESSES)
    assert list(problem.estimators())[-len(SOFTNESSES) :] == list(SOFTNESSES)


@pytest.mark.llvm
def test_without_llvm_the_soft_gradients_alone_are_left(monkeypatch):
    found = replace(backend(), no_gradient="no LLVM")
    monkeypatch.setattr("benchmarks.rendering._scene.backend", lambda device: found)
    problem = Cup()
    assert list(problem.estimators()) == list(SOFTNESSES)
    assert problem.gradient == "biased"
    z = problem.start(0)[None]
    for mine, theirs in zip(problem.loss_and_grad(z, 0), problem.soft["softras"](z, 0), strict=True):
        assert torch.equal(mine, theirs)
