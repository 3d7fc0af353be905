"""No guide at all: draws from the prior, whatever was measured."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods.posterior.base import LEVELS, Guide


class Unguided(Guide):
    """The control. DPS with the exact gradient of a plateau, which is zero, does the same."""

    look = Look("No guide", "#8a8a8a", "x", ":")
    kind = "control"

    def setup(self) -> None:
        """It has no parameters."""

    def plan(self, budget: int) -> tuple[int, int]:
        return LEVELS, 0

    def answer(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        return y, self.problem.denoise(y, v)
