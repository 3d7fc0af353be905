"""SNES: the separable natural evolution strategy, one step size per coordinate."""

from __future__ import annotations

import math

import torch

from methods._look import Look
from methods._natural_gradient import NaturalGradient
from methods._ranges import Positive, Ranked


class Snes(NaturalGradient):
    """Mean and standard deviations of a separable Gaussian follow the natural gradient; memory O(dim).

    Source: Schaul, Glasmachers & Schmidhuber 2011. Library: EvoTorch.
    """

    look = Look("SNES", "#a6d96a", "X")
    kind = "gradient estimator"

    def setup(self, sigma: Positive = 1.0, population: Ranked | None = None) -> None:
        """Start with standard deviation `sigma`; `population` None is 4 + ⌊3 ln dim⌋."""
        from evotorch.distributions import ExpSeparableGaussian

        dim = self.space.dim
        # EvoTorch's default rate, with its exponent ½ the (3 + ln d) / (5 √d) of Schaul et al. 2011
        rate = 0.2 * (3 + math.log(dim)) / math.sqrt(dim)
        self.start_search(ExpSeparableGaussian, torch.full_like(self.space.start, sigma), rate, population)
