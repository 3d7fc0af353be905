"""Learned optimizer: a small network, one for all weights, reads each weight's gradients and says how it moves."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods.meta._trajectory import TrajectoryDescent
from methods.meta.base import Tasks, Update

DECAYS = (0.5, 0.9, 0.99)  # of the running means of the gradient
SQUARE = 0.99  # of the running mean of its square
TIMES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # in steps, of the features that tell how late it is
FEATURES = 1 + len(DECAYS) + 2 + len(TIMES)
HIDDEN = 16  # units of both hidden layers
EPSILON = 1e-8
TEMPER = 0.3  # of the network's outputs: how fast both can leave zero


class LearnedOptimizer(TrajectoryDescent):
    """θ ← θ − α exp(.3 m) (v + .3 d), where d and m are what a network says of each weight, and v is its momentum.

    The network has two hidden layers and sees, per weight: the gradient and three running means of it, all over the
    root of the running mean of its square; that root against the mean root of the model; the weight itself; and how
    late it is, tanh(t / τ). All weights of all tasks are rows of one matrix product. The last layer begins at zero, so
    that learning begins with normalised momentum of step size α. The start is learned as well.

    Source: Metz et al. 2022 (a network per weight, features of several running means, a direction and the logarithm of
    a size); Andrychowicz et al. 2016 for the idea. Ours: fewer features, momentum to begin with, a learned start, first
    order.
    """

    look = Look("Learned optimizer", "#1f9e89", "p")
    grid = {"inner_rate": (0.001, 0.003, 0.01), "outer_rate": (2e-3, 6e-3)}

    def setup(
        self,
        inner_rate: Positive = 0.003,
        inner_steps: Count | None = None,
        tasks_per_step: Count = 4,
        outer_rate: Positive = 5e-3,
    ) -> None:
        """See `MetaDescent.describe`; `inner_rate` is where α begins, which is learned."""
        self.describe("both", inner_rate, inner_steps, tasks_per_step, outer_rate)

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        start = tasks.initial(1, generator)[0]
        learned = {"start": start, "log_rate": torch.full((1,), math.log(self.inner_rate), device=start.device)}
        sizes = (FEATURES, HIDDEN, HIDDEN, 2)
        for layer, (fan_in, out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            spread = math.sqrt(2 / fan_in) if layer < 2 else 0.0
            drawn = spread * torch.randn(fan_in, out, generator=generator)
            learned[f"matrix_{layer}"] = drawn.to(start.device)
            learned[f"bias_{layer}"] = torch.zeros(out, device=start.device)
        return learned

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        means = [torch.empty(0)] * len(DECAYS)
        square = torch.empty(0)

        def update(weights: Tensor, gradient: Tensor, step: int) -> Tensor:
            nonlocal square
            square = gradient**2 if step == 0 else torch.lerp(gradient**2, square, SQUARE)
            for i, decay in enumerate(DECAYS):
                means[i] = (1 - decay) * gradient if step == 0 else torch.lerp(gradient, means[i], decay)
            root = (square / (1 - SQUARE ** (step + 1) if step else 1)).sqrt() + EPSILON
            normal = [mean / (1 - decay ** (step + 1)) / root for mean, decay in zip(means, DECAYS, strict=True)]
            late = [torch.full_like(weights, math.tanh(step / time)) for time in TIMES]
            typical = root.mean(1, keepdim=True)
            features = torch.stack([gradient / root, *normal, (root / typical).log(), weights, *late], -1)
            hidden = torch.addmm(learned["bias_0"], features.flatten(0, 1), learned["matrix_0"]).relu()
            hidden = torch.addmm(learned["bias_1"], hidden, learned["matrix_1"]).relu()
            said = TEMPER * torch.addmm(learned["bias_2"], hidden, learned["matrix_2"]).view(*weights.shape, 2)
            direction, size = said.unbind(-1)
            return weights - (learned["log_rate"] + size).exp() * (normal[1] + direction)

        return update
