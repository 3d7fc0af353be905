"""The bandwidth's schedule that all smoothing methods share."""

from __future__ import annotations


def annealed(sigma: float, end: float, used: float, budget: int) -> float:
    """Return σ after `used` of `budget` evaluations: linear, from `sigma` to `end`·sigma with the budget."""
    return sigma * (1 + (end - 1) * min(1.0, used / budget))
