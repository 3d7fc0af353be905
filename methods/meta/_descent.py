"""Gradient descent with a learned start and learned step sizes: what MAML, FOMAML and Reptile share."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from methods.meta.base import Batch, Learner, Tasks, Update, draw_members, split

Learn = Literal["both", "init", "rates"]
STILL = -80.0  # logarithm of a step size that moves nothing


class MetaDescent(Learner):
    """θ ← θ − exp(a) ∘ ∂L/∂θ from a learned start; a, one per weight, is learned too (Meta-SGD, Li et al. 2017)."""

    first_order: bool = False
    grid = {"inner_rate": (0.1, 1.0, 10.0), "outer_rate": (2e-3, 6e-3)}

    def describe(
        self, learn: Learn, inner_rate: float, inner_steps: int | None, tasks_per_step: int, outer_rate: float
    ) -> None:
        """Learn the start (`init`), the step sizes (`rates`) or both; what is not learned stays where it begins.

        Args:
            learn: with `init` every weight keeps the step size `inner_rate`; with `rates` the start is one random draw.
            inner_rate: step size at the beginning.
            inner_steps: length of the inner loop in training; by default as many steps as the tasks grant.
            tasks_per_step: members per outer step.
            outer_rate: of the outer Adam, at the beginning.
        """
        self.learn = learn
        self.inner_rate = inner_rate
        self.inner_steps = inner_steps
        self.tasks_per_step = tasks_per_step
        self.outer_rate = outer_rate

    def length(self, tasks: Tasks) -> int:
        """Return the length of the inner loop in training."""
        return self.inner_steps or tasks.steps

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        start = tasks.initial(1, generator)[0]
        return {"start": start, "log_rates": torch.full_like(start, math.log(self.inner_rate))}

    def start(self, learned: dict[str, Tensor], tasks: Tasks, count: int, generator: torch.Generator) -> Tensor:
        return learned["start"].expand(count, -1).clone()

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        rates = learned["log_rates"].exp()
        return lambda weights, gradient, step: weights - rates * gradient

    def unroll(self, learned: dict[str, Tensor], tasks: Tasks, batches: list[Batch]) -> tuple[Tensor, list[Tensor]]:
        """Descend along the batches; return the last weights and the losses (tasks,) before each step.

        With `first_order` the gradients are constants: no derivative goes through them.
        """
        count = len(next(iter(batches[0].values())))
        weights = learned["start"].expand(count, -1)
        update = self.rule(learned, len(batches))
        losses = []
        for step, batch in enumerate(batches):
            at = weights.detach().requires_grad_(True) if self.first_order else weights
            losses.append(tasks.loss(at, batch))
            (gradient,) = torch.autograd.grad(losses[-1].sum(), at, create_graph=not self.first_order)
            weights = update(weights, gradient, step)
        return weights, losses

    def outer_step(self, learned: dict[str, Tensor], tasks: Tasks, generator: torch.Generator) -> tuple[float, int]:
        members = draw_members(tasks, self.tasks_per_step, generator)
        parts = self.length(tasks) + 1
        *inner, outer = split(tasks.sample(members, parts * tasks.samples, generator), parts)
        weights, _ = self.unroll(learned, tasks, inner)
        loss = tasks.loss(weights, outer).mean()
        self.set_gradients(learned, torch.autograd.grad(loss, list(learned.values())))
        return float(loss.detach()), len(members) * parts * tasks.samples

    def set_gradients(self, learned: dict[str, Tensor], gradients: tuple[Tensor, ...]) -> None:
        """Hand gradients, in the order of what is learned, to the outer optimizer; none to what is not learned."""
        frozen = {"both": (), "init": ("log_rates",), "rates": ("start",)}[self.learn]
        for (name, value), gradient in zip(learned.items(), gradients, strict=True):
            value.grad = torch.zeros_like(value) if name in frozen else gradient
