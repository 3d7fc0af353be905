"""General: one network fitted to all training members at once, used as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta.base import Learner, Tasks, Update, draw_members


class General(Learner):
    """Adam on the mean loss over training members; adaptation changes nothing.

    The model has no input that tells members apart, so this is the best compromise between them.

    Source: Fischer & Ritschel 2022, the paradigm "general".
    """

    look = Look("General", "#6b6b6b", "s", emphasis=1)
    role = "rival"
    grid = {"outer_rate": (5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2)}

    def setup(
        self, tasks_per_step: Count = 4, steps_per_task: Count | None = None, outer_rate: Positive = 5e-3
    ) -> None:
        """Each outer step sees `tasks_per_step` members with `steps_per_task` batches each: by default MAML's."""
        self.tasks_per_step = tasks_per_step
        self.steps_per_task = steps_per_task
        self.outer_rate = outer_rate

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        return {"start": tasks.initial(1, generator)[0]}

    def outer_step(self, learned: dict[str, Tensor], tasks: Tasks, generator: torch.Generator) -> tuple[float, int]:
        members = draw_members(tasks, self.tasks_per_step, generator)
        samples = (self.steps_per_task or tasks.steps + 1) * tasks.samples
        loss = tasks.loss(learned["start"].expand(len(members), -1), tasks.sample(members, samples, generator)).mean()
        (learned["start"].grad,) = torch.autograd.grad(loss, learned["start"])
        return float(loss.detach()), len(members) * samples

    def start(self, learned: dict[str, Tensor], tasks: Tasks, count: int, generator: torch.Generator) -> Tensor:
        return learned["start"].expand(count, -1).clone()

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        return lambda weights, gradient, step: weights
