"""Evolution strategy: descend the gradient of the Gaussian-smoothed loss, estimated by the score function."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule


class EvolutionStrategy(Descent):
    """∇E[L(θ + σε)] ≈ 1/(nσ) Σ ε_i (L_i − b), ε ~ N(0, I), with Adam.

    Source: Salimans et al. 2017 (antithetic pairs); the one-sided variant subtracts the mean of the other samples.
    """

    look = Look("Evolution strategy", "#00733c", "o")
    looks = {
        ("sampling", "one_sided"): Look("ES (one-sided)", "#41ab5d", "s"),
    }
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=2, numbers=4, kept=4)

    def setup(
        self,
        lr: Positive = 0.1,
        sigma: Positive = 1.0,
        batch: Count = 16,
        sampling: Literal["antithetic", "one_sided"] = "antithetic",
        schedule: Schedule = "linear",
    ) -> None:
        """Spend `batch` evaluations per step (an even number, pairs when antithetic)."""
        self.sigma = sigma
        self.sampling = sampling
        self.batch = max(2, min(batch, self.space.max_batch) // 2 * 2)
        self.noise = torch.empty(0)
        self.start_descent(lr, schedule=schedule)

    def ask(self) -> Tensor:
        if self.sampling == "antithetic":
            half = self.normal(self.batch // 2, self.space.dim)
            self.noise = torch.cat([half, -half])
        else:
            self.noise = self.normal(self.batch, self.space.dim)
        return self.theta + self.sigma * self.noise

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        loss = evaluation.loss
        if self.sampling == "one_sided":
            loss = (loss - loss.mean()) * (self.batch / (self.batch - 1))  # minus the mean of the others: unbiased
        self.descend(loss @ self.noise / (self.batch * self.sigma), len(z))
