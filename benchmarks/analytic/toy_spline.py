"""A curve with plateaus and local minima in one dimension: small enough to watch how a method sees its loss."""

from __future__ import annotations

import torch
from scipy.interpolate import Akima1DInterpolator
from torch import Tensor

from benchmarks.contract.problem import Problem

STEP = 0.33  # z = 1.0 in the curve's own units, the paper's σ
START = 1.1
KNOTS = (0.0, 0.4, 0.8, 1.0, 1.3, 1.6, 1.9, 2.2, 2.5, 2.8, 3.1, 3.4, 3.7, 4.0, 4.4, 4.7, 5.0)
HEIGHTS = (1.0, 0.9, 0.8, 0.8, 0.8, 0.8, 0.62, 0.74, 0.55, 0.55, 0.3, 0.05, 0.3, 0.6, 0.6, 0.9, 1.0)


class ToySpline(Problem):
    """An Akima curve through fixed knots on [0, 5]: flat at the start, with a local minimum before the global one."""

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), toy spline: Akima curve, start 1.1, optimum between 3 and 4, σ .33. "
        "Ours: the knots, a jitter of .05 at the start, and constant continuation beyond the ends"
    )
    gradient = "exact"

    def setup(self) -> None:
        """Fit the curve."""
        self.dim = 1
        curve = Akima1DInterpolator(KNOTS, HEIGHTS)
        self.knots = torch.tensor(KNOTS, device=self.device)
        # (4, pieces), cubic first
        self.coefficients = torch.as_tensor(curve.c, dtype=torch.float32, device=self.device)
        grid = torch.linspace(3, 4, 100_001, device=self.device)
        self.reference = grid[self.curve(grid).argmin()][None] / STEP

    def start(self, seed: int) -> Tensor:
        return (START + 0.05 * torch.randn(1, generator=torch.Generator().manual_seed(seed))) / STEP

    def curve(self, x: Tensor) -> Tensor:
        """Return the curve's height at x (n,), in its own units."""
        x = x.clamp(self.knots[0], self.knots[-1])
        piece = torch.searchsorted(self.knots, x.detach(), right=True).clamp(1, len(self.knots) - 1) - 1
        offset = x - self.knots[piece]
        cubic, square, slope, height = self.coefficients[:, piece]
        return ((cubic * offset + square) * offset + slope) * offset + height

    def loss(self, z: Tensor, seed: int) -> Tensor:
        return self.curve(STEP * z[:, 0])

    def smoothed(self, z: Tensor, sigma: float) -> Tensor:
        """Return E[L(z + σε)], (n,), by the trapezoidal rule over ±6σ."""
        offsets = torch.linspace(-6, 6, 4001, device=z.device)
        weights = (-offsets.square() / 2).exp()
        values = self.curve(STEP * (z + sigma * offsets).flatten()).view(len(z), -1)
        return values @ weights / weights.sum()
