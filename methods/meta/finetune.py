"""Finetune: the general network, then Adam on the new member."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._adam import adam
from methods.meta.base import Update
from methods.meta.general import General


class Finetune(General):
    """General + k Adam steps. Source: Fischer & Ritschel 2022, the paradigm "finetune"."""

    look = Look("Finetune", "#1b9e4b", "d", emphasis=1)
    grid = {"lr": (1e-3, 3e-3, 1e-2), "outer_rate": (2e-3, 6e-3)}

    def setup(
        self,
        lr: Positive = 0.01,
        decay: bool = False,
        tasks_per_step: Count = 4,
        steps_per_task: Count | None = None,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """Adapt with step size `lr`, with `decay` falling linearly to zero over the steps; train as `General` does."""
        super().setup(tasks_per_step, steps_per_task, outer_rate)
        self.lr = lr
        self.decay = decay

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        return adam(self.lr, steps if self.decay else 0)
