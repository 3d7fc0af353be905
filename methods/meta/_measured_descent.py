"""Learn where to look: adaptation from few measurements, whose directions are learned with the start and the rates."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from methods._ranges import Count, Positive
from methods.meta._descent import MetaDescent
from methods.meta.base import Batch, Tasks, Update, draw_members


class Measurable(Tasks, Protocol):
    """Tasks whose samples may be taken where one likes: at directions with coordinates (n, 3), free of bounds."""

    def pattern(self, n: int, kind: str, generator: torch.Generator) -> Tensor: ...
    def measure(self, members: Tensor, directions: Tensor) -> Batch: ...


class MeasuredDescent(MetaDescent):
    """Meta-SGD on n measurements per member, the same ones in every step; their directions may be learned too.

    In training the descent sees n measurements, the outer loss fresh random samples; second order, so that the outer
    loss has a derivative with respect to the directions as well. Without `directions` they are random, others for every
    member: plain meta-learning.

    Source: Liu et al. 2023 (learning to learn and sample BRDFs; k = 20). Ours: step sizes that fall linearly to zero
    over the inner loop, as Adam's do that it is compared with (the gradient of an absolute difference does not shrink
    near its optimum); directions move at a rate of their own (their coordinates are of size 1, a network's weights are
    smaller); they begin stratified.
    """

    def setup(
        self,
        n: Count = 8,
        directions: bool = True,
        inner_rate: Positive = 0.1,
        inner_steps: Count = 20,
        tasks_per_step: Count = 8,
        outer_rate: Positive = 5e-3,
        direction_rate: Positive = 0.08,
    ) -> None:
        """See `MetaDescent.describe` for the others.

        Args:
            n: measurements per member.
            directions: whether to learn them.
            direction_rate: of the outer Adam for the coordinates of directions.
        """
        self.describe("both", inner_rate, inner_steps, tasks_per_step, outer_rate)
        self.n, self.directions, self.scale = n, directions, direction_rate / outer_rate
        self.given: dict[str, Tensor] = {}

    def begin_at(self, learned: dict[str, Tensor]) -> None:
        """Let training begin with what is given of `start`, `log_rates` and `directions` (coordinates (n, 3))."""
        self.given = learned

    def begin(self, tasks: Measurable, generator: torch.Generator) -> dict[str, Tensor]:
        learned = super().begin(tasks, generator)
        if self.directions:
            learned["directions"] = tasks.pattern(self.n, "stratified", generator)
        learned |= {name: self.given[name].clone().to(tasks.device) for name in learned.keys() & self.given.keys()}
        if self.directions:  # kept in units in which one outer rate suits all that is learned
            learned["directions"] /= self.scale
        return learned

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        rates = learned["log_rates"].exp()
        return lambda weights, gradient, step: weights - (1 - step / steps) * rates * gradient

    def measurements(
        self, learned: dict[str, Tensor], tasks: Measurable, members: Tensor, generator: torch.Generator
    ) -> Batch:
        """Return the measurements (tasks, n, …) of each member that it adapts from."""
        if self.directions:
            return tasks.measure(members, learned["directions"] * self.scale)
        drawn = tasks.pattern(len(members) * self.n, "random", generator)
        return tasks.measure(members, drawn.view(len(members), self.n, 3))

    def outer_step(
        self, learned: dict[str, Tensor], tasks: Measurable, generator: torch.Generator
    ) -> tuple[float, int]:
        members = draw_members(tasks, self.tasks_per_step, generator)
        batch = self.measurements(learned, tasks, members, generator)
        weights, _ = self.unroll(learned, tasks, [batch] * self.inner_steps)
        loss = tasks.loss(weights, tasks.sample(members, tasks.samples, generator)).mean()
        self.set_gradients(learned, torch.autograd.grad(loss, list(learned.values())))
        return float(loss.detach()), len(members) * (self.n + tasks.samples)
