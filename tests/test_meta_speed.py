"""Meta-training in one batch, by vmap and task by task: the same meta-gradient."""

from __future__ import annotations

import pytest

from benchmarks.harness import meta_speed
from benchmarks.harness.registry import family_class


def test_the_three_ways_agree_and_are_timed():
    family = family_class("brdf")(train=8, validation=2, test=2, samples=32, pixels=32)
    seconds = meta_speed.measure(family, tasks=3, steps=2, repeats=1)
    assert list(seconds) == ["loop", "vmap", "batch"]
    assert min(seconds.values()) > 0


def test_disagreement_is_found(monkeypatch):
    family = family_class("brdf")(train=8, validation=2, test=2, samples=32, pixels=32)
    right = meta_speed.mapped(family)
    monkeypatch.setattr(meta_speed, "mapped", lambda family: lambda start, batches: 1.1 * right(start, batches))
    with pytest.raises(RuntimeError, match="vmap: another meta-gradient"):
        meta_speed.measure(family, tasks=3, steps=2, repeats=1)
