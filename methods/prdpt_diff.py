"""PRDPT's other variant κ∂P: average the renderer's own gradient over parameters perturbed by the kernel."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from methods._annealing import annealed
from methods._look import Look
from methods._ranges import Count, Positive, Share
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule, Space


class PrdptDiff(Descent):
    """∂Q/∂θ = ∫ κ(u) ∂P(θ + u) du ≈ mean ∂P(θ + u_k), u ~ N(0, σ²I) in antithetic pairs, with Adam and an annealed σ.

    Source: Fischer & Ritschel 2023, *Plateau-Reduced Differentiable Path Tracing*, the estimator that leaves the kernel
    and differentiates the renderer. Derivative and integral may be exchanged only where P is continuous in θ: steps of
    P (silhouettes that the task's gradient does not see) are missing from the mean, however many samples it has.
    Ours: the gradients averaged are those of the loss, ∂L(θ + u), as in prdpt's objective `loss`.
    """

    look = Look("PRDPT's κ∂P", "#9c3fd0", "s")
    looks = {
        ("source", "prb_projective"): Look("PRDPT's κ∂P (projective)", "#5f2196", "D"),
    }
    kind = "oracle"
    needs = "gradient"
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=15, numbers=4, kept=4)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        return None if space.max_batch >= 2 else "an antithetic pair needs a batch of 2"

    def setup(
        self,
        lr: Positive = 0.05,
        sigma: Positive = 1.0,
        source: str = "",
        pairs: Count = 1,
        annealing: Literal["constant", "linear"] = "linear",
        sigma_end: Share = 0.1,
        schedule: Schedule = "linear",
    ) -> None:
        """Spend 2·pairs evaluations and as many of the task's gradients called `source` per step."""
        self.gradient_source = source
        self.sigma = sigma
        self.sigma_end = sigma_end if annealing == "linear" else 1.0
        self.pairs = max(1, min(pairs, self.space.max_batch // 2))
        self.start_descent(lr, schedule=schedule)

    def ask(self) -> Tensor:
        bandwidth = annealed(self.sigma, self.sigma_end, self.used, self.space.budget)
        half = bandwidth * self.normal(self.pairs, self.space.dim)
        return self.theta + torch.cat([half, -half])

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        if evaluation.gradient is None:
            raise ValueError("prdpt_diff was told losses without gradients")
        self.descend(evaluation.gradient.mean(0), len(z))
