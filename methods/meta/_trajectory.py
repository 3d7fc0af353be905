"""Learners that are judged along their whole descent, and not by its end alone."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.meta._descent import MetaDescent
from methods.meta.base import Tasks, draw_members, split


class TrajectoryDescent(MetaDescent):
    """Trained on the mean loss over the last three quarters of the steps, first order.

    After the multi-step loss of Antoniou et al. 2019. With the gradients of the inner loop as constants, the outer loss
    has the derivative Σ g · ∂θ over the judged steps, where g are those gradients: nothing is differentiated twice.
    """

    first_order = True

    def outer_step(self, learned: dict[str, Tensor], tasks: Tasks, generator: torch.Generator) -> tuple[float, int]:
        members = draw_members(tasks, self.tasks_per_step, generator)
        steps = self.length(tasks)
        parts = steps + 1
        batches = split(tasks.sample(members, parts * tasks.samples, generator), parts)
        weights = learned["start"].expand(len(members), -1)
        update = self.rule(learned, steps)
        judged = range(steps // 4, parts)  # steps whose loss counts
        objective, total = 0.0, 0.0
        for step, batch in enumerate(batches):
            at = weights.detach().requires_grad_(True)
            loss = tasks.loss(at, batch)
            (gradient,) = torch.autograd.grad(loss.sum(), at)
            if step in judged:  # d loss = gradient · d weights: the loss itself need not be differentiated again
                objective = objective + (gradient * weights).sum() / (len(members) * len(judged))
                total += float(loss.detach().mean()) / len(judged)
            if step < steps:
                weights = update(weights, gradient, step)
        self.set_gradients(learned, torch.autograd.grad(objective, list(learned.values())))
        return total, len(members) * parts * tasks.samples
