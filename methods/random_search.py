"""Random search: the negative control that every other method has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Evaluation, Method


class RandomSearch(Method):
    """Independent samples: uniform in the box where there is one, Gaussian around the start elsewhere.

    Source: Rastrigin (1963), in its memoryless form. The incumbent is the best sample.
    """

    look = Look("Random search", "#8a8a8a", "x", emphasis=1)
    kind = "control"
    grid = {"sigma": (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)}
    per_coordinate = Work(launches=1, numbers=4, kept=1)

    def setup(self, sigma: Positive = 1.0, batch: Count = 16) -> None:
        """Sample with standard deviation `sigma` where the space has no box."""
        self.sigma = sigma
        self.batch = min(batch, self.space.max_batch)
        self.best = self.space.start.clone()
        self.best_loss = float("inf")

    def ask(self) -> Tensor:
        space = self.space
        if space.lower is None or space.upper is None:
            return space.start + self.sigma * self.normal(self.batch, space.dim)
        uniform = torch.rand(self.batch, space.dim, generator=self.generator, device=space.device)
        return space.lower + (space.upper - space.lower) * uniform.to(space.start.dtype)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        index = int(evaluation.loss.argmin())
        if float(evaluation.loss[index]) < self.best_loss:
            self.best_loss = float(evaluation.loss[index])
            self.best = z[index].clone()

    def incumbent(self) -> Tensor:
        return self.best.clone()
