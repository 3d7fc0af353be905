"""SPSA: all coordinates perturbed at once by random signs, two evaluations per gradient whatever the dimension."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule

ALPHA, GAMMA = 0.602, 0.101  # the practically effective exponents, Spall 1998, eq. for a_k and c_k
CALIBRATION = 8  # pairs of the first step of the plain method, whose mean magnitude sets its gain


class Spsa(Descent):
    """ĝ = mean over pairs of (L(θ + c_k Δ) − L(θ − c_k Δ)) / 2c_k · Δ, Δ_i = ±1 with equal probability.

    Plain: θ ← θ − a_k ĝ with a_k = a / (A + k)^0.602 and c_k = c / k^0.101, k = 1, 2, …; A is a tenth of the steps
    granted and a is such that the first step moves each coordinate by `lr` (both Spall's 1998 guidelines).
    With Adam: the same ĝ and c_k, Adam instead of a_k.

    Source: Spall 1992, *Multivariate stochastic approximation using a simultaneous perturbation gradient
    approximation*.
    """

    look = Look("SPSA", "#1f78c8", "o")
    looks = {
        ("optimizer", "adam"): Look("SPSA + Adam", "#56b4e9", "^"),
    }
    grid = {"lr": (0.02, 0.06, 0.2), "step": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=12, numbers=4, kept=4)

    def setup(
        self,
        lr: Positive = 0.05,
        step: Positive = 1.0,
        pairs: Count = 1,
        optimizer: Literal["plain", "adam"] = "plain",
        schedule: Schedule | None = None,
    ) -> None:
        """Spend 2·pairs evaluations per step; `step` is c, `lr` the first movement or Adam's step size.

        `schedule` None is linear with Adam; the plain method has Spall's a_k and nothing on top of it.
        """
        self.lr = lr
        self.step = step
        self.pairs = max(1, min(pairs, self.space.max_batch // 2))
        self.plain = optimizer == "plain"
        self.stability = 0.1 * self.space.budget / (2 * self.pairs)  # A
        self.gain: float | None = None  # a, once it is known
        self.iteration = 1  # k
        self.signs = torch.empty(0)
        if schedule is None:
            schedule = "constant" if self.plain else "linear"
        self.start_descent(lr, "sgd" if self.plain else "adam", schedule)

    @property
    def perturbation(self) -> float:
        """c_k."""
        return self.step / self.iteration**GAMMA

    def ask(self) -> Tensor:
        space = self.space
        pairs = self.pairs
        if self.plain and self.gain is None:
            pairs = max(pairs, min(CALIBRATION, space.max_batch // 2, max(1, space.budget // 20)))
        bits = torch.randint(2, (pairs, space.dim), generator=self.generator, device=space.device)
        self.signs = (2 * bits - 1).to(space.start.dtype)
        offsets = self.perturbation * self.signs
        return torch.cat([self.theta + offsets, self.theta - offsets])

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        ahead, behind = evaluation.loss.view(2, -1)
        slopes = (ahead - behind) / (2 * self.perturbation)  # (pairs,)
        if self.plain:
            if self.gain is None:
                magnitude = float(slopes.abs().mean())  # |ĝ_i| of one pair, the same in all coordinates
                if magnitude > 0:  # on a plateau the gain stays open
                    self.gain = self.lr * (self.stability + 1) ** ALPHA / magnitude
            self.rate = (self.gain or 0.0) / (self.stability + self.iteration) ** ALPHA
        self.descend(slopes @ self.signs / len(slopes), len(z))
        self.iteration += 1
