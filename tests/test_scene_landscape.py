"""The loss of scenes over one or two unknowns: smoothing, bounds, and the plateau of the mug."""

import numpy as np
import pytest
import torch
import yaml
from agreement import assert_agree

from benchmarks.contract.errors import Unsupported
from benchmarks.rendering.cup import Cup
from workflow.tables import scene_landscape
from workflow.tables.scene_landscape import REACH, ROOM, SIGMAS, make_scene_landscape, task_table

POINTS = {1: 61, 2: 21}


class Bowl:
    """Pictures that are z itself, compared with the origin; remembers what was evaluated."""

    max_batch = 50
    device = torch.device("cpu")

    def __init__(self, dim, lower=None, upper=None):
        self.dim = dim
        self.begin, self.reference = torch.full((dim,), 2.0), torch.zeros(dim)
        self.lower = None if lower is None else torch.full((dim,), lower)
        self.upper = None if upper is None else torch.full((dim,), upper)
        self.seen = []

    def observe(self, z, seed):
        assert len(z) <= self.max_batch
        self.seen.append(z)
        return z

    def criterion(self, observed):
        return observed.square().sum(1)


@pytest.fixture(autouse=True)
def few_points(monkeypatch):
    monkeypatch.setattr(scene_landscape, "POINTS", POINTS)


def truncated_variance(sigma, step):
    """The variance of the discrete kernel, which stops at 3σ."""
    offsets = np.arange(-np.ceil(REACH * sigma / step), np.ceil(REACH * sigma / step) + 1) * step
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (weights * offsets**2).sum() / weights.sum()


@pytest.mark.parametrize("dim", [1, 2])
def test_a_bowl_smoothed_is_the_bowl_and_its_variance(dim):
    table = task_table(Bowl(dim))
    bowl = table[table.kind == "loss"]
    assert len(bowl) == POINTS[dim] ** dim
    assert (bowl.z_0.min(), bowl.z_0.max()) == pytest.approx((-ROOM, 2 + ROOM))
    places = bowl[["z_0", "z_1"][:dim]].to_numpy()
    np.testing.assert_allclose(bowl.value, (places**2).sum(1), atol=1e-4)
    step = (2 + 2 * ROOM) / (POINTS[dim] - 1)
    for sigma in SIGMAS:
        smoothed = table[table.sigma == sigma].value.to_numpy()
        variance = truncated_variance(sigma, step)
        assert variance == pytest.approx(sigma**2, rel=0.05)
        np.testing.assert_allclose(smoothed, bowl.value + dim * variance, rtol=1e-4, atol=1e-4)
    start, target = (table[table.kind == kind].iloc[0] for kind in ("start", "target"))
    assert (start.z_0, start.value) == pytest.approx((2.0, 4.0 * dim))
    assert (target.z_0, target.value) == pytest.approx((0.0, 0.0))
    assert table.z_1.isna().all() == (dim == 1)


def test_nothing_is_evaluated_beyond_the_bounds():
    bounded = Bowl(2, lower=-1.0, upper=2.5)
    table = task_table(bounded)
    seen = torch.cat(bounded.seen)
    assert float(seen.min()) == -1.0
    assert float(seen.max()) == 2.5
    assert len(seen) == POINTS[2] ** 2 + 2  # the margins cost nothing
    assert (table.z_1[table.kind == "smoothed"].min(), table.z_1[table.kind == "smoothed"].max()) == (-1.0, 2.5)
    corner = table[(table.sigma == 2.0) & (table.z_0 == -1.0) & (table.z_1 == -1.0)].value.item()
    assert corner < 2.0 + 2 * 2.0**2  # flat outside: less than the unbounded bowl's


@pytest.mark.llvm
def test_the_mug_has_a_plateau_that_smoothing_leaves(tmp_path):
    config = {
        "suite": "mug",
        "seeds": 1,
        "limits": {"evaluations": 10, "minutes": 1},
        "tasks": {
            "mug": {"problem": "rendering.cup", "params": {"width": 16, "height": 12, "spp": 4}},
            "bowl": {"problem": "analytic.quadratic", "params": {"dim": 2}},
        },
        "methods": {"random_search": {}},
        "grid": [{"tasks": ["mug", "bowl"], "methods": ["random_search"]}],
    }
    path = tmp_path / "mug.yaml"
    path.write_text(yaml.safe_dump(config))
    table = make_scene_landscape(path)
    assert set(table.task) == {"mug"}
    start, target = (table[table.kind == kind].iloc[0] for kind in ("start", "target"))
    assert target.value == 0.0
    loss = table[table.kind == "loss"]
    near = loss[(loss.z_0 - start.z_0).abs() < 0.3]
    assert len(near) >= 3
    problem = Cup(width=16, height=12, spp=64)
    places = torch.tensor([start.z_0, *near.z_0], dtype=torch.float32)[:, None]
    losses = torch.stack([problem.loss(places, seed) for seed in range(24)])
    changes = losses[:, 1:] - losses[:, :1]
    assert_agree(changes, 0.0, bias=1e-3 * start.value, resolution=0.03 * start.value)
    if problem.mi.variant() != "scalar_rgb":  # whose paths take other random numbers after meeting what is hidden
        assert np.ptp(near.value) < 1e-3 * start.value
    smoothed = table[table.sigma == 1.0]
    near = smoothed[(smoothed.z_0 - start.z_0).abs() < 0.2]
    assert np.ptp(near.value) > 1e-3 * start.value
    del config["tasks"]["mug"]
    config["grid"][0]["tasks"] = ["bowl"]
    path.write_text(yaml.safe_dump(config))
    assert len(make_scene_landscape(path)) == 0


def test_scenes_that_this_machine_cannot_render_have_no_rows(tmp_path, monkeypatch, capsys):
    def unloadable(device):
        raise Unsupported("Mitsuba cannot be loaded: install it")

    monkeypatch.setattr("benchmarks.rendering._scene.backend", unloadable)
    config = {
        "suite": "mug",
        "seeds": 1,
        "limits": {"evaluations": 10, "minutes": 1},
        "tasks": {"mug": {"problem": "rendering.cup"}},
        "methods": {"random_search": {}},
        "grid": [{"tasks": ["mug"], "methods": ["random_search"]}],
    }
    path = tmp_path / "mug.yaml"
    path.write_text(yaml.safe_dump(config))
    assert len(make_scene_landscape(path)) == 0
    assert "mug: Mitsuba cannot be loaded: install it" in capsys.readouterr().out


@pytest.mark.parametrize("span", np.linspace(1.0, 9.0, 200))
def test_the_kernel_fits_the_margin_whatever_the_rounding(span):
    step = span / 360
    low = -4.3 + step * np.arange(2000)
    margin = scene_landscape.reach(max(SIGMAS), step)
    assert len(scene_landscape.kernel(max(SIGMAS), float(low[1] - low[0]))) // 2 == margin
