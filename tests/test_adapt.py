"""Training, adaptation and trained files: interrupted, damaged, foreign; and what the tables make of them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import TUNING_REPLICATES
from benchmarks.harness import meta_train, meta_tune
from benchmarks.harness import trained as trained_module
from benchmarks.harness.adapt import ADAPTATION, MODELS, PICTURES, adapt_all, checkpoints
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import CARDS, train_all
from benchmarks.harness.registry import learner_class
from benchmarks.harness.rooms import learner_names
from benchmarks.harness.trained import load_trained, read_trained
from methods.meta.base import GRID_CELLS

SMALL = {"train": 5, "validation": 2, "test": 3, "samples": 16, "pixels": 16}
CELL = MetaCell("hand", "brdf", "brdf", "fomaml", "fomaml", 12, 20_000, [0, 1], family_params=SMALL, pictured=1)


@pytest.fixture
def trained(tmp_path):
    train_all(CELL, tmp_path / "models")
    adapt_all(CELL, tmp_path / "models", tmp_path / "out")
    return tmp_path


def test_tables_of_an_adaptation(trained):
    points, models = (pd.read_parquet(trained / "out" / name) for name in (ADAPTATION, MODELS))
    assert set(points["step"]) == {0, 1, 2, 3, 4, 5, 6, 8, 10, 12}
    assert (points["samples"] == 16 * points["step"]).all()
    assert len(points) == 2 * 3 * 10 * points["metric"].nunique()
    assert (models["train_samples"] >= 20_000).all()
    assert (models["step_s"] > 0).all()
    np.testing.assert_allclose(points["seconds"], points["step"] * points["seed"].map(models.set_index("seed").step_s))
    with np.load(trained / "out" / PICTURES) as pictures:
        steps = {key.rsplit("/", 1)[1] for key in pictures}
    assert steps == {"0", "2", "5", "8", "10", "12", "reference"}


def test_checkpoints_have_the_last_step_and_the_quarters():
    assert checkpoints(7, 20) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert {5, 10, 15, 20, 32, 33} <= set(checkpoints(33, 20))


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    cell = replace(CELL, replicates=[0])
    train_all(cell, tmp_path / "whole")
    monkeypatch.setattr(meta_train, "KEEP_S", 0.0)
    keep, calls = meta_train.keeper, []

    def killed(path, mark, phases):
        inner = keep(path, mark, phases)

        def progress(state):
            inner(state)
            calls.append(1)
            if len(calls) == 7:
                raise KeyboardInterrupt

        return progress

    monkeypatch.setattr(meta_train, "keeper", killed)
    with pytest.raises(KeyboardInterrupt):
        train_all(cell, tmp_path / "killed")
    assert not (tmp_path / "killed" / "replicate_0.pt").exists()
    train_all(cell, tmp_path / "killed")
    assert not (tmp_path / "killed" / "replicate_0.state").exists()
    states = [read_trained(tmp_path / folder / "replicate_0.pt")[1]["learned"] for folder in ("whole", "killed")]
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=0, atol=0)
    assert len(calls) == json.loads((tmp_path / "whole" / CARDS).read_text())["cards"][0]["train_steps"]


def test_what_is_finished_is_not_trained_again(trained, monkeypatch):
    monkeypatch.setattr(trained_module, "save_trained", lambda *_: pytest.fail("trained again"))
    train_all(CELL, trained / "models")
    with pytest.raises(pytest.fail.Exception):
        train_all(replace(CELL, training_samples=21_000), trained / "models")


def test_other_steps_of_adaptation_leave_the_training_as_it_is():
    assert replace(CELL, steps=99, part="validation").of_training() == CELL.of_training()
    assert replace(CELL, steps=99).of_adaptation() != CELL.of_adaptation()
    assert replace(CELL, params={"inner_rate": 0.2}).of_training() != CELL.of_training()


@pytest.mark.parametrize("content", [b"", b"no model at all", pickle.dumps({"card": print})])
def test_a_damaged_or_foreign_file_is_named(trained, content):
    path = trained / "models" / "replicate_0.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"replicate_0\.pt"):
        load_trained(path)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(UsageError, match="snakemake"):
        load_trained(tmp_path / "nothing.pt")


def test_a_trained_learner_adapts_to_samples_of_ones_own(trained):
    model = load_trained(trained / "models" / "replicate_1.pt")
    assert model.card["learner"] == "fomaml"
    assert model.card["n_train"] == 5
    samples = model.family.sample(model.family.split.test[:1], 40, torch.Generator().manual_seed(3))
    losses = [float(model.family.loss(model.adapt(samples, steps)[None], samples)) for steps in (0, 10)]
    assert losses[1] < losses[0]
    enough = model.adapt(samples, 10, until=(losses[0] + losses[1]) / 2)
    assert losses[1] < float(model.family.loss(enough[None], samples)) <= (losses[0] + losses[1]) / 2
    assert torch.equal(model.adapt(samples, 10, until=2 * losses[0]), model.adapt(samples, 0))
    assert torch.equal(model.adapt(samples, 10, until=0.0), model.adapt(samples, 10))
    with pytest.raises(UsageError, match="same n"):
        model.adapt({name: value[0] for name, value in samples.items()})


def test_an_ensemble_is_made_of_adaptations_to_resamples(trained):
    model = load_trained(trained / "models" / "replicate_1.pt")
    one = model.family.sample(model.family.split.test[:1], 1, torch.Generator().manual_seed(3))
    same = {name: value.expand(-1, 40, *value.shape[2:]) for name, value in one.items()}  # every resample is alike
    torch.testing.assert_close(model.ensemble(same, 3), model.adapt(same).expand(3, -1), rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match=r"must be \(1, n, …\)"):
        model.ensemble({name: value.expand(2, *value.shape[1:]) for name, value in one.items()})


def test_tuning_never_sees_test_members_or_the_seeds_of_the_comparison(tmp_path):
    cell = replace(CELL, learner="random_init", algorithm="random_init", replicates=[0], steps=4)
    meta_tune.tune(cell, tmp_path)
    grid = pd.read_parquet(tmp_path / "grid.parquet")
    assert len(grid) == GRID_CELLS
    assert (grid["loss_final"] < grid["loss_start"]).any()
    points = pd.read_parquet(tmp_path / "cell_0" / ADAPTATION)
    assert set(points["seed"]) == {TUNING_REPLICATES}
    assert points["member"].nunique() == SMALL["validation"]


def test_the_score_of_tuning_is_the_geometric_mean_over_steps():
    rows = [("log_l1", step, member, value) for step, value in ((0, 8.0), (1, 4.0), (10, 1.0)) for member in "ab"]
    points = pd.DataFrame(rows, columns=["metric", "step", "member", "value"]).assign(seed=0)
    found = meta_tune.scores(points, "log_l1")
    assert found.loc[0, "start"] == 8
    assert found.loc[0, "score"] == pytest.approx(2)


@pytest.mark.parametrize("name", learner_names())
def test_every_learner_has_a_grid_of_the_same_size(name):
    learner = learner_class(name)
    sizes = [len(values) for values in learner.grid.values()]
    assert np.prod(sizes) == GRID_CELLS
    for key, values in learner.grid.items():
        for value in values:
            learner(**{key: value})


def test_a_bad_parameter_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"learner 'fomaml'.*inner_rate"):
        train_all(replace(CELL, params={"inner_rat": 0.1}), tmp_path)
    with pytest.raises(UsageError, match="replicates"):
        MetaCell.from_json(json.dumps({"replicate": 1}))
