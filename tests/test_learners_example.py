"""The example of docs/learners.md adapts the committed learner to a BRDF of one's own, as it stands there."""

from __future__ import annotations

import re

import pytest
import torch

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
    assert trained.card["learner"] == "learned_schedule"
    assert {"family", "train_samples", "versions", "commit", "source"} <= set(trained.card)
