"""Both families of materials under a flash: samples, losses, metrics, photographs, and how they are split."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from benchmarks import _data
from benchmarks.appearance import _flash
from benchmarks.appearance._photographs import one_per_material
from benchmarks.appearance.svbrdf_nonstationary import SvbrdfNonstationary
from benchmarks.appearance.svbrdf_stationary import SvbrdfStationary
from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT

CPU = torch.device("cpu")
SHARED = ROOT.parent / "shared" / "data"
FAMILIES = [SvbrdfStationary, SvbrdfNonstationary]
SMALL = {"train": 8, "validation": 2, "test": 6, "pixels": 32, "channels": 4, "depth": 2}
each_family = pytest.mark.parametrize("kind", FAMILIES, ids=["stationary", "nonstationary"])
mirrored = pytest.mark.skipif(not (SHARED / "flash").is_dir(), reason="no local mirror of the real data")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(kind, **params):
    extra = {"crop": 24, "filters": 8} if kind is SvbrdfStationary else {"samples": 1024}
    return kind(**{**SMALL, **extra, **params})


@each_family
def test_setup_and_samples_are_reproducible(kind):
    family, again = small(kind), small(kind)
    assert family.n_weights == again.n_weights == family.initial(1, seeded()).shape[1]
    assert torch.equal(family.photographs.pictures, again.photographs.pictures)
    members, theirs = family.split.train[:3], torch.get_rng_state()
    batches = [tasks.sample(members, 5, seeded(3)) for tasks in (family, again)]
    assert all(torch.equal(batches[0][name], batches[1][name]) for name in batches[0])
    assert not torch.equal(family.sample(members, 5, seeded(4))["photograph"], batches[0]["photograph"])
    assert torch.equal(theirs, torch.get_rng_state())


def test_diffuse_colours_do_not_depend_on_what_memory_held():
    """Bit for bit: a solver that reads what nobody wrote gives other last bits from call to call."""
    pictures, towards = torch.rand(8, 3, 32, 32, generator=seeded()), _flash.camera(32, CPU)
    found = set()
    for _ in range(100):
        rubbish = [torch.randint(-5, 5, (count,), dtype=torch.int32) for count in (3, 3, 4, 8, 16) * 3]
        del rubbish
        found.add(_flash.diffuse_channels(pictures, towards).numpy().tobytes())
    assert len(found) == 1


@each_family
def test_gradient_of_the_loss(kind):
    """Against central differences along random directions, and a second derivative that exists."""
    family = small(kind)
    weights = family.initial(2, seeded()).double()
    batch = family.sample(family.split.train[:2], 16, seeded())
    batch = {name: value.double() if value.is_floating_point() else value for name, value in batch.items()}
    family.towards = family.towards.double()
    if kind is SvbrdfStationary:
        family.features.filters = family.features.filters.double()
    else:
        family.noise = family.noise.double()
    at = weights.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(family.loss(at, batch).sum(), at, create_graph=True)
    direction = torch.randn(weights.shape, generator=seeded(1), dtype=torch.float64)
    h = 1e-8  # smaller than the distance to the next kink
    change = (family.loss(weights + h * direction, batch) - family.loss(weights - h * direction, batch)) / (2 * h)
    torch.testing.assert_close((gradient * direction).sum(1).detach(), change, rtol=1e-3, atol=1e-6)
    (second,) = torch.autograd.grad((gradient * direction).sum(), at)
    assert second.isfinite().all()
    assert float(second.abs().max()) > 0


@each_family
def test_adam_learns(kind):
    family = small(kind)
    members = family.split.test[:3]
    weights, generator = family.initial(3, seeded()).requires_grad_(True), seeded(1)
    before = family.metrics(weights, members)
    optimizer = torch.optim.Adam([weights], 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        family.loss(weights, family.sample(members, family.samples, generator)).sum().backward()
        optimizer.step()
    after = family.metrics(weights.detach(), members)
    assert float((after[family.metric] / before[family.metric]).max()) < 0.75  # colours are right from the start
    shown = family.picture(weights[0].detach(), int(members[0]))
    assert shown.shape == family.reference_picture(int(members[0])).shape == (32, 32, 3)


def test_pixels_are_seen_once_each_and_where_they_are():
    family = small(SvbrdfNonstationary)
    members = family.split.train[:2]
    batch = family.sample(members, 2048, seeded())
    first, second = batch["pixel"][0].split(1024)
    assert torch.equal(first.sort().values, torch.arange(1024))
    assert torch.equal(second.sort().values, torch.arange(1024))
    place, picture = int(first[17]), family.reference_picture(int(members[1]))
    torch.testing.assert_close(batch["photograph"][1, 17], picture[place // 32, place % 32])
    weights = family.initial(2, seeded())
    whole = {name: value[:, :1024] for name, value in batch.items()}
    expected = [
        (family._render(weights)[i].permute(1, 2, 0) - family.reference_picture(int(members[i]))).abs().mean()
        for i in range(2)
    ]
    torch.testing.assert_close(family.loss(weights, whole), torch.stack(expected))


def test_metrics_of_true_maps(monkeypatch):
    """The truth has no error; a height that is off by a constant has none either; another roughness has."""
    family = small(SvbrdfNonstationary)
    members = family.split.test
    truth = family.photographs.maps[members].clone()
    truth[:, 5] += 0.01
    monkeypatch.setattr(family, "maps", lambda weights: truth.clone())
    exact = family.metrics(torch.zeros(6, 1), members)
    assert set(exact) == {"l1", "psnr", "dssim", "maps_mae"}
    assert float(exact["l1"].max()) < 1e-5
    assert float(exact["psnr"].min()) > 60
    assert float(exact["dssim"].max()) < 1e-3
    assert float(exact["maps_mae"].max()) < 1e-6
    truth[:, 4] += 0.06
    torch.testing.assert_close(family.metrics(torch.zeros(6, 1), members)["maps_mae"], torch.full((6,), 0.01))


def test_diffuse_colours_are_read_off_a_photograph_of_a_sheet():
    """A sheet of two albedos under the flash, with a highlight in the middle: mean and spread are found."""
    towards = _flash.camera(64, CPU)
    channels = torch.zeros(1, 6, 64, 64)
    checks = (torch.arange(64)[:, None] // 4 + torch.arange(64) // 4) % 2
    channels[:, :3] = torch.tensor([-1.0, 0.5, 0.0])[:, None, None] + 0.8 * checks
    picture = _flash.photograph(_flash.to_maps(channels), towards, 64).clamp(0, 1)
    found = _flash.diffuse_channels(picture, towards)
    torch.testing.assert_close(found.mean(2)[0], torch.tensor([-0.6, 0.9, 0.4]), atol=0.25, rtol=0)
    torch.testing.assert_close(found.std(2)[0], torch.full((3,), 0.4), atol=0.06, rtol=0)


def test_crops_are_at_the_same_place():
    family = small(SvbrdfStationary)
    members = family.split.train[:2]
    batch = family.sample(members, 3, seeded())
    row, column = batch["corner"][1, 2].tolist()
    picture = family.photographs.pictures[members[1]]
    assert torch.equal(batch["photograph"][1, 2], picture[:, row : row + 24, column : column + 24])


def test_statistics_know_a_material_from_its_mean():
    """True maps moved across the picture are nearer to a photograph than their means are, by every statistic."""
    family = small(SvbrdfStationary, train=24, pixels=64, crop=32)
    maps = family.photographs.maps
    corner = family.compared.expand(len(maps), -1, -1)

    def cut(maps):
        return family._cut(_flash.photograph(maps, family.towards, 64).clamp(0, 1), corner)

    wanted = family._cut(family.photographs.pictures, corner)
    moved, even = cut(maps.roll((21, 27), (2, 3))), cut(maps.mean((2, 3), keepdim=True).expand_as(maps))
    for statistic, ratio in (
        (lambda shown: family._gram(shown, wanted, family.features), 0.6),
        (lambda shown: family._gram(shown, wanted, family.other_features), 0.6),
        (lambda shown: family._spectrum(shown, wanted), 0.9),  # of one crop it is mostly noise
    ):
        assert float(statistic(wanted).max()) == 0
        assert float((statistic(moved) / statistic(even)).mean()) < ratio


@each_family
@mirrored
def test_real_photographs_are_split_by_material(kind, monkeypatch):
    monkeypatch.setenv(_data.MIRROR, str(SHARED))
    family = small(kind, members="real", train=80, validation=12, test=20)
    assert len(family.names) == len(set(family.names)) == 114
    assert family.photographs.pictures.shape == (114, 3, 32, 32)
    assert family.metric in (found := family.metrics(family.initial(2, seeded()), family.split.test[:2]))
    assert "maps_mae" not in found
    means = family.photographs.pictures.mean((1, 2, 3))
    assert 0.05 < float(means.min()) < float(means.max()) < 0.95
    with pytest.raises(UsageError, match="115 members .* only 114"):
        small(kind, members="real", train=83, validation=12, test=20)


def test_one_picture_per_material(tmp_path):
    names = ["0282_IMG_0854.jpg", "0282_IMG_0851.jpg", "0300_IMG_1.jpg", "0282_IMG_0900.jpg"]
    chosen = one_per_material([tmp_path / ("train" if i % 2 else "test") / name for i, name in enumerate(names)])
    assert {name: path.name for name, path in chosen.items()} == {"0282": names[1], "0300": names[2]}


@each_family
def test_folder_of_the_users_own(kind, tmp_path):
    for i in range(4):
        Image.new("RGB", (60, 40), (60 * i, 10, 200)).save(tmp_path / f"sheet{i}.png")
    family = small(kind, members="folder", folder=str(tmp_path), train=2, validation=1, test=1)
    assert family.names == ["sheet0", "sheet1", "sheet2", "sheet3"]
    torch.testing.assert_close(family.reference_picture(3)[5, 5], torch.tensor([180, 10, 200]) / 255)
    with pytest.raises(UsageError, match="5 members .* only 4"):
        small(kind, members="folder", folder=str(tmp_path), train=3, validation=1, test=1)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"appearance\.svbrdf_.*broken\.png"):
        small(kind, members="folder", folder=str(tmp_path))


@each_family
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"members": "folder"}, "'folder' goes with"),
        ({"folder": "pictures"}, "'folder' goes with"),
        ({"members": "folder", "folder": "/nowhere"}, "/nowhere is not a folder"),
        ({"test": 0}, "'test' is 0"),
        ({"samples": 0}, "'samples' is 0"),
        ({"pixels": 4}, "'pixels' is 4"),
        ({"pixels": 34}, "'pixels' is 34, must be a multiple of 4"),
    ],
)
def test_bad_parameters(kind, params, message):
    with pytest.raises(UsageError, match=message):
        small(kind, **params)


def test_crops_have_to_fit():
    with pytest.raises(UsageError, match="'crop' is 16, must be at least 20"):
        small(SvbrdfStationary, crop=16)
    with pytest.raises(UsageError, match="'pixels' is 32, must be at least 36"):
        small(SvbrdfStationary, crop=36)
