"""The measure of the statistical tests: it seldom cries wolf, sees what it has to, and refuses to be blind."""

from __future__ import annotations

import pytest
import torch
from agreement import assert_agree, margin


def drawn(count, *shape, seed=0):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("elements", [1, 20])
@pytest.mark.parametrize(("mine", "theirs"), [(4, None), (16, None), (4, 4), (5, 40)])
def test_false_alarms_are_as_rare_as_stated(mine, theirs, elements):
    """A chance of 1 in 10, 4,000 times: Welch's approximation with few and unequal samples may err by a third."""
    trials = 4000
    samples = drawn(mine, trials, elements)
    others = None if theirs is None else 3 * drawn(theirs, trials, elements, seed=1)
    allowed = margin(samples, others, false_alarm=0.1 * trials)  # per trial, of `elements` elements
    means = samples.mean(0) - (0 if others is None else others.mean(0))
    alarms = float((means.abs() > allowed).any(1).double().mean())
    assert 0.06 < alarms < 0.13


def test_what_differs_is_seen():
    samples = 0.01 * drawn(16, 3)
    assert_agree(samples + 5, 5.0, resolution=0.05)
    assert_agree(samples + 5, others=5 + 0.01 * drawn(8, 3, seed=1), resolution=0.1)
    assert_agree(samples + 5.04, 5.0, resolution=0.05, bias=0.04)
    shifted = samples + torch.tensor([0.0, 0.05, 0.0])
    with pytest.raises(AssertionError, match="1 of 3 means differ"):
        assert_agree(shifted, 0.0, resolution=0.05)
    with pytest.raises(AssertionError, match="1 of 3 means differ"):
        assert_agree(shifted, others=0.01 * drawn(16, 3, seed=1), resolution=0.05)


def test_a_test_too_noisy_to_fail_fails():
    with pytest.raises(AssertionError, match="too noisy to see 0.5"):
        assert_agree(drawn(8, 3), 0.0, resolution=0.5)


def test_exact_estimates_have_no_margin():
    assert_agree(torch.full((4, 2), 0.5), 0.5, resolution=1e-9)
    with pytest.raises(AssertionError, match="2 of 2 means differ"):
        assert_agree(torch.full((4, 2), 0.5), 0.5001, resolution=1e-9)
