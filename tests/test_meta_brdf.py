"""BRDFs: directions, materials, networks, pictures, and what is said of files that are not as they should be."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from benchmarks import _data
from benchmarks.appearance import _analytic, _merl_binary, _nbrdf
from benchmarks.appearance._directions import cosines, draw, half_and_difference
from benchmarks.appearance._sphere import BACKGROUND, Sphere
from benchmarks.appearance.brdf import Brdf
from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT
from methods.meta.base import Budget
from methods.meta.learned_schedule import LearnedSchedule

SHARED = ROOT.parent / "shared" / "data"
ARCHIVE = "merl_nbrdf.zip"
SMALL = {"train": 6, "validation": 2, "test": 4, "samples": 64, "pixels": 32}
mirrored = pytest.mark.skipif(not (SHARED / ARCHIVE).is_file(), reason="no local mirror of the real data")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def hemisphere(count):
    directions = normalize(torch.randn(2 * count, 3, generator=seeded(1)), dim=1)
    directions[:, 2] = directions[:, 2].abs()
    return directions[:count], directions[count:]


def test_half_and_difference_keep_the_angles():
    into, out = hemisphere(500)
    half, difference = half_and_difference(into, out)
    torch.testing.assert_close(difference.norm(dim=1), torch.ones(500))
    torch.testing.assert_close(half[:, 1], torch.zeros(500))
    torch.testing.assert_close(torch.stack(cosines(half, difference)), torch.stack([into[:, 2], out[:, 2]]))
    torch.testing.assert_close((into * normalize(into + out, dim=1)).sum(1), difference[:, 2])


def test_an_isotropic_pair_may_be_turned_about_the_normal():
    into, out = hemisphere(100)
    turn = torch.tensor([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    for before, after in zip(
        half_and_difference(into, out), half_and_difference(into @ turn.T, out @ turn.T), strict=True
    ):
        torch.testing.assert_close(before, after, atol=1e-4, rtol=0)


def test_drawn_directions_are_above_the_horizon_and_uniform_in_their_angles():
    half, difference = draw(40_000, seeded())
    assert min(cosine.min() for cosine in cosines(half, difference)) > 0
    theta_h, theta_d = half[:, 2].acos(), difference[:, 2].acos()
    low = theta_h + theta_d < math.pi / 2  # here nothing is rejected
    corner = low & (theta_h < math.pi / 8) & (theta_d < math.pi / 8)
    assert float(corner.sum() / low.sum()) == pytest.approx(1 / 8, abs=0.01)  # of a triangle's area
    assert abs(float(difference[:, 1].mean())) < 0.01


@pytest.mark.parametrize("model", range(len(_analytic.MODELS)), ids=lambda i: _analytic.MODELS[i].__name__)
def test_materials_are_physical(model):
    """Not negative, reciprocal, and no more light out than in (but for the models known to gain some at grazing)."""
    drawn = _analytic.draw_materials(60, seeded())
    materials = drawn[(drawn.model == model).nonzero()[:, 0]]
    count = len(materials.model)
    assert count == 12
    half, difference = (vectors.expand(count, -1, -1) for vectors in draw(2000, seeded()))
    value = _analytic.evaluate(materials, half, difference)
    assert float(value.min()) >= 0
    assert value.isfinite().all()
    swapped = difference * torch.tensor([-1.0, -1.0, 1.0])
    torch.testing.assert_close(_analytic.evaluate(materials, half, swapped), value, rtol=1e-3, atol=1e-5)
    # Albedo for light at 30°: 2π times the mean of f cos θ over uniform directions of the hemisphere.
    out = hemisphere(20_000)[0]
    into = torch.tensor([0.5, 0.0, math.sqrt(0.75)]).expand_as(out)
    half, difference = (vectors.expand(count, -1, -1) for vectors in half_and_difference(into, out))
    albedo = 2 * math.pi * (_analytic.evaluate(materials, half, difference) * out[:, 2:]).mean(1)
    assert float(albedo.min()) > 0
    assert float(albedo.max()) < 1.35


def test_lambert_without_roughness_is_constant():
    smooth = _analytic.Materials(torch.tensor([4]), torch.full((1, 3), 0.5), torch.zeros(1, 3), torch.zeros(1))
    half, difference = (vectors[None] for vectors in draw(50, seeded()))
    torch.testing.assert_close(_analytic.evaluate(smooth, half, difference), torch.full((1, 50, 3), 0.5 / math.pi))


def test_network_is_the_published_one():
    weights = _nbrdf.initial(1, seeded())
    assert weights.shape == (1, 675)
    first, second, third = torch.nn.Linear(6, 21), torch.nn.Linear(21, 21), torch.nn.Linear(21, 3)
    begin = 0
    for layer in (first, second, third):
        size = layer.weight.numel()
        layer.weight.data = weights[0, begin : begin + size].view(layer.in_features, -1).T.clone()
        layer.bias.data = weights[0, begin + size : begin + size + layer.out_features].clone()
        begin += size + layer.out_features
    vectors = torch.cat(draw(20, seeded()), 1)
    plain = torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.ReLU(), third)
    torch.testing.assert_close(_nbrdf.evaluate(weights, vectors[None])[0], plain(vectors).exp() - 1)


def test_sphere_shows_a_white_diffuse_ball_with_its_terminator():
    sphere = Sphere(48, torch.device("cpu"))
    white = sphere.render(lambda half, difference: torch.full((1, len(half), 3), 0.5 / math.pi))[0]
    assert white.shape == (48, 48, 3)
    assert float(white.min()) >= 0
    assert float(white.max()) <= 1
    assert torch.equal(white[0, 0], torch.full((3,), BACKGROUND))
    assert white[14, 16, 0] > white[24, 24, 0] > white[36, 24, 0]  # the key light is at the upper left
    mirror = sphere.render(lambda half, difference: (half[None, :, 2:] > 0.995).float().expand(1, -1, 3))[0]
    lit = (mirror[..., 0] > 0.5) & sphere.inside
    assert 3 < int(lit.sum()) < 200, "highlights of three lights, and nothing else"


def test_metrics_of_the_truth_and_of_a_random_network():
    family = Brdf(**SMALL)
    family.networks = _nbrdf.initial(12, seeded()) * 4  # members that the model can represent,
    family.networks[:, -3:] = 1.0  # positive ones
    members = family.split.test
    exact = family.metrics(family.networks[members], members)
    assert set(exact) == {"log_l1", "mae", "psnr", "dssim"}
    wrong = family.metrics(family.initial(4, seeded(1)), members)
    for name, values in exact.items():
        assert values.shape == (4,)
        better = values > wrong[name] if name == "psnr" else values < wrong[name]
        assert better.all(), name
    assert float(exact["psnr"].min()) > 60
    assert float(exact["dssim"].max()) < 1e-3


def test_split_too_small():
    with pytest.raises(UsageError, match="'test' is 0"):
        Brdf(**{**SMALL, "test": 0})


@mirrored
def test_merl(monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.setenv(_data.MIRROR, str(SHARED))
    family = Brdf(members="merl", train=68, validation=12, test=20)
    assert len(family.names) == 100
    assert {"chrome", "green-latex", "red-fabric"} <= set(family.names)
    # What is known of the materials: green latex is green, red fabric red, and chrome's highlight is bright.
    half, difference = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[math.sin(0.6), 0.0, math.cos(0.6)]])
    highlight = {
        name: family.reference(torch.tensor([family.names.index(name)]), half[None], difference[None])[0, 0]
        for name in ("chrome", "green-latex", "red-fabric")
    }
    assert highlight["green-latex"].argmax() == 1
    assert highlight["red-fabric"].argmax() == 0
    assert float(highlight["chrome"].min()) > 50 > 1 > float(highlight["red-fabric"].max())
    with pytest.raises(UsageError, match="101 members .* only 100"):
        Brdf(members="merl", train=69, validation=12, test=20)


@mirrored
def test_learned_schedule_keeps_units_alive_on_measured_materials(monkeypatch):
    """A start whose hidden units are all switched off can only shift colours: log-L1 .039 on these members."""
    pytest.importorskip("h5py")
    monkeypatch.setenv(_data.MIRROR, str(SHARED))
    family = Brdf(members="merl", train=68, validation=12, test=20, samples=128)
    learner = LearnedSchedule()
    state = learner.train(family, Budget(300 * 4 * 11 * 128), 0)
    *_, last = learner.adapt(state, family, family.split.validation, 10)
    assert float(family.metrics(last.weights, family.split.validation)["log_l1"].mean()) < 0.03


def archive(folder: Path, **files: bytes) -> Path:
    path = folder / ARCHIVE
    with zipfile.ZipFile(path, "w") as file:
        for name, content in files.items():
            file.writestr(f"{name}.h5", content)
    return path


def test_files_that_are_not_as_they_should_be(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    with pytest.raises(UsageError, match=r"holds no \.h5 file"):
        _nbrdf.read_archive(archive(tmp_path))
    with pytest.raises(UsageError, match=r"wood\.h5 is damaged"):
        _nbrdf.read_archive(archive(tmp_path, wood=b"not HDF5"))
    with h5py.File(tmp_path / "wood.h5", "w") as file:
        for number in (1, 2, 3):
            file[f"dense_{number}/dense_{number}/kernel:0"] = [[0.0]]
            file[f"dense_{number}/dense_{number}/bias:0"] = [0.0]
    with pytest.raises(UsageError, match="not a network of 6-21-21-3"):
        _nbrdf.read_archive(archive(tmp_path, wood=(tmp_path / "wood.h5").read_bytes()))
    (tmp_path / ARCHIVE).write_bytes(b"PK but no archive")
    with pytest.raises(UsageError, match="cannot be read as a zip"):
        _nbrdf.read_archive(tmp_path / ARCHIVE)
    monkeypatch.setenv(_data.MIRROR, str(tmp_path))
    with pytest.raises(UsageError, match="SHA-256"):
        Brdf(members="merl", train=68, validation=12, test=20)


def write_measured(path, brdf):
    """A file in MERL's format whose entries are brdf(θ_h, θ_d, φ_d) in 1/sr, grey."""
    theta_h = (torch.arange(90) + 0.5) ** 2 / 90**2 * math.pi / 2
    theta_d, phi_d = (torch.arange(90) + 0.5) / 90 * math.pi / 2, (torch.arange(180) + 0.5) / 180 * math.pi
    values = brdf(*torch.meshgrid(theta_h, theta_d, phi_d, indexing="ij")).double()
    stored = torch.stack([values / scale for scale in _merl_binary.SCALE])
    path.write_bytes(np.array(_merl_binary.SHAPE, "<i4").tobytes() + stored.numpy().astype("<f8").tobytes())


def test_measured_materials_in_their_own_format(tmp_path):
    def brdf(theta_h, theta_d, phi_d):
        return 0.2 + theta_h.cos() ** 20 + 0.1 * theta_d + 0.05 * phi_d

    for name in ("a", "b", "c"):
        write_measured(tmp_path / f"{name}.binary", brdf)
    family = Brdf(members="files", folder=str(tmp_path), train=1, validation=1, test=1, pixels=16)
    assert sorted(family.names) == ["a", "b", "c"]
    half, difference = (vectors[None].expand(2, -1, -1) for vectors in draw(2000, seeded()))
    found = family.reference(torch.tensor([2, 0]), half, difference)
    phi = torch.atan2(difference[..., 1], difference[..., 0]) % math.pi
    wanted = brdf(half[..., 2].acos(), difference[..., 2].acos(), phi)
    assert float((found - wanted[..., None]).abs().median()) < 0.005
    assert float((found - wanted[..., None]).abs().max()) < 0.1  # half a cell of the table
    assert float(family.reference_picture(0).max()) > 0.5


def test_a_damaged_measurement_is_named(tmp_path):
    with pytest.raises(UsageError, match="no .binary file"):
        Brdf(members="files", folder=str(tmp_path))
    (tmp_path / "steel.binary").write_bytes(b"\0" * 100)
    with pytest.raises(UsageError, match=r"steel\.binary.*damaged"):
        Brdf(members="files", folder=str(tmp_path))
    with pytest.raises(UsageError, match="goes with"):
        Brdf(folder=str(tmp_path))
