"""A well in a plain without slope: its gradient is exactly zero almost everywhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.contract.problem import Problem
from methods._ranges import Count

HALF_WIDTH = 1.0
DISTANCE = 3.0  # of the start from the well's middle, per coordinate


class Plateau(Problem):
    """L(z) = 1 − 1/dim Σ 1[|z_i − z*_i| < 1].

    Smoothed with N(0, σ²I): 1 − 1/dim Σ Φ((z_i − z*_i + 1)/σ) − Φ((z_i − z*_i − 1)/σ), which slopes everywhere.
    """

    source = "ours: the smallest task on which the true gradient says nothing and the smoothed one everything"
    gradient = "exact"

    def setup(self, dim: Count = 2) -> None:
        """Dig one well per coordinate."""
        self.dim = dim
        self.reference = torch.zeros(dim, device=self.device)

    def start(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        sign = torch.randn(self.dim, generator=generator).sign()
        return sign * (DISTANCE + 0.5 * torch.rand(self.dim, generator=generator))

    def loss(self, z: Tensor, seed: int) -> Tensor:
        return 1 - ((z - self.reference).abs() < HALF_WIDTH).to(z.dtype).mean(1)

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and zeros (n, dim): the exact derivative of a piecewise constant function."""
        return self.loss(z, seed), torch.zeros_like(z)

    def smoothed(self, z: Tensor, sigma: float) -> Tensor:
        """Return E[L(z + σε)], (n,), exactly."""
        offset = z - self.reference
        inside = torch.special.ndtr((offset + HALF_WIDTH) / sigma) - torch.special.ndtr((offset - HALF_WIDTH) / sigma)
        return 1 - inside.mean(1)

    def smoothed_gradient(self, z: Tensor, sigma: float) -> Tensor:
        """Return ∇E[L(z + σε)], (n, dim), exactly."""
        offset = z - self.reference
        ahead, behind = (((offset + side) / sigma).square() / -2 for side in (HALF_WIDTH, -HALF_WIDTH))
        return (behind.exp() - ahead.exp()) / (math.sqrt(2 * math.pi) * sigma * self.dim)
