"""Heun's second-order method on the probability flow, as in EDM: two evaluations a level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor

from methods._look import Look
from methods.diffusion.base import Denoise, Normal, Sampler, Told


class Heun(Sampler):
    """dy/dv = (y − D(y, v)) / v by Euler's step and its trapezoidal correction; a plain step to level zero.

    Source: Karras et al. 2022 (EDM), Algorithm 1, in their coordinates. The stochastic Algorithm 2 has four parameters
    of its own, which its authors chose by grid search for every data set; it is left out.
    """

    @classmethod
    def told(cls) -> Told:
        return Told(Look("Heun (EDM)", "#00733c", "D"))

    def setup(self) -> None:
        """It has no parameters."""

    def levels(self, budget: int) -> int:
        """n levels take 2 n − 1 evaluations, since the step from the last one to zero is not corrected."""
        return (budget + 1) // 2

    def run(self, denoise: Denoise, y: Tensor, levels: Sequence[float], normal: Normal) -> Iterator[Tensor]:
        for now, then in pairwise(levels):
            slope = (y - denoise(y, now)) / now
            guess = y + (then - now) * slope
            y = y + (then - now) * (slope + (guess - denoise(guess, then)) / then) / 2
            yield y
        yield denoise(y, levels[-1])
