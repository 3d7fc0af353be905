"""Whether noisy estimates agree, judged by the noise that they show themselves: no tolerance is found by trying.

Every estimate is one render, one batch of samples: independent of the others, by its seed. An element's mean over them
is compared by Welch's t-test; Bonferroni's correction over the elements keeps the chance that a right program fails
below `false_alarm` per call, whatever variant of Mitsuba draws the samples (t because the spread is estimated too).
"""

from __future__ import annotations

import torch
from scipy import stats
from torch import Tensor

FALSE_ALARM = 1e-6


def margin(samples: Tensor, others: Tensor | None = None, false_alarm: float = FALSE_ALARM) -> Tensor:
    """Return how far the means of two sets of estimates of the same things may lie apart by chance.

    Args:
        samples: (n, *shape), n ≥ 4 independent estimates.
        others: (m, *shape); None: the other side is known exactly.
        false_alarm: chance that any element lies farther apart.

    Returns:
        (*shape): quantile of t (degrees of freedom after Welch 1947) × standard error of the difference.
    """
    parts = [x.double().var(0) / len(x) for x in (samples, others) if x is not None]
    freedoms = [len(x) - 1 for x in (samples, others) if x is not None]
    variance = sum(parts)
    freedom = variance**2 / sum(part**2 / free for part, free in zip(parts, freedoms, strict=True))
    freedom = torch.where(variance > 0, freedom, float(min(freedoms)))
    quantile = stats.t.isf(false_alarm / 2 / max(1, variance.numel()), freedom.numpy())
    return torch.as_tensor(quantile) * variance.sqrt()


def assert_agree(
    samples: Tensor,
    truth: Tensor | float | None = None,
    *,
    others: Tensor | None = None,
    resolution: float,
    bias: Tensor | float = 0.0,
    false_alarm: float = FALSE_ALARM,
) -> None:
    """Assert that the mean of estimates is the truth, or that of other estimates.

    Args:
        samples: (n, *shape), n ≥ 4 independent estimates.
        truth: (*shape) or a number, known exactly; else `others` (m, *shape) are given, independent estimates too.
        resolution: a difference that has to be seen: every element's margin is asserted to be smaller, so that a test
            too noisy to fail is one that fails.
        bias: a systematic difference that is allowed besides, of a known cause.
        false_alarm: chance that a right program fails.
    """
    allowed = margin(samples, others, false_alarm)
    assert float(allowed.max()) < resolution, f"too noisy to see {resolution:g}: up to {allowed.max():g} passes"
    expected = torch.as_tensor(truth).double() if others is None else others.double().mean(0)
    difference = (samples.double().mean(0) - expected).abs()
    worst = int((difference - allowed - bias).argmax())
    assert bool((difference <= allowed + bias).all()), (
        f"{int((difference > allowed + bias).sum())} of {difference.numel()} means differ by more than chance: "
        f"by {difference.flatten()[worst]:g} where {allowed.flatten()[worst]:g} is allowed"
    )
