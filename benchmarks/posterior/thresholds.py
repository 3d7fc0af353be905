"""A digit of which only sixteen bits are known: is a block of 2² pixels inked or not?"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.contract.measurement import Measurement
from benchmarks.sampling._digits import SIDE
from benchmarks.sampling.digit_mixture import DigitMixture
from methods._ranges import Positive

BLOCK = 2  # pixels along the side of a block
INKED = -0.2  # mean of a block above which it counts as inked


class Thresholds(Measurement):
    """±1 per block of the picture, 16 numbers of 64, on the law `digit_mixture`."""

    source = "ours"

    def setup(self, noise: Positive = 0.82) -> None:
        """Take σ; .82 is a bit that is read wrongly one time in nine."""
        self.law, self.noise = DigitMixture(device=str(self.device)), noise

    def blocks(self, x: Tensor) -> Tensor:
        """Return the means (n, 16) of the blocks of pictures (n, 64)."""
        cells = x.unflatten(-1, (SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK))
        return cells.mean((-3, -1)).flatten(-2)

    def observe(self, x: Tensor) -> Tensor:
        return torch.where(self.blocks(x) > INKED, 1.0, -1.0).to(x.dtype)

    def soft(self, x: Tensor, width: float) -> Tensor:
        """Return the like with a hyperbolic tangent of this width for the step."""
        return torch.tanh((self.blocks(x) - INKED) / width)
