"""Real data from the mirror, through training and adaptation: the programs that the pipeline calls, at small size."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from benchmarks import _data
from benchmarks.contract.errors import UsageError
from benchmarks.harness.adapt import ADAPTATION, adapt_all
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import train_all
from benchmarks.harness.registry import family_class
from benchmarks.harness.sources import ROOT

MIRROR = ROOT.parent / "shared" / "data"
REAL = {  # family → parameters, and how many training samples make a few outer steps
    "brdf": ({"members": "merl", "train": 68, "validation": 12, "test": 20, "pixels": 32}, 400_000),
    "svbrdf_nonstationary": ({"members": "real", "train": 80, "validation": 12, "test": 20, "pixels": 32}, 2_000_000),
    "svbrdf_stationary": (
        {"members": "real", "train": 80, "validation": 12, "test": 20, "pixels": 32, "crop": 24, "filters": 8},
        1_000,
    ),
    "texture": (
        {"members": "real", "train": 40, "validation": 5, "test": 10, "pixels": 48, "crop": 40, "depth": 2},
        300,
    ),
}


@pytest.fixture
def mirror(monkeypatch):
    if not MIRROR.is_dir():
        pytest.skip("no local mirror of the real data")
    monkeypatch.setenv(_data.MIRROR, str(MIRROR))


@pytest.mark.parametrize("family", REAL)
def test_a_learner_trains_and_adapts_on_real_members(family, mirror, tmp_path):
    params, samples = REAL[family]
    cell = MetaCell(
        "hand", family, family, "learned_schedule", "learned_schedule", 10, samples, [0], family_params=params
    )
    train_all(cell, tmp_path / "models")
    adapt_all(cell, tmp_path / "models", tmp_path)
    points = pd.read_parquet(tmp_path / ADAPTATION)
    metric = family_class(family).metric
    medians = points[points["metric"] == metric].groupby("step")["value"].median()
    assert medians.loc[10] < 0.9 * medians.loc[0]
    assert points["member"].nunique() == params["test"]


@pytest.mark.parametrize("family", REAL)
def test_too_few_members_for_the_split(family, mirror):
    params, _ = REAL[family]
    with pytest.raises(UsageError, match=r"5000.* there are only"):
        family_class(family)(**{**params, "test": 5000})


@pytest.mark.parametrize(("judged", "count"), [("rgl-isotropic", 51), ("nielsen", 8)])
def test_what_was_learned_on_merl_is_judged_on_another_set(judged, count, mirror):
    params, _ = REAL["brdf"]
    plain, family = (family_class("brdf")(**params, **more) for more in ({}, {"judged": judged}))
    assert len(family.split.test) == count
    assert torch.equal(family.split.train, plain.split.train)
    assert not {family.names[member] for member in family.split.test} & set(plain.names)
    exact = family.metrics(family.networks[family.split.test], family.split.test)
    assert float(exact["log_l1"].max()) < 0.1  # a network that is negative somewhere counts as black there
    with pytest.raises(UsageError, match="'judged' goes with"):
        family_class("brdf")(judged=judged)


def test_no_photograph_of_a_texture_is_in_two_parts(mirror):
    family = family_class("texture")(**REAL["texture"][0])
    parts = [
        {family.names[member].rsplit("-", 1)[0] for member in part.tolist()}
        for part in (family.split.test, family.split.validation, family.split.train)
    ]
    assert [len(part) for part in parts[:2]] == [2, 1]
    assert all(not one & other for one, other in ((parts[0], parts[1]), (parts[0], parts[2]), (parts[1], parts[2])))
    assert len(family.split.train) == 40  # eight photographs by five
    more = family_class("texture")(**{**REAL["texture"][0], "train": 48})
    assert [more.names[member] for member in more.split.test] == [family.names[member] for member in family.split.test]
    assert len(more.split.train) == 48
    quarter, whole = family.exemplars[1], family.exemplars[0]
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(quarter, 2), whole[:, :24, :24])
