"""The (1+1) evolutionary algorithm: keep the better of a parent and a child with few of its discrete values changed."""

from __future__ import annotations

import torch

from methods._flips import Flips
from methods._look import Look
from methods._ranges import Positive


class OnePlusOneEa(Flips):
    """Every discrete value changes with probability rate/m (m of them), at least one does; equal losses are accepted.

    Source: Mühlenbein 1992; Droste, Jansen & Wegener 2002: O(m log m) evaluations on separable functions of bits.
    """

    look = Look("(1+1)-EA", "#a8a29e", "_")
    grid = {"rate": (0.5, 1.0, 2.0, 4.0)}

    def setup(self, rate: Positive = 1.0) -> None:
        """Change `rate` values on average."""
        self.start_flips()
        self.rate = rate

    def change(self, levels: list[int]) -> list[int]:
        chances = torch.rand(len(levels), generator=self.generator, device=self.z.device)
        changed = (chances < self.rate / len(levels)).nonzero()[:, 0].tolist()
        for at in changed or [int(chances.argmin())]:
            levels[at] = self.other(at, levels[at])
        return levels
