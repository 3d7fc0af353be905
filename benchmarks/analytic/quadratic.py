"""An ill-conditioned quadratic: where plain gradient descent is slow, at any dimension."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.contract.problem import Problem
from methods._ranges import Count


class Quadratic(Problem):
    """L(z) = 1/dim Σ λ_i (z_i − z*_i)², λ log-spaced from 1 down to 1/condition.

    Smoothed with N(0, σ²I) it gains σ² mean(λ) and keeps its gradient: the estimators' easiest check.
    """

    source = (
        "ours: the standard ill-conditioned bowl (e.g. BBOB f2) with a mean instead of a sum, so that sizes compare"
    )
    gradient = "exact"

    def setup(self, dim: Count = 10, condition: Annotated[float, Ge(1), Le(1e12)] = 1000.0) -> None:
        """Use `condition` as ratio of the largest to the smallest curvature."""
        self.dim = dim
        self.curvature = torch.logspace(0, -torch.log10(torch.tensor(condition)).item(), dim, device=self.device)
        self.reference = torch.zeros(dim, device=self.device)

    def start(self, seed: int) -> Tensor:
        return 5.0 * torch.randn(self.dim, generator=torch.Generator().manual_seed(seed)).sign()

    def loss(self, z: Tensor, seed: int) -> Tensor:
        return (z - self.reference).square() @ self.curvature / self.dim

    def smoothed(self, z: Tensor, sigma: float) -> Tensor:
        """Return E[L(z + σε)], (n,), exactly."""
        return self.loss(z, 0) + sigma**2 * self.curvature.mean()
