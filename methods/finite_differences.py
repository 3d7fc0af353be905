"""Finite differences: central, in every coordinate where that is affordable, in random coordinate blocks elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule

STEPS = 100  # the automatic block leaves the budget for at least this many steps


class FiniteDifferences(Descent):
    """g_i = dim/block · (L(θ + h e_i) − L(θ − h e_i)) / 2h for the i of a block, 0 elsewhere, with Adam.

    A random permutation of the coordinates is walked through block by block, so each is visited equally often. A
    block holds coordinate i with probability block/dim; the factor dim/block makes the expectation over blocks the full
    central difference, which is the derivative of L averaged over [−h, h] along that axis.

    Source: Kiefer & Wolfowitz 1952; random blocks as in randomized coordinate descent (Nesterov 2012).
    """

    look = Look("Finite differences", "#08306b", "s")
    deterministic = True
    grid = {"lr": (0.02, 0.06, 0.2), "step": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=4, numbers=1, kept=4)

    def setup(
        self, lr: Positive = 0.1, step: Positive = 1.0, block: Count | None = None, schedule: Schedule = "linear"
    ) -> None:
        """Spend 2·block evaluations per step, h = `step`; None: all coordinates where 100 such steps fit."""
        space = self.space
        wanted = max(1, space.budget // (2 * STEPS)) if block is None else block
        self.block = max(1, min(wanted, space.dim, space.max_batch // 2))
        self.step = step
        self.order = self._permutation()
        self.position = 0
        self.coordinates = self.order[: self.block].clone()  # no view: states are restored in place
        self.start_descent(lr, schedule=schedule)

    def _permutation(self) -> Tensor:
        return torch.randperm(self.space.dim, generator=self.generator, device=self.space.device)

    def ask(self) -> Tensor:
        if self.position + self.block > self.space.dim:  # too few left for a block: reshuffle
            self.order, self.position = self._permutation(), 0
        self.coordinates = self.order[self.position : self.position + self.block].clone()
        self.position += self.block
        z = self.theta.repeat(2 * self.block, 1)
        row = torch.arange(self.block, device=z.device)
        z[row, self.coordinates] += self.step
        z[row + self.block, self.coordinates] -= self.step
        return z

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        ahead, behind = evaluation.loss.view(2, self.block)
        gradient = torch.zeros_like(self.theta)
        gradient[self.coordinates] = (ahead - behind) / (2 * self.step) * (self.space.dim / self.block)
        self.descend(gradient, len(z))
