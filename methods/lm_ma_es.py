"""LM-MA-ES: covariance adaptation whose memory is a handful of directions, at any dimension, on the device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Positive, Ranked
from methods._work import Work
from methods.base import Evaluation, Method, Space


class LmMaEs(Method):
    """The square root of the covariance is a product of m = 4 + ⌊3 ln dim⌋ rank-one updates: O(m · dim).

    Source: Loshchilov, Glasmachers & Beyer 2019 (Large scale black-box optimization by limited-memory matrix
    adaptation), algorithm 1 with its default rates; ours, since pycma has no limited-memory variant. The incumbent is
    the mean.
    """

    look = Look("LM-MA-ES", "#9ccb86", "p")
    kind = "distribution"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
    per_coordinate = Work(launches=10, numbers=25, kept=30)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        need = 2 * (params.get("population") or usual_population(space.dim))
        return None if space.dim > need else f"its rates are for more than {need} dimensions; cma_es is for these"

    def setup(self, sigma: Positive = 1.0, population: Ranked | None = None) -> None:
        """Start with standard deviation `sigma`; `population` λ None is 4 + ⌊3 ln dim⌋."""
        dim, start = self.space.dim, self.space.start
        self.population = min(population or usual_population(dim), self.space.max_batch)
        parents = self.population // 2
        rank = torch.arange(1, parents + 1, device=start.device, dtype=start.dtype)
        weights = math.log(parents + 0.5) - rank.log()
        self.weights = weights / weights.sum()
        self.mass = float(1 / self.weights.square().sum())  # μ_w
        self.mean, self.sigma, self.steps = start.clone(), sigma, 0
        self.path = torch.zeros_like(start)
        self.memory = torch.zeros(usual_population(dim), dim, device=start.device, dtype=start.dtype)
        self.noise = torch.empty(0)

    def ask(self) -> Tensor:
        self.noise = self.normal(self.population, self.space.dim)
        return self.mean + self.sigma * self._transform(self.noise)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        dim = self.space.dim
        best = evaluation.loss.argsort(stable=True)[: len(self.weights)]
        self.mean += self.weights @ (z[best] - self.mean)  # σ Σ w_i d_i
        step = self.weights @ self.noise[best]
        rate = 2 * self.population / dim  # c_σ
        self.path = (1 - rate) * self.path + math.sqrt(self.mass * rate * (2 - rate)) * step
        for index in range(len(self.memory)):
            fade = self.population / (4**index * dim)  # c_c,i
            self.memory[index].mul_(1 - fade).add_(step, alpha=math.sqrt(self.mass * fade * (2 - fade)))
        self.sigma *= math.exp(rate / 2 * (float(self.path.square().mean()) - 1))
        self.steps += 1

    def incumbent(self) -> Tensor:
        return self.mean.clone()

    def _transform(self, noise: Tensor) -> Tensor:
        """Apply the square root of the covariance to (n, dim)."""
        directions = noise
        for index, memory in enumerate(self.memory[: self.steps]):
            rate = 1 / (1.5**index * self.space.dim)  # c_d,i
            directions = (1 - rate) * directions + rate * (directions @ memory)[:, None] * memory
        return directions


def usual_population(dim: int) -> int:
    """Return 4 + ⌊3 ln dim⌋."""
    return 4 + math.floor(3 * math.log(dim))
