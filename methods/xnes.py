"""xNES: the exponential natural evolution strategy, with a full covariance."""

from __future__ import annotations

import math
from typing import Any

import torch

from methods._look import Look
from methods._natural_gradient import NaturalGradient
from methods._ranges import Positive, Ranked
from methods._work import Work
from methods.base import Space

FACTORS = 8  # A, A⁻¹, the gradient of M and the matrix exponential of it; beside them 3 d × d matrices per sample


class Xnes(NaturalGradient):
    """Mean and square root A of the covariance follow the natural gradient in exponential coordinates, A ← A exp(M/2).

    Source: Glasmachers et al. 2010. Library: EvoTorch. Needs O(population · dim²) memory and O(dim³) time per step:
    its scalable sibling is SNES.
    """

    look = Look("xNES", "#35756f", "<")
    kind = "gradient estimator"

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        population = params.get("population") or cls.usual_population(space)
        need = 4 * space.dim**2 * (3 * population + FACTORS)
        limit = params.get("memory_gib", 4.0)
        if need > limit * 2**30:
            return f"covariance updates need {need / 1e9:.1f} GB, limit {limit:g} GiB"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, **_params: Any) -> Work:
        """The exponential of a matrix costs O(dim³) per step; shared by a population that takes about 10 dim²."""
        return Work(launches=25, numbers=10 * space.dim**2, kept=6 * space.dim**2)

    def setup(self, sigma: Positive = 1.0, population: Ranked | None = None, memory_gib: Positive = 4.0) -> None:
        """Start with covariance `sigma`² I; `population` None is 4 + ⌊3 ln dim⌋."""
        from evotorch.distributions import ExpGaussian

        dim = self.space.dim
        rate = 0.6 * (3 + math.log(dim)) / (dim * math.sqrt(dim))  # Glasmachers et al. 2010, table 1
        self.start_search(
            ExpGaussian,
            sigma * torch.eye(dim, device=self.space.device, dtype=self.space.start.dtype),
            rate,
            population,
        )
