"""Diffusion posterior sampling, which differentiates the measurement: here an oracle, as ours have no slope."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.posterior.base import Guide


class Dps(Guide):
    """g = ∇ log p(m | D) of a differentiable stand-in for A, whose steps are `width` wide.

    Source: Chung et al. 2023 (DPS). With A itself the gradient is zero almost everywhere and the draws are the
    prior's. Ours: the stand-in, and Bayes' weight v² times a constant scale instead of a step length over
    the norm of the residual.
    """

    look = Look("DPS, softened (oracle)", "#222222", "P", "--")
    kind = "oracle"

    def setup(self, scale: Positive = 0.3, width: Positive = 0.3) -> None:
        """Take the correction's scale and the width of the stand-in's steps."""
        self.scale, self.width = scale, width

    def plan(self, budget: int) -> tuple[int, int]:
        return budget, 1

    def answer(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        problem = self.problem
        with torch.enable_grad():
            y = y.detach().requires_grad_(True)
            answer = problem.denoise(y, v)
            fit = problem.log_likelihood(problem.soft(answer, self.width))
            (slope,) = torch.autograd.grad(fit.sum(), y)
        return y.detach(), answer.detach() + self.scale * v**2 * slope
