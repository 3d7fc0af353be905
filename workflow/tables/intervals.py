"""Intervals for few seeds: percentile bootstrap with its own generator, and Wilson's interval of a share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 2000
LEVEL = 0.95

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]  # (resamples, n, …) → (resamples,)


def interval(statistics: Floats) -> tuple[float, float]:
    """Return the central 95 % of resampled statistics (resamples,); infinities are order statistics like any other.

    The quantiles are actual values (inverted CDF), so that ∞ never meets a finite number in an interpolation.
    """
    if np.isnan(statistics).any():
        return np.nan, np.nan
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(statistics, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


def bootstrap(samples: Floats, statistic: Statistic, seed: int = 0) -> tuple[float, float]:
    """Return the percentile bootstrap interval (Efron 1979) of `statistic` over the first axis of `samples` (n, …).

    Percentiles rather than BCa: with 3 to 20 seeds BCa's acceleration is not estimable, and it is undefined where a
    run failed (∞). Deterministic: it draws from a generator of its own. Empty samples give NaN.
    """
    n = len(samples)
    if n == 0:
        return np.nan, np.nan
    index = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    return interval(statistic(samples[index]))


def cluster_bootstrap(groups: list[Floats], seed: int = 0) -> tuple[float, float]:
    """Return the interval of the mean of the groups' means: groups (tasks) are resampled, then seeds within each."""
    if not groups or any(len(group) == 0 for group in groups):
        return np.nan, np.nan
    generator = np.random.default_rng(seed)
    within = np.stack(
        [group[generator.integers(len(group), size=(RESAMPLES, len(groups), len(group)))].mean(-1) for group in groups],
        axis=-1,
    )  # (resamples, slot, group): a fresh resample of every group for every slot it may be drawn into
    chosen = generator.integers(len(groups), size=(RESAMPLES, len(groups)))
    return interval(np.take_along_axis(within, chosen[..., None], axis=-1)[..., 0].mean(-1))


def median(samples: Floats) -> Floats:
    """Return the median over axis 1 of (resamples, n); half-way between a number and ∞ is ∞."""
    ordered = np.sort(samples, axis=1)
    n = ordered.shape[1]
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (Wilson 1927); NaN without trials."""
    if n == 0:
        return np.nan, np.nan
    found = binomtest(successes, n).proportion_ci(LEVEL, method="wilson")
    return float(found.low), float(found.high)
