"""What the picture tasks promise: exact plateaus, real targets, conserved photons, Snell's law."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import leaky_relu, linear

from benchmarks.caustics.height_field import CONTROL, DISTANCE, IOR, HeightField, basis, splat
from benchmarks.caustics.height_field import STEP as HEIGHT_STEP
from benchmarks.contract.errors import UsageError
from benchmarks.networks.digit_mlp import STEP as WEIGHT_STEP
from benchmarks.networks.digit_mlp import DigitMlp
from benchmarks.pixels.texture import Texture
from benchmarks.raster.square import Square


def steps(dim, count=256, seed=0):
    return 2 * torch.rand(count, dim, generator=torch.Generator().manual_seed(seed)) - 1


# raster.square


@pytest.mark.parametrize("case", ["apart", "occluded"])
@pytest.mark.parametrize(("squares", "size"), [(1, 64), (1, 256), (4, 128)])
def test_square_starts_on_an_exactly_flat_plateau(case, squares, size):
    problem = Square(case=case, squares=squares, size=size)
    for seed in range(4):
        start = problem.start(seed)
        losses, gradient = problem.loss_and_grad(start + steps(problem.dim, 64, seed), 0)
        assert (losses == problem.loss(start[None], 0)).all()
        assert not gradient.any()


def test_overlapping_square_feels_its_target():
    problem = Square(case="overlap")
    assert problem.loss(problem.start(0) + steps(2), 0).unique().numel() > 10


def test_occluded_square_is_hidden():
    problem = Square(case="occluded")
    assert problem.image(problem.start(0)).unique().tolist() == [0.0, 0.25]
    assert problem.target_image().unique().tolist() == [0.0, 0.25, 1.0]


def test_square_lies_where_its_coordinates_say():
    problem = Square(size=100)
    picture = problem.image(torch.tensor([0.3, 0.7]) / problem.scale)
    rows, columns = picture.nonzero().T
    assert picture.sum() == 20 * 20
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 39, 60, 79)


def test_square_covers_the_same_area_everywhere_in_the_box():
    problem = Square()
    z = problem.lower + (problem.upper - problem.lower) * steps(2).abs()
    z[0], z[1] = problem.lower, problem.upper
    assert problem.observe(z, 0).sum((1, 2)).unique().tolist() == [problem.width**2]


def test_square_reports_its_distance_in_picture_widths():
    problem = Square()
    moved = problem.reference + torch.tensor([0.1, 0.1]) / problem.scale
    assert problem.validate(moved)["parameter_error"] == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("params", [{"squares": 0}, {"size": 8}, {"squares": 100, "size": 64}])
def test_square_refuses_sizes_that_cannot_be_drawn(params):
    with pytest.raises(UsageError, match=r"raster\.square"):
        Square(**params)


# pixels.texture


def test_texture_is_a_photograph_and_its_loss_is_relative():
    problem = Texture(size=16)
    target = problem.target_image()
    assert target.shape == (16, 16, 3)
    assert float(target.std()) > 0.1
    assert not torch.equal(target[..., 0], target[..., 1])
    black = torch.full((1, problem.dim), -20.0)  # ½ + 0.025 · (−20) = 0
    assert float(problem.loss(black, 0)) == pytest.approx(1)
    errors = [Texture(size=size).validate(torch.zeros(3 * size**2))["loss"] for size in (16, 64)]
    assert errors[0] == pytest.approx(errors[1], rel=0.2)  # grey is about as wrong at every size


def test_texture_psnr():
    problem = Texture(size=16)
    assert problem.validate(problem.reference + 4)["psnr"] == pytest.approx(20, abs=1e-3)  # every pixel off by 0.1


# networks.digit_mlp


def test_digit_mlp_is_the_network_written_out():
    problem = DigitMlp()
    z = problem.start(0)
    weights = WEIGHT_STEP * z
    activity, begin = problem.input, 0
    for number, (fan_in, out) in enumerate([(256, 32), (32, 32), (32, 784)]):
        matrix = weights[begin : begin + out * fan_in].view(out, fan_in)
        bias = weights[begin + out * fan_in : begin + out * (fan_in + 1)]
        begin += out * (fan_in + 1)
        activity = linear(activity, matrix, bias)
        activity = activity.sigmoid() if number == 2 else leaky_relu(activity)
    assert begin == problem.dim
    torch.testing.assert_close(problem.image(z), activity.view(28, 28))


def test_digit_is_a_digit():
    target = DigitMlp().target_image()
    assert target.shape == (28, 28)
    assert float(target.min()) == 0
    assert 0.1 < float(target.mean()) < 0.6
    assert float(target.max()) > 0.9


# caustics.height_field


def test_photons_are_on_the_wall_or_have_left():
    problem = HeightField(photons=48, pixels=12)
    lost = 0
    for scale in (1, 4, 12):
        z = scale * torch.randn(2, problem.dim, generator=torch.Generator().manual_seed(0))
        x, y, through = problem.trace(z)
        counts = problem.observe(z, 0) * problem.even
        for one in range(2):
            hits = y[one][through[one]].numpy(), x[one][through[one]].numpy()
            expected, *_ = np.histogram2d(*hits, bins=12, range=[[0, 1], [0, 1]])
            assert np.array_equal(counts[one].numpy().round(), expected)
            lost += 48**2 - int(expected.sum())
    assert lost > 0


def test_a_flat_slab_lights_the_wall_evenly():
    problem = HeightField(photons=64, pixels=32)
    assert torch.equal(problem.observe(torch.zeros(1, 1024), 0), torch.ones(1, 32, 32))


def plane(along_x, along_y):
    """z of a slab whose surface is the plane h = along_x · x + along_y · y."""
    node = (torch.arange(CONTROL) - 1) / (CONTROL - 3)  # Greville abscissae: splines reproduce straight lines
    return ((along_x * node + along_y * node[:, None]) / HEIGHT_STEP).flatten()[None]


@pytest.mark.parametrize(("along_x", "along_y"), [(0.3, 0.0), (0.0, -0.5), (0.2, 0.4)])
def test_a_prism_bends_light_by_snells_law(along_x, along_y):
    problem = HeightField(photons=8, pixels=8)
    x, y, through = problem.trace(plane(along_x, along_y))
    slope = math.hypot(along_x, along_y)
    tilt = math.atan(slope)
    deflection = math.asin(IOR * math.sin(tilt)) - tilt
    start_y, start_x = (axis.flatten() for axis in torch.meshgrid(problem.position, problem.position, indexing="ij"))
    depth = DISTANCE - (along_x * start_x + along_y * start_y)
    shift = depth * math.tan(deflection) / slope  # towards the thicker glass
    assert through.all()
    torch.testing.assert_close(x[0], start_x + shift * along_x, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(y[0], start_y + shift * along_y, rtol=1e-4, atol=1e-5)


def test_steep_glass_reflects_all_light():
    problem = HeightField(photons=8, pixels=8)
    critical = math.tan(math.asin(1 / IOR))
    assert problem.trace(plane(0.98 * critical, 0.0))[2].all()
    z = plane(1.02 * critical, 0.0)
    assert not problem.trace(z)[2].any()
    assert not problem.observe(z, 0).any()
    assert math.isfinite(float(problem.loss(z, 0)))
    assert torch.isfinite(problem.oracle_gradient(z[0])).all()


def test_splines_are_the_cardinal_cubic_ones():
    position = np.linspace(0.001, 0.999, 37)
    values, slopes = basis(position)
    distance = np.abs(position[:, None] * (CONTROL - 3) - (np.arange(CONTROL) - 1))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, None) ** 3 / 6
    assert np.allclose(values, np.where(distance < 1, near, far))
    step = 1e-6
    assert np.allclose(slopes, (basis(position + step)[0] - basis(position - step)[0]) / (2 * step), atol=1e-5)


def test_the_brightest_half_percent_is_white():
    problem = HeightField()
    observed = problem.observe(problem.start(0)[None], 0)
    shown = problem.tone_map(observed)[0]
    assert 0.005 <= float((shown == 1).float().mean()) < 0.02
    torch.testing.assert_close(problem.tone_map(3 * observed)[0], shown)


def test_splat_spreads_each_photon_once():
    x, y = torch.tensor([0.3, 0.52, 0.9]), torch.tensor([0.4, 0.61, 0.2])
    picture = splat(x, y, torch.tensor([True, True, False]), 10)
    assert float(picture.sum()) == pytest.approx(2)
    centre = (torch.arange(10) + 0.5) / 10
    assert float((picture.sum(0) * centre).sum()) == pytest.approx(0.82)  # bilinear weights keep the mean position
    assert float((picture.sum(1) * centre).sum()) == pytest.approx(1.01)


def test_the_oracle_descends_the_counted_loss():
    problem = HeightField(photons=64, pixels=16)
    start = problem.start(0)
    z = start.clone()
    for _ in range(40):
        gradient = problem.oracle_gradient(z)
        z = z - 0.1 * gradient / gradient.square().mean().sqrt()
    assert problem.validate(z)["loss"] < 0.8 * problem.validate(start)["loss"]
