"""Reptile: pull the start towards where the inner loop ends."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._descent import Learn, MetaDescent
from methods.meta.base import Tasks, draw_members, split


class Reptile(MetaDescent):
    """The outer gradient of the start is start − adapted, handed to Adam.

    Source: Nichol et al. 2018 (alg. 1; Adam as in their sec. 4). The published method learns the start alone; ours
    learns the step sizes too, by the first-order rule of FOMAML on the next batch after the inner loop.
    """

    look = Look("Reptile + Meta-SGD", "#cf9a00", "P")
    first_order = True

    def setup(
        self,
        learn: Learn = "both",
        inner_rate: Positive = 0.1,
        inner_steps: Count | None = None,
        tasks_per_step: Count = 4,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """See `MetaDescent.describe` for the parameters."""
        self.describe(learn, inner_rate, inner_steps, tasks_per_step, outer_rate)

    def outer_step(self, learned: dict[str, Tensor], tasks: Tasks, generator: torch.Generator) -> tuple[float, int]:
        members = draw_members(tasks, self.tasks_per_step, generator)
        parts = self.length(tasks) + 1
        *inner, outer = split(tasks.sample(members, parts * tasks.samples, generator), parts)
        weights, _ = self.unroll(learned, tasks, inner)
        loss = tasks.loss(weights, outer).mean()
        (rates,) = torch.autograd.grad(loss, learned["log_rates"])
        self.set_gradients(learned, (learned["start"].detach() - weights.detach().mean(0), rates))
        return float(loss.detach()), len(members) * parts * tasks.samples
