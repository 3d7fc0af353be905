"""ANIL: an inner loop that changes the last layer alone."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._descent import STILL, MetaDescent
from methods.meta.base import Tasks


class Anil(MetaDescent):
    """FOMAML + Meta-SGD where adaptation moves the `head` alone, or, as BOIL, the `body`; the start is learned whole.

    Source: Raghu et al. 2020 (ANIL: what the inner loop changes of the body is little); Oh et al. 2021 (BOIL: the
    opposite, keep the last layer). Ours: first order, and learned step sizes for the weights that move.
    """

    look = Look("ANIL: last layer only", "#7b3294", "X")
    first_order = True
    looks = {("moves", "body"): Look("BOIL: all but the last layer", "#c2a5cf", "H")}

    def setup(
        self,
        moves: Literal["head", "body"] = "head",
        inner_rate: Positive = 0.1,
        inner_steps: Count | None = None,
        tasks_per_step: Count = 4,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """See `MetaDescent.describe`; `moves`: what adaptation changes, the last layer or all the others."""
        self.describe("both", inner_rate, inner_steps, tasks_per_step, outer_rate)
        self.moves = moves

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        learned = super().begin(tasks, generator)
        if tasks.head is None:
            raise ValueError("anil: this model has no last layer; take a model with layers, or maml")
        learned["log_rates"][~tasks.head if self.moves == "head" else tasks.head] = STILL
        return learned
