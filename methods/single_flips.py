"""Single flips: change one discrete value after the other, and keep what helps."""

from __future__ import annotations

from typing import Literal

import torch

from methods._flips import Flips
from methods._look import Look
from methods.base import Stopped


class SingleFlips(Flips):
    """Passes over all discrete values; each is tried at every other level, once per pass.

    Coordinate descent in the space of levels. Where values do not interact one pass finds the optimum. It ends after a
    pass that changed nothing: a local optimum of single flips.
    """

    look = Look("Single flips", "#57534e", "|")

    grid = {"order": ("drawn", "given")}

    def setup(self, order: Literal["drawn", "given"] = "drawn") -> None:
        """Come to the values in an order drawn for each pass, or in that of their coordinates."""
        self.start_flips()
        self.drawn = order == "drawn"
        self.places: list[int] = []  # values that this pass has yet to come to, each once per other level
        self.lowest = float("inf")  # loss when the pass began
        self.first = list(self.levels)  # levels then

    def change(self, levels: list[int]) -> list[int]:
        if not self.places:
            if not self.loss < self.lowest:
                raise Stopped("no single flip lowers the loss")
            self.lowest = self.loss
            order = list(reversed(range(len(levels))))
            if self.drawn:
                order = torch.randperm(len(levels), generator=self.generator, device=self.z.device).tolist()
            self.places = [at for at in order for _ in range(self.space.discrete[at].levels - 1)]
            self.first = list(levels)
        at = self.places.pop()
        # The levels of a value are tried in a circle that begins after the one it had when the pass began.
        again = self.places.count(at)
        count = self.space.discrete[at].levels
        levels[at] = (self.first[at] + count - 1 - again) % count
        return levels
