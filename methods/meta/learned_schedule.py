"""Learned schedule: Meta-SGD whose step sizes fall, so that descent goes on after the last trained step."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._trajectory import TrajectoryDescent
from methods.meta.base import Tasks, Update

TIME, POWER = 10.0, 0.5  # where τ and p begin
MOMENTUM = 0.5  # where β begins
EPSILON = 1e-8


class LearnedSchedule(TrajectoryDescent):
    """v ← β v + g / √⟨g²⟩, θ ← θ − exp(a) (1 + t/τ)⁻ᵖ v at step t; a, β, p are learned per weight, τ for all of them.

    g is the gradient and ⟨g²⟩ its mean square over the steps so far, per weight, as in Adam: one step size then suits
    members whose gradients differ in size. A constant step size leaves the weights jumping about the optimum, because
    the gradient of an absolute difference does not shrink there; the sum of a falling power law goes on while its jumps
    die out (Robbins & Monro 1951), and it needs no parameters for steps that training never took.

    Source: ours.
    """

    look = Look("Learned schedule (ours)", "#e31a1c", "*", emphasis=2)
    grid = {"inner_rate": (0.001, 0.003, 0.01), "outer_rate": (2e-3, 6e-3)}

    def setup(
        self,
        inner_rate: Positive = 0.003,
        inner_steps: Count | None = None,
        tasks_per_step: Count = 4,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """See `MetaDescent.describe` for the parameters; start and schedule are both learned.

        Larger first steps can be a trap: where they switch off all units of a small ReLU network in every inner loop,
        no gradient is left that could bring them back (seen with .01 on measured BRDFs, not with .003).
        """
        self.describe("both", inner_rate, inner_steps, tasks_per_step, outer_rate)

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        learned = super().begin(tasks, generator)
        start = learned["start"]
        learned["log_power"] = torch.full_like(start, math.log(POWER))
        learned["momentum_logit"] = torch.full_like(start, math.log(MOMENTUM / (1 - MOMENTUM)))
        learned["log_time"] = torch.tensor([math.log(TIME)], device=start.device)
        return learned

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        rates, power = learned["log_rates"].exp(), learned["log_power"].exp()
        momentum, time = learned["momentum_logit"].sigmoid(), learned["log_time"].exp()
        velocity = square = torch.empty(0)

        def update(weights: Tensor, gradient: Tensor, step: int) -> Tensor:
            nonlocal velocity, square
            square = gradient**2 if step == 0 else square + (gradient**2 - square) / (step + 1)
            direction = gradient / (square.sqrt() + EPSILON)
            velocity = direction if step == 0 else momentum * velocity + direction
            falling = rates * torch.exp(-power * torch.log1p(step / time))
            return weights - falling * self.direction(learned, velocity, step)

        return update

    def direction(self, learned: dict[str, Tensor], velocity: Tensor, step: int) -> Tensor:
        """Return the direction (tasks, n_weights) of a step: a subclass makes something else of v."""
        return velocity
