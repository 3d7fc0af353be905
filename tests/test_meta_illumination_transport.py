"""The transport of light between two balls: lookups, closed forms, and the same scene in Mitsuba."""

from __future__ import annotations

import math

import pytest
import torch
from agreement import assert_agree
from torch.nn.functional import max_pool2d, normalize

from benchmarks.appearance import _lat_long, _lit_scene

SHAPE = (16, 32)


@pytest.fixture(scope="module")
def view():
    return _lit_scene.balls(48, *SHAPE)


def interior(view):
    """Return which object pixels (p,) have only object pixels about them."""
    return (-max_pool2d(-view.inside[None, None].float(), 3, 1, 1)[0, 0] > 0)[view.inside]


def left(view):
    """Return which object pixels (p,) show the chrome ball."""
    return view.inside.nonzero()[:, 1] < view.inside.shape[1] // 2


def smooth(along):
    """Return a coloured radiance (…, 3) with a broad light, of directions (…, 3)."""
    x, y, z = along.unbind(-1)
    light = (6 * (0.6 * x + 0.64 * y + 0.48 * z) - 5).exp()
    return torch.stack([1 + 0.6 * y + 0.5 * x * z, 1 + 0.7 * x, 1.2 - 0.6 * z + 0.4 * y**2 + light], -1)


def test_texels_cover_the_sphere_and_lookups_find_them():
    along, area = _lat_long.directions(*SHAPE), _lat_long.solid_angles(*SHAPE)
    assert float(area.sum()) == pytest.approx(4 * math.pi, rel=1e-5)
    assert float((along[:, 1] ** 2 * area).sum()) == pytest.approx(4 * math.pi / 3, rel=0.01)
    texel, share = _lat_long.corners(along, *SHAPE)
    torch.testing.assert_close(share.sum(1), torch.ones(len(along)))
    looked_up = torch.zeros(len(along), len(along)).scatter_add_(1, texel, share)
    torch.testing.assert_close(looked_up, torch.eye(len(along)), atol=1e-4, rtol=0)
    anywhere = normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    anywhere = anywhere[anywhere[:, 1].abs() < 0.95]
    texel, share = _lat_long.corners(anywhere, 64, 128)
    fine = smooth(_lat_long.directions(64, 128))
    torch.testing.assert_close((fine[texel] * share[..., None]).sum(1), smooth(anywhere), atol=0.01, rtol=0)


def test_furnace(view):
    """Under radiance 1 everywhere, balls show their reflectance less what masking and the other ball take."""
    radiance = view.rows.sum(1)
    assert float(view.rows.min()) >= 0
    assert float(radiance.max()) < _lit_scene.REFLECTANCE + 1e-3, "no energy is made"
    far = view.inside.nonzero()[:, 1] > 0.8 * view.inside.shape[1]  # grey pixels that do not see the other ball
    expected = torch.full((int(far.sum()),), _lit_scene.ALBEDO)
    torch.testing.assert_close(radiance[far], expected, atol=2e-3, rtol=0)
    center = left(view) & interior(view)
    assert float(radiance[center].median()) == pytest.approx(_lit_scene.REFLECTANCE, abs=0.02)


def test_one_ball_hides_the_sky_from_the_other():
    """A patch that faces a ball of radius 1 at distance d loses 1 / d² of a uniform sky, and sees it mirrored."""
    normal = torch.tensor([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])  # towards the chrome ball and away from it
    points = normal + torch.tensor(_lit_scene.GREY)
    direct, all_ = (_lit_scene._diffuse(points, normal, *SHAPE, bounces=n).sum(1) for n in (1, 2))
    gap = _lit_scene.GREY[0] - _lit_scene.CHROME[0] - 1
    expected = _lit_scene.ALBEDO * torch.tensor([1 - 1 / gap**2, 1.0])
    torch.testing.assert_close(direct, expected, atol=3e-3, rtol=0)
    assert expected[0] + 0.05 < all_[0] < _lit_scene.ALBEDO
    torch.testing.assert_close(all_[1], direct[1])


def test_a_lone_light_is_mirrored_where_it_must_be(view):
    """The normal of the highlight halves the directions to light and camera; the shadow lies away from the light."""
    along = _lat_long.directions(*SHAPE)
    light = normalize(torch.tensor([-0.5, 0.6, 0.7]), dim=0)
    lit = (along @ light).argmax()
    half = normalize(along[lit] + torch.tensor([0.0, 0.0, 1.0]), dim=0)
    rows, columns = view.inside.nonzero().unbind(1)
    chrome, shine = left(view), view.rows[:, lit]
    brightest = shine.where(chrome, shine.new_tensor(-1)).argmax()
    scale = view.inside.shape[1] / 2 / (_lit_scene.HALF_WIDTH * _lit_scene.CAMERA[2])  # pixels per unit
    found = torch.stack([columns[brightest] + 0.5, rows[brightest] + 0.5])
    expected = torch.tensor([24 + (half[0] + _lit_scene.CHROME[0]) * scale, 12 - half[1] * scale])
    assert float((found - expected).norm()) < 2
    grey = shine[~chrome]
    assert float(grey.min()) < 1e-3 * float(grey.max()), "the side away from the light is dark"
    assert columns[~chrome][grey.argmax()] < 36, "the side towards the light"


@pytest.mark.llvm
def test_transport_is_that_of_mitsuba():
    """On pixels that one ball covers, by the spread over 16 of Mitsuba's renders: each colour's mean to .5 %, and the
    mean of 16 neighbours to 3 %, is what the coarseness of our map of texels may cost."""
    from benchmarks.rendering._mitsuba import backend

    mi = backend("cpu").mi
    fine = torch.linspace(0, math.pi, 129), (torch.arange(256) + 0.5) / 256 * 2 * math.pi  # its rows meet the poles
    theta, phi = torch.meshgrid(*fine, indexing="ij")
    along = torch.stack([theta.sin() * phi.sin(), theta.cos(), -theta.sin() * phi.cos()], -1)
    environment = {"type": "envmap", "bitmap": mi.Bitmap(smooth(along).numpy())}

    def ball(center, kind, **bsdf):
        return {"type": "sphere", "center": list(center), "radius": 1.0, "bsdf": {"type": kind, **bsdf}}

    def mirror(center, alpha):
        grey = {"type": "rgb", "value": _lit_scene.REFLECTANCE}
        more = {"distribution": "ggx", "alpha": alpha, "material": "none", "specular_reflectance": grey}
        return ball(center, "roughconductor", **more)

    diffuse = ball(_lit_scene.GREY, "diffuse", reflectance={"type": "rgb", "value": _lit_scene.ALBEDO})
    shape = (32, 64)
    cases = (
        (
            _lit_scene.balls(48, *shape),
            (_lit_scene.CAMERA, _lit_scene.HALF_WIDTH),
            {"chrome": mirror(_lit_scene.CHROME, _lit_scene.ROUGHNESS), "grey": diffuse},
        ),
        (
            _lit_scene.relit(32, *shape),
            (_lit_scene.RELIT_CAMERA, _lit_scene.RELIT_HALF_WIDTH),
            {"ball": mirror((0, 0, 0), _lit_scene.RELIT_ROUGHNESS)},
        ),
    )
    for ours, (position, half_width), shapes in cases:
        high, wide = ours.inside.shape
        film = {"type": "hdrfilm", "width": wide, "height": high, "rfilter": {"type": "box"}, "pixel_format": "rgb"}
        pose = mi.ScalarTransform4f().look_at(origin=list(position), target=[0, 0, 0], up=[0, 1, 0])
        fov = 2 * math.degrees(math.atan(half_width))
        scene = mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "path", "max_depth": 3, "rr_depth": 99},
                "environment": environment,
                "sensor": {"type": "perspective", "fov": fov, "fov_axis": "x", "to_world": pose, "film": film},
                **shapes,
            }
        )
        renders = [torch.tensor(mi.render(scene, spp=64, seed=seed).numpy())[ours.inside] for seed in range(16)]
        expected = ours.rows @ smooth(_lat_long.directions(*shape))
        share = (torch.stack(renders) / expected)[:, interior(ours)]
        assert_agree(share.mean(1), 1.0, bias=0.005, resolution=0.01)
        neighbours = share[:, : share.shape[1] // 16 * 16].unflatten(1, (-1, 16)).mean(2)
        assert_agree(neighbours, 1.0, bias=0.03, resolution=0.1)
