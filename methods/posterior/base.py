"""The contract of a guide, and what guides by gradients share.

A sampler at level v has values y = x + v n and the denoiser's answer D = E[x | y]. Given a measurement m of x,

    E[x | y, m] = D + v² ∇_y log p(m | y),      ∇_y log p(m | y) = (∂D/∂y)ᵀ g,   g = ∂ log p(m | D) / ∂D

where p(m | y) = E[p(m | x) | y]. What x is given y is spread about D: with data of variance s² per coordinate by
r = s v / √(s² + v²). So the quantity to be differentiated is smoothed already, by the sampler itself, and r is the
bandwidth of PRDPT's kernel: no schedule is left to choose, it falls from s to v.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from methods._look import Look

LEVELS = 40  # noise levels, where evaluations do not decide their number


@dataclass(frozen=True)
class Inverse:
    """What a guide may know of the problem: the measured values, a black box that is charged, the denoiser."""

    measured: Tensor  # m (out,)
    noise: float  # σ of m
    spread: float  # s, root of the mean variance of the data's coordinates
    observe: Callable[[Tensor], Tensor]  # A: (…, dim) → (…, out), charged by the row
    denoise: Callable[[Tensor, float], Tensor]  # (n, dim) and v → E[x | y] (n, dim), differentiable
    soft: Callable[[Tensor, float], Tensor]  # a differentiable A of some width: for oracles
    normal: Callable[..., Tensor]  # shape → standard normal numbers

    def log_likelihood(self, observed: Tensor) -> Tensor:
        """Return log p(m | x) (…,) up to a constant, of A(x) (…, out)."""
        return -(observed - self.measured).square().sum(-1) / (2 * self.noise**2)


class Guide(ABC):
    """Turns values and noise level into values, perhaps moved, and the guided answer of the denoiser."""

    look: ClassVar[Look] = Look()
    kind: ClassVar[Literal["control", "oracle", "published", "ours"]] = "published"
    least: ClassVar[int] = 1  # evaluations per sample and level

    def __init__(self, **params: Any) -> None:
        self.setup(**params)

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Take the guide's parameters: the keyword arguments and their defaults."""

    @classmethod
    def told(cls, **params: Any) -> Look:
        """Return how it is drawn with these parameters of its `setup`."""
        return cls.look

    def plan(self, budget: int) -> tuple[int, int]:
        """Return noise levels and evaluations per sample at each of them, for so many evaluations per sample."""
        each = max(self.least, budget // LEVELS)
        return budget // each, each

    def begin(self, problem: Inverse, each: int) -> None:
        """Start a run, with so many evaluations per sample and level."""
        self.problem, self.each = problem, each

    @abstractmethod
    def answer(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        """Return values (n, dim) and the guided answer (n, dim) at values (n, dim) of noise level v."""


class Smoothed(Guide):
    """A guide by a gradient g of the smoothed log-likelihood, from antithetic pairs around the denoiser's answer."""

    kind = "ours"
    least = 2
    scale: float  # of the correction; 1 is what Bayes' rule says

    def answer(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        radius = bandwidth(self.problem.spread, v)
        with torch.enable_grad():
            y = y.detach().requires_grad_(True)
            answer = self.problem.denoise(y, v)
            (slope,) = torch.autograd.grad(answer, y, self.slope(answer.detach(), radius))
        return y.detach(), answer.detach() + self.scale * v**2 * slope

    @abstractmethod
    def slope(self, answer: Tensor, radius: float) -> Tensor:
        """Return g (n, dim) at the denoiser's answer (n, dim), for a kernel of this radius."""

    def around(self, answer: Tensor, radius: float) -> tuple[Tensor, Tensor]:
        """Return offsets τ (k, n, dim) in antithetic pairs, and A(D + r τ) (k, n, out)."""
        half = self.problem.normal(self.each // 2, *answer.shape)
        offsets = torch.cat([half, -half])
        return offsets, self.problem.observe(answer + radius * offsets)


def bandwidth(spread: float, v: float) -> float:
    """Return r = s v / √(s² + v²), the spread of x given y."""
    return spread * v / math.hypot(spread, v)
