"""A point in the plane of which a coarse instrument tells ring and sector."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.contract.measurement import Measurement
from benchmarks.sampling.clusters import Clusters
from methods._ranges import Positive

RING, SECTOR = 0.5, math.pi / 3  # width of a ring; angle of a sector
REACH = 0.8  # length of the pointer that shows the sector


class Polar(Measurement):
    """The middle of the point's ring (1) and a pointer at the middle of its sector (2), on the law `clusters`."""

    source = "ours"

    def setup(self, noise: Positive = 0.3) -> None:
        """Take σ."""
        self.law, self.noise = Clusters(device=str(self.device)), noise

    def observe(self, x: Tensor) -> Tensor:
        return self._shown(x, torch.floor)

    def soft(self, x: Tensor, width: float) -> Tensor:
        """Return the like with stairs whose steps are logistic, `width` stairs wide."""
        return self._shown(x, lambda value: stairs(value, width))

    def _shown(self, x: Tensor, floor: Callable[[Tensor], Tensor]) -> Tensor:
        ring = (floor(x.norm(dim=-1) / RING) + 0.5) * RING
        sector = (floor(torch.atan2(x[..., 1], x[..., 0]) / SECTOR) + 0.5) * SECTOR
        return torch.stack([ring, REACH * sector.cos(), REACH * sector.sin()], -1)


def stairs(value: Tensor, width: float) -> Tensor:
    """Return ⌊value⌋ with every step a logistic function of this width; differentiable."""
    nearest = value.detach().round()
    return nearest - 1 + torch.sigmoid((value - nearest) / width)
