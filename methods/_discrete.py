"""Values that are not continuous, behind continuous coordinates: how a task decodes z, for methods that use it.

Every method sees the same continuous z; the task decodes it. A value is one of these:

* continuous: one coordinate, nothing to be said of it here.
* rounded: `levels` ordered values on one coordinate; z is rounded to the nearest of `low + i · step`.
* a switch: rounded, with two values.
* chosen: `levels` values without an order, one score each on as many coordinates; the highest score wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Discrete:
    """One value that a task decodes to one of `levels`; its coordinates begin at `first`."""

    first: int
    levels: int
    chosen: bool = False
    low: float = 0.0  # rounded: z of the first value
    step: float = 1.0  # rounded: from one value to the next, in natural steps

    @property
    def coordinates(self) -> slice:
        """Return where it lies in z."""
        return slice(self.first, self.first + (self.levels if self.chosen else 1))

    def index(self, z: Tensor) -> Tensor:
        """Return which values z (n, dim) stands for, (n,); of equal scores the first, halves are rounded up."""
        part = z[:, self.coordinates]
        if self.chosen:
            best = part == part.amax(1, keepdim=True)
            return best.to(torch.uint8).argmax(1)  # of equal ones the first, on every device
        return ((part[:, 0] - self.low) / self.step + 0.5).floor().clamp(0, self.levels - 1).long()

    def code(self, index: int) -> list[float]:
        """Return the coordinates of a value: its z, or a score of one for it and zeros for the others."""
        if self.chosen:
            return [float(index == other) for other in range(self.levels)]
        return [self.low + index * self.step]


def continuous(dim: int, discrete: tuple[Discrete, ...]) -> list[int]:
    """Return the coordinates that no discrete value lies on."""
    taken = {at for value in discrete for at in range(dim)[value.coordinates]}
    return [at for at in range(dim) if at not in taken]
