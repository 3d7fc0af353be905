"""Scenes of many objects: 75 cubes to be sorted, 8 poses, and the losses that still tell directions."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from scipy.stats import spearmanr

from benchmarks.contract.errors import UsageError
from benchmarks.rendering import _losses
from benchmarks.rendering.poses import Poses
from benchmarks.rendering.sort import BLOCKS, Sort

pytestmark = pytest.mark.llvm

LOSSES = pytest.mark.parametrize("loss", [_losses.pyramid, _losses.transport])
SCENES = pytest.mark.parametrize("scene", [Sort, Poses])


@cache
def sort(loss: str = "transport") -> Sort:
    return Sort(loss=loss)


@cache
def poses() -> Poses:
    return Poses()


def swapped(z, first, second):
    cubes = z.view(-1, 2).clone()
    cubes[[first, second]] = cubes[[second, first]]
    return cubes.flatten()


def error(scene, z):
    return float(scene.offset(z).square().mean())


def test_cubes_of_one_colour_are_interchangeable_and_others_are_not():
    scene = sort()
    z = scene.start(3)
    assert error(scene, swapped(z, 0, 14)) == pytest.approx(error(scene, z))  # red, red
    assert error(scene, swapped(scene.reference, 30, 44)) == 0  # green, green
    apart = float((BLOCKS[0] - BLOCKS[1]).square().sum())  # red and yellow cubes at the same place of their blocks;
    assert 1 < error(scene, swapped(scene.reference, 0, 15)) <= 2 * apart / 150  # or the neighbours share the way
    assert scene.validate(swapped(scene.reference, 0, 14))["loss"] < 1e-4
    assert scene.validate(swapped(scene.reference, 0, 15))["loss"] > 5e-3


def test_offsets_lead_to_the_target():
    scene = sort()
    z = scene.start(5)
    metrics = scene.validate(z - scene.offset(z) / scene.scale)
    assert metrics["parameter_mse"] < 1e-10
    assert metrics["image_mse"] < 1e-3 < 1e-2 < scene.validate(z)["image_mse"]


def test_starts_are_mixed_and_apart():
    scene = sort()
    for seed in range(20):
        cubes = scene.start(seed).view(75, 2)
        assert ((cubes[:, None] - cubes).abs().amax(2) + 9 * torch.eye(75)).min() > 1  # no two touch
        assert error(scene, cubes.flatten()) > 20


@LOSSES
def test_losses_vanish_at_the_target_alone_and_take_batches(loss):
    generator = torch.Generator().manual_seed(0)
    target, other = torch.rand(2, 36, 48, 3, generator=generator)
    pictures = torch.stack([target, other, 0.5 * (target + other)]).requires_grad_(True)
    together = loss(pictures, target)
    same, other_loss, halfway = together.tolist()
    assert same == 0 < halfway < other_loss
    torch.testing.assert_close(together, torch.cat([loss(picture[None], target) for picture in pictures]))
    (slope,) = torch.autograd.grad(together.sum(), pictures)
    assert torch.isfinite(slope).all()
    assert (slope[1:].flatten(1).norm(dim=1) > 0).all()


@LOSSES
def test_gradients_of_losses_are_the_limit_of_central_differences(loss):
    target, picture, along = torch.rand(3, 12, 16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    step = 1e-7
    ahead, behind = loss(torch.stack([picture + step * along, picture - step * along]), target)
    z = picture[None].requires_grad_(True)
    (slope,) = torch.autograd.grad(loss(z, target).sum(), z)
    assert float((slope * along).sum()) == pytest.approx(float(ahead - behind) / (2 * step), rel=1e-4)


def test_pyramid_sums_every_level():
    target = torch.zeros(32, 48, 3)
    assert float(_losses.pyramid(target[None] + 0.5, target)[0]) == pytest.approx(0.25 * 6)  # 32, 16, … 1 rows
    checks = (torch.arange(32)[:, None] + torch.arange(48))[None, ..., None] % 2 * torch.ones(3)
    level = torch.full((32, 48, 3), 0.5)
    assert float(_losses.pyramid(checks, level)[0]) == pytest.approx(0.25)  # seen by the finest alone


def test_hues_unmix_colours():
    colours = torch.tensor([[3, 2, 0], [1, 1, 1], [0, 0, 2], [0, 1, 1], [2, 0, 3], [1, 4, 2.0]]).view(1, 1, 6, 3)
    expected = [[1, 2, 0, 0, 0, 0], [0] * 6, [0, 0, 0, 0, 2, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 1, 2]]
    expected.append([0, 0, 2, 1, 0, 0])
    torch.testing.assert_close(_losses.hues(colours)[0].T, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize(("down", "right"), [(0, 5), (0, 20), (12, 0), (12, 20)])
def test_transport_of_a_dot_is_its_way(down, right):
    pictures = torch.full((2, 36, 48, 3), 0.5)
    pictures[0, 10, 10] = pictures[1, 10 + down, 10 + right] = torch.tensor([0.9, 0.1, 0.1])
    angle = torch.arange(8) * math.pi / 8
    way = float((right * angle.cos() + down * angle.sin()).abs().mean()) / 48  # W₁ of two points on a line
    assert float(_losses.transport(pictures[1:], pictures[0])[0]) == pytest.approx(way, rel=0.02)


def test_the_default_loss_ranks_arrangements_by_disorder_and_squared_error_does_not():
    scene, plain = sort(), sort("mse")
    starts = torch.stack([scene.start(seed) for seed in range(100, 130)])
    errors = [error(scene, z) for z in starts]
    assert spearmanr(errors, scene.loss(starts, 0)).statistic > 0.85
    assert spearmanr(errors, plain.loss(starts, 0)).statistic < 0.65


def test_unbiased_squared_error_and_transport_exclude_each_other():
    with pytest.raises(UsageError, match=r"rendering\.sort: comparison 'unbiased'.*'transport'"):
        Sort(random_numbers="fresh", comparison="unbiased")


@SCENES
def test_replayed_rendering_is_plain_rendering(scene):
    class Plain(scene):
        freeze = False

    replayed, plain = scene(width=16, height=12), Plain(width=16, height=12)
    for seed in range(3):
        z = torch.stack([plain.start(seed), plain.start(seed + 10)])
        assert torch.equal(replayed.observe(z, seed), plain.observe(z, seed))


def test_objects_start_apart_from_every_place():
    scene = poses()
    radius = 0.6 * 2**0.5
    places = (scene.reference * scene.scale).view(8, 3)[:, :2]
    for seed in range(20):
        starts = (scene.start(seed) * scene.scale).view(8, 3)[:, :2]
        assert torch.cdist(starts, places).min() > 2 * radius


def test_a_full_turn_is_no_error():
    scene = poses()
    z = scene.reference.view(8, 3).clone()
    z[:, 2] -= 2 * math.pi / scene.scale[2] * z[:, 2].sign()
    assert scene.validate(z.flatten())["parameter_error"] < 1e-5
    assert scene.validate(z.flatten())["image_mse"] < 1e-5


def test_poses_have_a_slope_near_the_target_and_next_to_none_at_the_start():
    """Central differences over a pixel, along x of every object, as a share of the loss per natural step."""
    scene = poses()
    along = torch.eye(24)[::3]

    def slopes(z):
        ends = torch.cat([z + 0.3 * along, z - 0.3 * along])
        ahead, behind = torch.stack([scene.precise_loss(ends, seed) for seed in range(3)]).mean(0).chunk(2)
        return (ahead - behind) / 0.6 / float(scene.precise_loss(scene.start(0)[None], 0))

    assert slopes(scene.start(0)).abs().max() < 0.03
    assert slopes(scene.reference + 0.25).mean() > 0.06
