"""Textures: the network, Gram matrices, distances, pictures of one's own, and what is said of files that do not do."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import _data
from benchmarks.appearance import _made_textures
from benchmarks.appearance._colours import coloured, colours_of
from benchmarks.appearance._gram import RandomFeatures, distance, features
from benchmarks.appearance._images import files_in, read_folder
from benchmarks.appearance._texture_distances import lbp, misnamed, swd
from benchmarks.appearance._unet import NOISE, UNet
from benchmarks.appearance.texture import Texture
from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT
from methods.meta._adam import adam

CPU = torch.device("cpu")
SMALL = {"train": 6, "validation": 1, "test": 3, "pixels": 48, "crop": 40, "channels": 4, "depth": 2}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def save(path, height=60, width=80, mode="RGB", value=128):
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    Image.fromarray(np.full(shape, value, np.uint8), mode).save(path)
    return path


def test_the_network_treats_tasks_apart_and_shifts_with_its_noise():
    net = UNet(channels=4, depth=2, out=5)
    weights, noise = net.initial(3, seeded()), torch.randn(3, 2, NOISE, 16, 24, generator=seeded(1))
    pictures = net(weights, noise)
    assert pictures.shape == (3, 2, 5, 16, 24)
    torch.testing.assert_close(net(weights[1:2], noise[1:2])[0], pictures[1])
    # The picture is a torus: noise moved by a multiple of the coarsest cell moves the picture.
    moved = net(weights, noise.roll((4, 8), (3, 4)))
    torch.testing.assert_close(moved, pictures.roll((4, 8), (3, 4)), atol=1e-5, rtol=0)


def test_the_loss_has_the_gradient_of_its_differences():
    family = Texture(**SMALL)
    members = family.split.test[:1]
    weights = family.initial(1, seeded(2)).double().requires_grad_(True)
    batch = {name: value.double() for name, value in family.sample(members, 1, seeded(3)).items()}
    family.features.filters = family.features.filters.double()
    (gradient,) = torch.autograd.grad(family.loss(weights, batch).sum(), weights)
    direction = torch.randn(weights.shape, generator=seeded(4), dtype=torch.float64)
    h = 1e-7
    with torch.no_grad():
        ends = [float(family.loss(weights + sign * h * direction, batch).sum()) for sign in (1, -1)]
    assert float((gradient * direction).sum()) == pytest.approx(
        (ends[0] - ends[1]) / (2 * h), rel=1e-3
    )  # kinks of filters and differences


def test_gram_matrices_are_means_of_products_of_features():
    bank = RandomFeatures(CPU, filters=8, scales=2)
    pictures = torch.rand(2, 3, 32, 32, generator=seeded())
    matrices = [
        torch.einsum("nfhw,nghw->nfg", maps, maps) / (maps.shape[2] * maps.shape[3]) for maps in bank.maps(pictures)
    ]
    assert torch.allclose(matrices[0][:, 0, 0], torch.ones(2))  # the constant
    torch.testing.assert_close(matrices[0][:, 0, 1:4], pictures[:, :, 2:-2, 2:-2].mean((2, 3)))
    gram = bank.gram(pictures)
    torch.testing.assert_close(gram.mean(1), torch.stack([matrix.mean((1, 2)) for matrix in matrices]).mean(0))
    torch.testing.assert_close(distance(gram[0], 2 * gram[0]), gram[0].mean())  # all features are at least zero


def test_distances_are_zero_for_a_texture_and_itself_and_order_what_the_eye_orders():
    _, made = _made_textures.make(16, 64, 64)
    near = (made + 0.02 * torch.randn(made.shape, generator=seeded())).clamp(0, 1)
    other = made.roll(1, 0)  # another kind
    for metric in (swd, lbp):
        assert float(metric(made, made).abs().max()) < 1e-6
    assert (swd(made, near) < swd(made, other)).float().mean() > 0.9


def test_a_texture_is_told_from_seven_others():
    _, made = _made_textures.make(12, 64, 64)
    own = torch.arange(12)
    near = (made.roll((11, 23), (2, 3)) + 0.02 * torch.randn(made.shape, generator=seeded())).clamp(0, 1)
    assert misnamed(near, own, made).tolist() == [0] * 12  # moved about, a texture is the same
    assert misnamed(made.roll(-3, 0), own, made).tolist() == [1] * 12  # each shows the third that follows
    grey = made.mean(1, keepdim=True).expand_as(made)
    turned = grey.rot90(1, (2, 3))
    assert misnamed(grey, own, grey).sum() == 0
    assert misnamed(turned, own, grey).sum() > 0  # orientation counts


def test_colours_are_those_told_whatever_the_channels():
    values = torch.rand(2, 3, 5000, generator=seeded()) * torch.tensor([1.0, 0.3, 0.1])[:, None]
    values[:, 1] += 0.5 * values[:, 0]
    colours = colours_of(values)
    channels = 7 + 3 * torch.randn(2, 1, 3, 64, 64, generator=seeded(1))
    shown = coloured(channels, colours.batch(torch.tensor([0, 1]), 1))[:, 0].flatten(2)
    torch.testing.assert_close(shown.mean(2), values.mean(2), atol=1e-4, rtol=0)
    for mine, theirs in zip(shown, values, strict=True):
        torch.testing.assert_close(mine.cov(), theirs.cov(), atol=0.006, rtol=0)
    even = coloured(torch.zeros(2, 1, 3, 8, 8, requires_grad=True), colours.batch(torch.tensor([0, 1]), 1))
    torch.testing.assert_close(even[:, 0, :, 3, 3], values.mean(2), atol=1e-4, rtol=0)


def test_made_textures_stay_the_same_when_there_are_more():
    few, many = _made_textures.make(3, 32, 32), _made_textures.make(9, 32, 32)
    assert few[0] == many[0][:3]
    assert torch.equal(few[1], many[1][:3])
    assert len({tuple(picture.mean((1, 2)).tolist()) for picture in many[1]}) == 9


def test_a_network_learns_a_texture():
    family = Texture(**SMALL)
    members = family.split.test
    weights, update, generator = family.initial(len(members), seeded()), adam(0.02), seeded(1)
    before = family.metrics(weights, members)
    for step in range(40):
        weights = weights.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(family.loss(weights, family.sample(members, 1, generator)).sum(), weights)
        with torch.no_grad():
            weights = update(weights.detach(), gradient, step)
    after = family.metrics(weights, members)
    for metric in ("gram", "other_gram"):
        assert float(after[metric].median()) < 0.7 * float(before[metric].median())  # colours are told
    assert float(after["swd"].median()) < float(before["swd"].median())


def test_a_folder_of_ones_own(tmp_path):
    for number in range(10):
        save(tmp_path / f"{number}.png", value=20 * number)
    family = Texture(**{**SMALL, "members": "folder", "folder": str(tmp_path)})
    assert sorted(family.names) == [str(number) for number in range(10)]
    assert float(family.reference_picture(3).mean()) == pytest.approx(60 / 255, abs=1e-3)
    with pytest.raises(UsageError, match="there are only 10"):
        Texture(**{**SMALL, "members": "folder", "folder": str(tmp_path), "train": 20})


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda folder: None, ["holds no picture"]),
        (lambda folder: (folder / "broken.jpg").write_bytes(b"no picture"), ["broken.jpg", "mend or remove"]),
        (lambda folder: save(folder / "tiny.png", 10, 10), ["tiny.png", "too small", "48 × 48"]),
        (lambda folder: Image.new("I;16", (80, 80)).save(folder / "deep.png"), ["deep.png", "8 bits"]),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path, prepare, words):
    prepare(tmp_path)
    with pytest.raises(UsageError) as caught:
        read_folder(tmp_path, 48, 48, "appearance.texture")
    assert all(word in str(caught.value) for word in ["appearance.texture", *words])


def test_bad_parameters_are_named(tmp_path):
    with pytest.raises(UsageError, match="not a folder"):
        files_in(tmp_path / "nowhere", "owner")
    with pytest.raises(UsageError, match="'folder' goes with"):
        Texture(**SMALL, folder=str(tmp_path))
    with pytest.raises(UsageError, match="'crop' is 42, must be a multiple of 4"):
        Texture(**{**SMALL, "crop": 42})
    with pytest.raises(UsageError, match=r"nothing\.pth"):
        features(CPU, str(tmp_path / "nothing.pth"), 8, "appearance.texture")


def test_without_a_mirror_the_pictures_are_asked_for(monkeypatch):
    monkeypatch.delenv(_data.MIRROR, raising=False)
    with pytest.raises(UsageError, match=_data.MIRROR):
        Texture(**{**SMALL, "members": "real"})


def test_a_picture_of_another_checksum_is_named(monkeypatch, tmp_path):
    (tmp_path / "textures").mkdir()
    monkeypatch.setenv(_data.MIRROR, str(tmp_path))
    with pytest.raises(UsageError, match="is missing"):
        Texture(**{**SMALL, "members": "real"})
    with (ROOT / "benchmarks" / "_folders.csv").open(newline="") as table:
        names = [row["name"] for row in csv.DictReader(table) if row["name"].startswith("textures/")]
    for name in names:
        save(tmp_path / name)
    with pytest.raises(UsageError, match=r"textures/.*SHA-256"):
        Texture(**{**SMALL, "members": "real"})


def vgg19(path, widest=512):
    """Random weights under torchvision's names, as far as conv5_1."""
    numbers, widths = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28), (64, 64, 128, 128, *4 * [256], *5 * [512])
    state, channels, generator = {}, 3, seeded()
    for number, width in zip(numbers, widths, strict=True):
        width = min(width, widest)
        state[f"features.{number}.weight"] = 0.1 * torch.randn(width, channels, 3, 3, generator=generator)
        state[f"features.{number}.bias"] = torch.zeros(width)
        channels = width
    torch.save(state, path)
    return str(path)


def test_features_of_vgg19_are_taken_where_its_weights_are(tmp_path):
    bank = features(CPU, vgg19(tmp_path / "vgg19.pth"), 8, "appearance.texture")
    pictures = torch.rand(1, 3, 32, 32, generator=seeded())
    assert [tuple(maps.shape[1:]) for maps in bank.maps(pictures)] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)
    ]  # fmt: skip
    assert all(float(maps.min()) >= 0 for maps in bank.maps(pictures))  # rectified
    with pytest.raises(UsageError, match=r"features\.19"):
        features(CPU, vgg19(tmp_path / "thin.pth", widest=256), 8, "appearance.texture")
