"""How wrong a sampler's spread is for Gaussian data, without a single random number.

The denoiser of N(0, s²) is linear, D(y, v) = s² / (s² + v²) y, and so is every step of a sampler that does not look at
its values. So a run on unit impulses, one in the start and one in each random number, gives the factor that each of
them enters the draws with; the root of the factors' sum of squares is the standard deviation of the draws.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods.diffusion.base import Sampler, spaced

PER_LEVEL = 2  # random vectors that a sampler may ask for at every level


def spread_error(sampler: Sampler, steps: int, spread: float, spacing: str = "log_snr") -> float:
    """Return the relative error of the standard deviation of the draws.

    Args:
        sampler: whose steps are linear in values and random numbers.
        steps: between noise levels; the denoising that follows the last one is exact and not counted.
        spread: standard deviation s of the data.
        spacing: of the levels.
    """
    levels = spaced(spacing, steps + 1)
    impulses = torch.eye(1 + PER_LEVEL * len(levels), dtype=torch.float64)
    random = iter(impulses[1:])
    start = math.hypot(spread, levels[0]) * impulses[0]

    def denoise(y: Tensor, v: float | Tensor) -> Tensor:
        return spread**2 / (spread**2 + v**2) * y

    *_, last = sampler.run(denoise, start[:, None], levels, lambda: next(random)[:, None])
    return float(last.norm()) * math.hypot(spread, levels[-1]) / spread**2 - 1
