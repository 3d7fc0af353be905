"""Real data from the mirror, through training and adaptation: the programs that the pipeline calls, at small size."""

from __future__ import annotations

import pandas as pd
import pytest

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
    "texture": ({"members": "real", "train": 5, "validation": 1, "test": 2}, 300),
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
    with pytest.raises(UsageError, match="members for train, validation and test, but there are only"):
        family_class(family)(**{**params, "train": 5000})
