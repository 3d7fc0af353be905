"""The example of docs/learners.md adapts the committed learner to a BRDF of one's own, as it stands there."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from benchmarks.harness.sources import ROOT

(EXAMPLE,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "learners.md").read_text(), re.S)


@pytest.fixture
def found(monkeypatch):
    """What the example leaves behind."""
    monkeypatch.chdir(ROOT)
    names = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(compile(EXAMPLE, "learners.md", "exec"), names)
    return names


def test_the_page_adapts_to_a_brdf_of_ones_own(found):
    trained = found["trained"]
    samples = trained.family.measured(found["into"], found["out"], found["brdf"])
    before, after = (
        float(trained.family.loss(weights[None], samples)) for weights in (trained.adapt(samples, 0), found["weights"])
    )
    assert after < before / 3
    assert found["picture"].shape == (64, 64, 3)
    assert found["doubt"].shape == (64, 64, 3)
    assert 0 < found["doubt"].max() < found["picture"].max()
    assert trained.card["learner"] == "learned_schedule"
    assert {"family", "train_samples", "versions", "commit", "source"} <= set(trained.card)


def test_an_ensemble_is_uncertain_where_the_adapted_model_is_wrong(found):
    """Ranks over directions of each test member, and over the members: both above chance by far."""
    trained, generator = found["trained"], torch.Generator().manual_seed(0)
    family, within, spreads, errors = trained.family, [], {16: [], 256: []}, {16: [], 256: []}
    for n in spreads:
        for member in family.split.test[:12]:
            samples, asked = (family.sample(member[None], count, generator) for count in (n, 1000))
            weights = torch.cat([trained.ensemble(samples), trained.adapt(samples)[None]])
            queries = {name: value.expand(len(weights), *value.shape[1:]) for name, value in asked.items()}
            *drawn, adapted = family._logarithm(weights, queries)
            spread = torch.stack(drawn).std(0).mean(1)
            error = (adapted - asked["target"][0]).abs().mean(1)
            within.append(spearmanr(spread, error)[0])
            spreads[n].append(float(spread.mean()))
            errors[n].append(float(error.mean()))
        assert spearmanr(spreads[n], errors[n])[0] > 0.5
    assert np.median(within) > 0.4
    assert np.median(spreads[16]) > 2 * np.median(spreads[256])
