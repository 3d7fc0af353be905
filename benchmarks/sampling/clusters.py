"""Twelve small clusters in the plane: as far from a Gaussian as exact scores go."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.contract.law import Law
from benchmarks.sampling._mixture import Mixture

CLUSTERS = 12
RADIUS = 1.6  # of the disc that they lie in
LONG, SHORT = 0.1, 0.03  # standard deviations of a cluster along its axes
GOLDEN = math.pi * (3 - math.sqrt(5))  # the angle of a sunflower's seeds: even, and without symmetry


class Clusters(Law):
    """A mixture of elongated Gaussians of different directions and weights 1 : 2 : 3, on a sunflower's spiral."""

    source = "ours"

    def setup(self) -> None:
        """It has no parameters."""
        self.dim = 2
        index = torch.arange(CLUSTERS, dtype=self.dtype, device=self.device)
        radius, angle = RADIUS * ((index + 0.5) / CLUSTERS).sqrt(), GOLDEN * index
        means = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
        axis = torch.stack([(2 * index).cos(), (2 * index).sin()], 1)
        round_part = SHORT**2 * torch.eye(2, dtype=self.dtype, device=self.device)
        covariances = (LONG**2 - SHORT**2) * axis[:, :, None] * axis[:, None, :] + round_part
        self.mixture = Mixture(1 + index % 3, means, covariances)

    def denoise(self, y: Tensor, v: float | Tensor) -> Tensor:
        return self.mixture.denoise(y, v)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.mixture.draw(n, generator)
