"""Overfit: one network per member, from scratch, with many Adam steps."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.meta._adam import adam
from methods.meta.base import Learner, Tasks, Update


class Overfit(Learner):
    """Adam from the model's usual random initialisation, until it converges.

    Source: Fischer & Ritschel 2022, the paradigm "overfit". Ours: the step size is tuned on validation members.
    """

    look = Look("Overfit", "#2166ac", ">", emphasis=1)
    looks = {
        ("decay", True): Look("Overfit (decaying rate)", "#74add1", "8"),
    }
    role = "rival"
    grid = {"lr": (1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)}
    trains = False

    def setup(self, lr: Positive = 0.01, decay: bool = False) -> None:
        """Adapt with step size `lr`, with `decay` falling linearly to zero over the steps."""
        self.lr = lr
        self.decay = decay

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        return {}

    def start(self, learned: dict[str, Tensor], tasks: Tasks, count: int, generator: torch.Generator) -> Tensor:
        return tasks.initial(count, generator)

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        return adam(self.lr, steps if self.decay else 0)
