"""Illumination: maps, model, learning, and files that are not as they should be."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from benchmarks.appearance import _environments, _lat_long, _radiance_network
from benchmarks.appearance.illumination import Illumination
from benchmarks.contract.errors import Unsupported, UsageError
from methods.meta._adam import adam

SMALL = {"members": "area_lights", "train": 4, "validation": 2, "test": 3, "samples": 64, "height": 8, "pixels": 32}
SHAPE = (16, 32)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def family():
    return Illumination(**SMALL)


def test_reduction_keeps_the_flux():
    fine = torch.rand(2, 64, 128, 3, generator=seeded())
    coarse = _lat_long.reduce(fine, *SHAPE)
    flux = [(maps.flatten(1, 2) * _lat_long.solid_angles(*maps.shape[1:3])[:, None]).sum(1) for maps in (fine, coarse)]
    torch.testing.assert_close(*flux)
    even = torch.full((1, 50, 100, 3), 2.0)  # not a multiple
    torch.testing.assert_close(_lat_long.reduce(even, *SHAPE), torch.full((1, *SHAPE, 3), 2.0))


def test_rooms():
    maps = _environments.exposed(_environments.studios(12, *SHAPE, seeded()))
    assert maps.shape == (12, *SHAPE, 3)
    assert 0 < float(maps.min()) < float(maps.max()) <= _environments.LARGEST
    assert float(maps.flatten(1).amax(1).min()) > 5 * float(maps.flatten(1).median(1).values.max())
    assert not torch.equal(maps[0], maps[1])
    torch.testing.assert_close(maps, _environments.exposed(_environments.studios(12, *SHAPE, seeded())))


@pytest.mark.llvm
def test_skies():
    maps = _environments.exposed(_environments.skies(6, *SHAPE, seeded()))
    assert maps.shape == (6, *SHAPE, 3)
    assert maps.isfinite().all()
    assert 0 < float(maps.min()) < float(maps.max()) <= _environments.LARGEST
    assert (maps[:, 8:] == maps[:, 8:9, :1]).all(), "the ground is even"
    away = maps[:, :4].flatten(1, 2).median(1).values
    assert (away[:, 2] > away[:, 0]).all(), "the sky is blue above"
    brightest = maps.sum(-1).flatten(1).argmax(1) // SHAPE[1]
    assert (brightest < 8).all(), "the sun is above the horizon"
    assert len(brightest.unique()) > 2


def test_family(family):
    again = Illumination(**SMALL)
    torch.testing.assert_close(again.environments, family.environments)
    torch.testing.assert_close(again.balls.rows, family.balls.rows)
    members = family.split.train[:3]
    weights = family.initial(3, seeded())
    assert weights.shape == (3, family.n_weights) == (3, 1859)
    batch = family.sample(members, 10, seeded(1))
    assert {name: value.shape for name, value in batch.items()} == {"pixel": (3, 10), "target": (3, 10, 3)}
    assert all(torch.equal(value, family.sample(members, 10, seeded(1))[name]) for name, value in batch.items())
    together = family.loss(weights, batch)
    for i in range(3):
        alone = family.loss(weights[i : i + 1], {name: value[i : i + 1] for name, value in batch.items()})
        torch.testing.assert_close(alone[0], together[i])
    for show in (family.reference_picture(0), family.picture(weights[0], 0)):
        assert show.shape == (32, 32, 3)
        assert 0 <= float(show.min()) < float(show.max()) <= 1


def test_network_is_a_plain_one():
    weights = _radiance_network.initial(1, seeded())
    layers, begin = [], 0
    for fan_in, out in _radiance_network.SHAPES:
        layer = torch.nn.Linear(fan_in, out)
        size = fan_in * out
        layer.weight.data = weights[0, begin : begin + size].view(fan_in, out).T.clone()
        layer.bias.data = weights[0, begin + size : begin + size + out].clone()
        layers += [layer, torch.nn.ReLU()]
        begin += size + out
    inputs = _radiance_network.features(_lat_long.directions(*SHAPE))
    plain = torch.nn.Sequential(*layers[:-1])(inputs).exp()
    torch.testing.assert_close(_radiance_network.evaluate(weights, inputs)[0], plain)


def test_gradients(family):
    """First derivative against finite differences in double precision; the second exists."""
    rows, inputs = family.balls.rows.double(), family.inputs.double()
    batch = family.sample(family.split.train[:2], 32, seeded())
    weights = family.initial(2, seeded(1)).double()

    def loss(at):
        radiance = torch.bmm(rows[batch["pixel"]], _radiance_network.evaluate(at, inputs))
        return (radiance.log1p() - batch["target"]).abs().mean((1, 2))

    single = weights.float().requires_grad_()
    torch.testing.assert_close(family.loss(single, batch).double(), loss(weights), rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(family.loss(single, batch).sum(), single, create_graph=True)
    direction = torch.randn(weights.shape, generator=seeded(2)).double()
    step = 1e-6
    difference = (loss(weights + step * direction) - loss(weights - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient.double() * direction).sum(1), difference, rtol=1e-3, atol=1e-4)
    (second,) = torch.autograd.grad(gradient.square().sum(), single)
    assert float(second.abs().max()) > 0


def test_adam_finds_the_environment(family):
    members = family.split.test
    weights, update, generator = family.initial(3, seeded()), adam(0.01), seeded(1)
    before = family.metrics(weights, members)
    assert set(before) == {"log_l1", "picture_log_l1", "psnr", "dssim", "relit_psnr"}
    for step in range(150):
        at = weights.requires_grad_()
        batch = family.sample(members, family.samples, generator)
        (gradient,) = torch.autograd.grad(family.loss(at, batch).sum(), at)
        weights = update(weights.detach(), gradient, step)
    after = family.metrics(weights, members)
    assert all(value.shape == (3,) and value.isfinite().all() for value in after.values())
    assert (after["picture_log_l1"] < before["picture_log_l1"] / 4).all()
    assert (after["log_l1"] < before["log_l1"] / 2).all()
    assert (after["psnr"] > before["psnr"] + 6).all()
    assert (after["relit_psnr"] > before["relit_psnr"]).all()


def test_metrics_of_the_truth(family, monkeypatch):
    members = family.split.test
    monkeypatch.setattr(family, "environment", lambda weights: family.environments[members])
    exact = family.metrics(family.initial(3, seeded()), members)
    for name in ("log_l1", "picture_log_l1", "dssim"):
        torch.testing.assert_close(exact[name].float(), torch.zeros(3), atol=1e-6, rtol=0)
    assert float(torch.cat([exact["psnr"], exact["relit_psnr"]]).min()) > 100


@pytest.mark.llvm
def test_folder(tmp_path):
    from benchmarks.rendering._mitsuba import backend

    mi = backend().mi
    pixels = 0.1 + torch.rand(32, 64, 3, generator=seeded())

    def write(name, values):
        with _environments.two_threads():
            mi.Bitmap(values.numpy()).write(str(tmp_path / name))

    for number, suffix in enumerate((".exr", ".hdr", ".exr")):
        write(f"map{number}{suffix}", pixels * (number + 1))
    (tmp_path / "notes.txt").write_text("not a map")
    sizes = {**SMALL, "members": "folder", "folder": str(tmp_path), "train": 1, "validation": 1, "test": 1}
    family = Illumination(**sizes)
    assert family.names == ["map0", "map1", "map2"]
    expected = _environments.exposed(_lat_long.reduce(pixels[None], 8, 16)).flatten(1, 2)
    torch.testing.assert_close(family.environments[::2], expected.expand(2, -1, -1))
    torch.testing.assert_close(family.environments[1:2], expected, rtol=0.01, atol=0.01)  # .hdr has 8 bits a colour
    with pytest.raises(UsageError, match="only 3"):
        Illumination(**{**sizes, "train": 2})
    with pytest.raises(UsageError, match=r"map0\.exr: 64 × 32 pixels.*at least 128 × 64"):
        Illumination(**{**sizes, "height": 64})
    (tmp_path / "damaged.exr").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"damaged\.exr: cannot be read"):
        Illumination(**sizes)
    (tmp_path / "damaged.exr").unlink()
    write("endless.exr", torch.full((32, 64, 3), math.nan))
    with pytest.raises(UsageError, match=r"endless\.exr: holds values that are not finite"):
        Illumination(**sizes)


def test_bad_parameters(tmp_path, monkeypatch):
    for wrong, said in (
        ({"test": 0}, "'test' is 0"),
        ({"height": 9}, "'height' is 9, must be even"),
        ({"pixels": 16}, "'pixels' is 16"),
        ({"folder": "maps"}, "go together"),
        ({"members": "folder"}, "go together"),
        ({"members": "folder", "folder": str(tmp_path)}, r"holds no \.hdr or \.exr file"),
        ({"members": "folder", "folder": str(tmp_path / "nowhere")}, r"nowhere' holds no"),
    ):
        with pytest.raises(UsageError, match=said):
            Illumination(**{**SMALL, **wrong})
    from benchmarks.rendering._mitsuba import backend

    monkeypatch.setitem(sys.modules, "mitsuba", None)
    backend.cache_clear()
    with pytest.raises(Unsupported, match=r"pip install 'mitsuba>=3\.9,<4'; or set `members: area_lights`"):
        Illumination(**{**SMALL, "members": "made"})
    backend.cache_clear()
