"""The flash renderer against closed forms, and the materials made in code."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.appearance import _flash, _materials

CPU = torch.device("cpu")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(pixels, diffuse=0.0, specular=0.0, roughness=0.5):
    """Maps (6, p, p), constant, in double precision."""
    values = torch.tensor([diffuse] * 3 + [specular, roughness, 0.5], dtype=torch.float64)
    return values[:, None, None].expand(6, pixels, pixels)


def seen(maps):
    pixels = maps.shape[-1]
    return _flash.radiance(maps, _flash.camera(pixels, CPU).double(), _flash.WIDTH / pixels)


def test_lambert_falls_off_with_distance_and_cosine():
    light = seen(flat(65, diffuse=0.7))
    assert float(light[0, 32, 32]) == pytest.approx(0.7), "right below the camera: the albedo"
    x = (torch.arange(65).double() + 0.5) / 65 - 0.5
    side = 2 * math.tan(math.radians(22.5))
    square = (side * x[None]) ** 2 + (side * x[:, None]) ** 2
    torch.testing.assert_close(light[1], 0.7 * (1 + square) ** -1.5, rtol=1e-6, atol=0)


def test_highlight_has_the_height_of_the_formula():
    """Normal incidence: π F D / 4 with D = 1 / (π α²), α = roughness²."""
    light = seen(flat(65, specular=0.3, roughness=0.6))
    assert float(light[0, 32, 32]) == pytest.approx(0.3 / (4 * 0.36**2), rel=1e-6)
    assert light[0].argmax() == 32 * 65 + 32


@pytest.mark.parametrize("alpha", [0.04, 0.2, 0.6, 1.0])
def test_ggx_normals_cover_the_surface_once(alpha):
    """∫ D(h) cos θ dω = 1, by quadrature in u = cos²θ with π D du."""
    sine = torch.logspace(-8, 0, 20_001, dtype=torch.float64)  # sin²θ, dense where the lobe is
    density = math.pi * _flash.ggx((1 - sine).sqrt(), torch.tensor(alpha, dtype=torch.float64))
    assert float(torch.trapezoid(density, sine)) == pytest.approx(1, abs=1e-4)


def test_specular_term_is_cook_torrance_with_smith():
    """F D G / (4 n·l n·v) with G = 1 / (1 + Λ(l) + Λ(v)), written out with tangents, on a bumpy surface."""
    maps = flat(32, specular=0.5, roughness=0.4).clone()
    maps[5] = 0.5 + 0.05 * _materials.Canvas(32, seeded()).field(3)
    towards = _flash.camera(32, CPU).double()
    along_x, along_y = _flash.slopes(maps[5], _flash.WIDTH / 32)
    normal = torch.nn.functional.normalize(torch.stack([-along_x, -along_y, torch.ones_like(along_x)]), dim=0)
    distance = towards.norm(dim=0)
    cosine = (normal * towards).sum(0) / distance
    tangent2, alpha2 = 1 / cosine**2 - 1, 0.4**4
    hidden = (-1 + (1 + alpha2 * tangent2).sqrt()) / 2
    normals = alpha2 / (math.pi * cosine**4 * (alpha2 + tangent2) ** 2)
    brdf = 0.5 * normals / (1 + 2 * hidden) / (4 * cosine**2)
    assert 0.8 < float(cosine.min()) < 0.95
    torch.testing.assert_close(seen(maps)[0], math.pi * brdf * cosine / distance**2, rtol=1e-6, atol=0)


def test_a_slope_and_a_hill():
    row, column = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    right, up = _flash.slopes((0.2 * column + 0.1 * row) / _flash.DEPTH, 1.0)  # rises to the right and downwards
    torch.testing.assert_close(right, torch.full((8, 8), 0.2))
    torch.testing.assert_close(up, torch.full((8, 8), -0.1))
    maps = flat(65, diffuse=0.5).clone()
    axis = torch.arange(65)
    maps[5] = 0.5 + 0.4 * torch.exp(-((axis[None] - 16) ** 2 + (axis[:, None] - 32) ** 2) / 50)
    light = seen(maps)[0]
    assert light[32, 20] > 1.1 * light[32, 12], "the side that faces the light is the bright one"


def test_gradients_of_the_renderer():
    channels = torch.randn(2, 6, 4, 4, generator=seeded(), dtype=torch.float64).requires_grad_(True)
    towards = _flash.camera(4, CPU).double()

    def picture(values):
        return _flash.photograph(_flash.to_maps(values), towards, 64)

    assert torch.autograd.gradcheck(picture, channels)
    assert torch.autograd.gradgradcheck(picture, channels)


def test_crops_are_parts_of_the_picture():
    """But for a border of one pixel, where its normals are one-sided, a rendered part is part of the rendering."""
    _, maps = _materials.make(_materials.STATIONARY, 8, 32)
    towards = _flash.camera(32, CPU)
    whole = _flash.photograph(maps, towards, 32)
    part = _flash.photograph(maps[..., 5:25, 8:28], towards[:, 5:25, 8:28], 32)
    torch.testing.assert_close(part[..., 1:-1, 1:-1], whole[..., 6:24, 9:27])


def test_develop_is_gamma_and_keeps_a_slope_beyond_white():
    light = torch.tensor([0.0, 0.25, 0.9, 4.0], requires_grad=True)
    value = _flash.develop(light)
    values = value.detach()
    torch.testing.assert_close(values[1:3], torch.tensor([0.25, 0.9]) ** (1 / 2.2), rtol=1e-3, atol=0)
    assert 0 <= float(values[0]) < 0.02
    (slope,) = torch.autograd.grad(value.sum(), light)
    assert slope.isfinite().all()
    assert 0 < float(slope[3]) < 0.1 * float(slope[2])


@pytest.mark.parametrize("kinds", [_materials.STATIONARY, _materials.NON_STATIONARY], ids=["stationary", "other"])
def test_materials_are_in_range_varied_and_reproducible(kinds):
    names, maps = _materials.make(kinds, 3 * len(kinds), 48)
    assert len(set(names)) == len(names)
    assert maps.shape == (3 * len(kinds), 6, 48, 48)
    assert 0 <= float(maps.min()) <= float(maps.max()) <= 1
    assert float(maps[:, 4].min()) >= _flash.SMOOTHEST - 1e-6
    _, fewer = _materials.make(kinds, 5, 48)
    assert torch.equal(fewer, maps[:5])
    pictures = _flash.photograph(maps, _flash.camera(48, CPU), 48)
    assert float(pictures.std((2, 3)).mean(1).min()) > 0.01, "a picture without contrast"
    assert float(pictures.mean((1, 2, 3)).min()) > 0.05, "a black picture"
    assert float((pictures >= 1).all(1).float().mean((1, 2)).max()) < 0.3, "an overexposed picture"
    alike = (pictures[:, None] - pictures[None]).abs().mean((2, 3, 4)) + torch.eye(len(names))
    assert float(alike.min()) > 0.01, "two members look the same"
