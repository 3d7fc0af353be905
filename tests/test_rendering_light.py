"""Scenes that are known by their light alone: a caustic that starts on a plateau, a room that has none."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch

from benchmarks.harness.certificate import PLATEAU, interval, slopes
from benchmarks.harness.registry import task_class
from benchmarks.rendering import caustic
from benchmarks.rendering import global_illumination as room

pytestmark = pytest.mark.llvm

STARTS = 20
COLORS, LIGHT, TURN = [2, 3, 4], [0, 1], 5  # coordinates of the room
DARK = torch.tensor([0, 0, -1, -0.25, -0.25, 0])  # a step from the truth to a darker left wall: calmer pictures


@cache
def scene(name, **params):
    return task_class(f"rendering.{name}")(**params)


def corners(problem):
    """Return the corners (2^dim, dim) of the bounds."""
    return torch.cartesian_prod(*torch.stack([problem.lower, problem.upper], 1))


def differentiable(name):
    problem = scene(name)
    if problem.without_gradient:
        pytest.skip(problem.without_gradient)
    return problem


# the start


def test_the_caustic_starts_on_a_plateau():
    """The certificate at its widest step; what it finds at all steps is stored by calibration."""
    problem = scene("caustic")
    start = problem.start(1)
    mean, width = interval(slopes(problem, start, torch.eye(2), 0.1, 8))
    assert float((mean.abs() + width).max()) < PLATEAU * problem.validate(start)["loss"]


def test_the_caustic_has_a_slope_where_it_overlaps_its_target():
    problem = scene("caustic")
    mean, width = interval(slopes(problem, 0.6 * problem.reference, torch.eye(2), 0.1, 2))
    assert (mean.abs() > 10 * PLATEAU * problem.validate(problem.begin)["loss"]).all()


def test_every_start_of_the_caustic_is_alike_and_apart_from_the_target():
    problem = scene("caustic")
    starts = torch.stack([problem.start(seed) for seed in range(STARTS)])
    losses = torch.tensor([problem.validate(z)["loss"] for z in starts])
    assert float(losses.max() / losses.min()) < 1.02
    pictures, target = problem._pictures(starts, 128, 1), problem._pictures(problem.reference[None], 128, 1)
    overlap = (pictures * target).sum((1, 2, 3)) / target.square().sum()
    assert float(overlap.max()) < 0.005
    assert float(pictures.mean((1, 2, 3)).min()) > 0.9 * float(target.mean())


def test_the_room_has_a_slope_at_its_start():
    problem = scene("global_illumination")
    mean, width = interval(slopes(problem, problem.start(0), torch.eye(6), 0.1, 4))
    assert (mean.abs() > width)[[*LIGHT, 2, 3, TURN]].all()
    assert float((mean.abs() - width).max()) > 0.3 * problem.validate(problem.start(0))["loss"]


# the way to the target


@pytest.mark.parametrize(("name", "first"), [("caustic", 0.4), ("global_illumination", 0.0)])
def test_the_loss_falls_towards_the_target(name, first):
    """From the start in the room, from where the spots touch in the caustic."""
    problem = scene(name)
    shares = torch.linspace(first, 1, 7)[:, None]
    losses = problem.loss(problem.begin + shares * (problem.reference - problem.begin), 0)
    assert (losses.diff() < 0).all()
    assert float(losses[-1]) < 1e-6 * float(losses[0])


@pytest.mark.parametrize(("name", "sigma"), [("caustic", 1.0), ("caustic", 2.0), ("global_illumination", 1.0)])
def test_the_smoothed_loss_falls_from_start_to_target(name, sigma):
    problem = scene(name)
    noise = sigma * torch.randn(60, problem.dim, generator=torch.Generator().manual_seed(1))
    noise = torch.cat([noise, -noise])
    project = problem.space(0, 1).project
    way = [problem.begin + share * (problem.reference - problem.begin) for share in (0, 0.25, 0.5, 0.75, 1)]
    smoothed = torch.stack([problem.loss(project(z + noise), 0).mean() for z in way])
    assert (smoothed.diff() < -0.02 * smoothed[0]).all()


# optics and bounds


def test_the_ball_gathers_the_beam_and_loses_what_fresnel_says(monkeypatch):
    """Near the axis, ((n - 1) / (n + 1))² is reflected where the beam enters and again where it leaves."""
    bent = scene("caustic")._pictures(torch.zeros(1, 2), 64, 3)
    monkeypatch.setattr(caustic, "IOR", 1.0001)
    straight = caustic.Caustic()._pictures(torch.zeros(1, 2), 64, 3)
    assert float(bent.max()) > 4 * float(straight.max())
    passes = 1 - (0.504 / 2.504) ** 2
    assert float(bent.mean() / straight.mean()) == pytest.approx(passes**2, rel=0.01)


def test_the_caustic_moves_against_the_light():
    """The beam goes through the ball's centre: similar triangles say where it meets the floor."""
    problem = scene("caustic")
    pictures = problem._pictures(torch.tensor([[-3.0, 0.0], [3.0, 0.0]]), 64, 0).mean(3)
    x = torch.arange(problem.width) + 0.5
    places = (pictures.sum(1) * x).sum(1) / pictures.sum((1, 2))
    width = 2 * caustic.AWAY * math.tan(math.radians(2.2 / 2))  # scene units across the picture
    moved = float(places[0] - places[1]) * width / problem.width
    height = caustic.CENTER[1]
    assert moved == pytest.approx(6 * caustic.STEP * height / (caustic.HEIGHT - height), rel=0.02)


def test_within_its_bounds_the_light_is_behind_the_ball_and_its_caustic_in_the_picture():
    problem = scene("caustic")
    light = torch.stack([problem.parameters(z)["light.to_world"] for z in corners(problem)])
    center = torch.tensor(caustic.CENTER)
    away = center - light[:, :3, 3]
    torch.testing.assert_close(light[:, :3, 2], away / away.norm(dim=1, keepdim=True))
    frames = light[:, :3, :3]
    torch.testing.assert_close(frames @ frames.mT, torch.eye(3).expand_as(frames), atol=1e-6, rtol=0)
    assert (light[:, 1, 3] > caustic.CENTER[1] + caustic.RADIUS).all()
    assert (caustic.RADIUS / away.norm(dim=1) > math.sin(math.radians(caustic.CUTOFF))).all(), "the beam misses"
    pictures = problem._pictures(corners(problem), 64, 0).mean(3)
    border = torch.cat([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], 1)
    assert float(border.max()) < 0.1 * float(pictures.max())


def test_within_its_bounds_light_and_box_stay_in_the_room():
    problem = scene("global_illumination")
    local = torch.tensor([(-1.0, -1.0, 0.0, 1.0), (1.0, 1.0, 0.0, 1.0)])
    for z in corners(problem):
        values = problem.parameters(z)
        panel = (local @ values["light.to_world"].T)[:, :3]
        box = values["box.vertex_positions"].view(-1, 3)
        for points in (panel, box):
            assert float(points[:, [0, 2]].abs().max()) < 1
            assert 0 <= float(points[:, 1].min()) <= float(points[:, 1].max()) < 2
        color = values["left.bsdf.reflectance.value"]
        assert 0.0499 < float(color.min()) <= float(color.max()) < 0.9501


def test_the_rooms_light_shines_down():
    place = scene("global_illumination").parameters(torch.zeros(6))["light.to_world"][:3]
    normal = torch.linalg.cross(place[:, 0], place[:, 1])
    assert float(normal[1]) < 0 == float(normal[0]) == float(normal[2])
    assert float(place[1, 3]) == pytest.approx(room.LIGHT_HEIGHT)


# gradients


def test_tracing_from_the_camera_never_sees_the_caustic():
    """Zero near the target, where the loss has a slope: a gradient that is no evidence about the plateau."""
    problem = differentiable("caustic")
    near = problem.reference + 0.25
    assert not problem.precise_gradient("prb", near, 0).any()
    mean, width = interval(slopes(problem, near, torch.eye(2), 0.05, 3))
    assert (mean > 5 * width).all()


def test_prb_sees_the_walls_colour_and_neither_light_nor_box():
    problem = differentiable("global_illumination")
    near = problem.reference + 0.25
    difference, width = interval(slopes(problem, near, torch.eye(6), 0.05, 4))
    found = torch.stack([problem.precise_gradient("prb", near, seed) for seed in range(4)]).double().mean(0)
    torch.testing.assert_close(found[COLORS], difference[COLORS], rtol=0.1, atol=0)
    assert not found[LIGHT].any()
    assert abs(found[TURN]) < 0.5 * abs(difference[TURN])


# noise


@pytest.mark.parametrize(("comparison", "sign"), [("mse", -1), ("unbiased", 1)])
def test_squared_errors_of_noisy_pictures_prefer_calm_ones_to_right_ones(comparison, sign):
    """2 samples per pixel; all differences are of pictures with the same seeds."""
    problem = scene("global_illumination", spp=2, random_numbers="fresh", comparison=comparison)
    wrong, right = (problem.loss(z.expand(200, 6), 11).double() for z in (problem.reference + DARK, problem.reference))
    mean, width = interval((wrong - right)[:, None])
    assert sign * float(mean) > 2 * float(width)
    truth = problem.validate(problem.reference + DARK)["loss"]
    assert truth > 1e-5
    if comparison == "unbiased":
        assert float(mean) == pytest.approx(truth, abs=2 * float(width))
