"""Ensemble Kalman diffusion guidance: the chains themselves are the ensemble that slopes are taken from."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.posterior.base import Guide

UNROLL = 4  # steps of the probability flow from a level to an estimate of where it ends
TINY = 1e-12  # keeps the step finite where all chains agree


class Enkg(Guide):
    """yʲ ← yʲ + w/J Σ_k ⟨Aᵏ − Ā, m − Aʲ⟩ / σ² (yᵏ − ȳ), Aʲ = A at the end of chain j's probability flow.

    Source: Zheng et al. 2024 (EnKG, arXiv 2409.20175): one evaluation per chain and level and no derivative of the
    denoiser; the step w = w₀ / ‖U‖_F, U_jk the inner products over J, as in ensemble Kalman inversion (Kovachki &
    Stuart 2019). Ours: four Euler steps of the flow, even in log v, and the sampler that all guides share between
    the corrections. More evaluations are more levels.
    """

    look = Look("EnKG", "#3a5fcd", "v")

    def setup(self, scale: Positive = 0.3) -> None:
        """Take w₀."""
        self.scale = scale

    def plan(self, budget: int) -> tuple[int, int]:
        return budget, 1

    def answer(self, y: Tensor, v: float) -> tuple[Tensor, Tensor]:
        problem = self.problem
        seen = problem.observe(self.end_of_flow(y, v))
        across = (problem.measured - seen) @ (seen - seen.mean(0)).T / (len(y) * problem.noise**2)  # U (J, J)
        y = y + self.scale / (across.norm() + TINY) * across @ (y - y.mean(0))
        return y, problem.denoise(y, v)

    def end_of_flow(self, y: Tensor, v: float) -> Tensor:
        """Return where dy/dv = (y − D) / v leads to from level v (n, dim)."""
        answer = self.problem.denoise(y, v)
        for then in torch.logspace(0, -2, UNROLL + 1)[1:].tolist():
            y, now = answer + (y - answer) * 10 ** (-2 / UNROLL), v * then
            answer = self.problem.denoise(y, now)
        return answer
