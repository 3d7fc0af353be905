"""Rosenbrock's curved valley: there is a gradient, and it is slow."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.contract.problem import Problem

STEP = 0.33  # z = 1.0 in the function's own units, the paper's σ
START = (-1.2, 1.0)  # the classic starting point, repeated for further dimensions


class Rosenbrock(Problem):
    """L = mean over i of 100 (x_{i+1} − x_i²)² + (1 − x_i)², x = 0.33 z."""

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads): 2-D Rosenbrock, σ .33. Ours: σ as the unit of z, not inputs over 4, "
        "the classic start (−1.2, 1) of Rosenbrock (1960) with a jitter of .1, and beyond two dimensions the mean over "
        "pairs"
    )
    gradient = "exact"

    def setup(self, dim: Annotated[int, Ge(2), Le(2147483647)] = 2) -> None:
        """Use `dim` ≥ 2 coordinates."""
        self.dim = dim
        self.reference = torch.full((dim,), 1 / STEP, device=self.device)

    def start(self, seed: int) -> Tensor:
        classic = torch.tensor(START).repeat((self.dim + 1) // 2)[: self.dim]
        return (classic + 0.1 * torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))) / STEP

    def loss(self, z: Tensor, seed: int) -> Tensor:
        x, y = STEP * z[:, :-1], STEP * z[:, 1:]
        return (100 * (y - x * x).square() + (1 - x).square()).mean(1)

    def smoothed(self, z: Tensor, sigma: float) -> Tensor:
        """Return E[L(z + σε)], (n,), exactly: the moments of a Gaussian up to the fourth, s = 0.33 σ.

        E(y − x²)² = (y − x²)² + s² + 4x²s² − 2(y − x²)s² + 3s⁴ and E(1 − x)² = (1 − x)² + s².
        """
        x, y, variance = STEP * z[:, :-1], STEP * z[:, 1:], (STEP * sigma) ** 2
        valley = y - x * x
        spread = variance * (1 + 4 * x * x - 2 * valley) + 3 * variance**2
        return (100 * (valley.square() + spread) + (1 - x).square() + variance).mean(1)
