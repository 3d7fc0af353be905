"""Time-Shift sampler: asks the denoiser at the noise level that the values' own variance speaks for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from methods._look import Look
from methods._ranges import Share
from methods.diffusion.base import TIME_MIN, Denoise, Normal, Sampler, Told, level_of_time, time_of_level

LEAST_DIM = 16  # coordinates of which a variance can be taken


class TimeShift(Sampler):
    """DDPM (q = 1) or DDIM (q = 0), every sample at a time of its own within a window around the step's.

    Source: Li et al. 2024 (arXiv 2305.15583), the algorithm of its section 4: after a step to time t > `cutoff`, the
    next one starts at the time within [t − window / 2, t + window / 2] whose noise variance 1 − ᾱ is nearest to the
    variance of the sample's coordinates. Ours: times are continuous, so "nearest" is the variance cut to the window's
    ends; window and cutoff are parts of the whole time, where the paper counts thousandths.
    """

    linear = False

    @classmethod
    def told(cls, q: float = 1.0, **params: float) -> Told:
        if q == 0:
            return Told(Look("Time-Shift DDIM", "#35756f", "s", "--"))
        return Told(Look("Time-Shift DDPM", "#66c2a4", "o", "--"), deterministic=False)

    @classmethod
    def unsupported(cls, dim: int) -> str | None:
        return None if dim >= LEAST_DIM else f"takes the variance over a sample's coordinates, which {dim} cannot tell"

    def setup(self, q: Annotated[float, Interval(ge=0, le=1)] = 1.0, window: Share = 0.05, cutoff: Share = 0.3) -> None:
        """Take q as in the family, the window's width and the time below which nothing is shifted."""
        self.q, self.window, self.cutoff = q, window, cutoff

    def run(self, denoise: Denoise, y: Tensor, levels: Sequence[float], normal: Normal) -> Iterator[Tensor]:
        now = torch.full((len(y), 1), levels[0], dtype=y.dtype, device=y.device)
        for then in levels[1:]:
            # A shifted level may lie below the next one already; then the step stays where it is.
            step = (now / then).log().clamp_min(0)
            kept = torch.exp(-(1 + self.q) * step)
            y = kept * y + (1 - kept) * denoise(y, now[:, 0])
            if self.q > 0:
                y = y + then * (-torch.expm1(-2 * self.q * step)).sqrt() * normal()
            yield y
            y, now = self.shifted(y, then)
        yield denoise(y, now[:, 0])

    def shifted(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        """Return the values, seen from their own levels, and those levels (n, 1)."""
        time = time_of_level(v)
        if time <= self.cutoff:
            return y, torch.full((len(y), 1), v, dtype=y.dtype, device=y.device)
        ends = [min(1.0, max(TIME_MIN, time + side * self.window / 2)) for side in (-1, 1)]
        low, high = (share_of_noise(level_of_time(t)) for t in ends)
        kept = y / math.sqrt(1 + v * v)  # as the variance-preserving process has it: this is what stays
        noise = kept.var(1, keepdim=True).clamp(low, high)
        level = (noise / (1 - noise)).sqrt()
        return kept * (1 + level**2).sqrt(), level


def share_of_noise(v: float) -> float:
    """Return 1 − ᾱ = v² / (1 + v²)."""
    return v * v / (1 + v * v)
