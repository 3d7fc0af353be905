"""Guided evolution strategy: samples are elongated along the subspace that the last gradient estimates span."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive, Share
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule


class GuidedEs(Descent):
    """ĝ = 1/(2Pσ²) Σ ε_p (L(θ + ε_p) − L(θ − ε_p)), ε ~ N(0, σ²C), C = αI + (1 − α) dim/k UUᵀ, with Adam.

    U (dim, k) is an orthonormal basis of the guiding subspace. The expectation of ĝ is C times the gradient of the loss
    smoothed by N(0, σ²C): a direction of descent, biased towards the subspace. α = 1 is the plain evolution strategy.

    Source: Maheswaranathan et al. 2019, *Guided evolutionary strategies: Augmenting random search with surrogate
    gradients* (C, α = ½, antithetic pairs). There U comes from a surrogate gradient; a black box has none, so it is
    spanned by the last k estimates themselves, as in Meier et al. 2019 (*Improving gradient estimation in evolutionary
    strategies with past descent directions*) and in the self-guided strategy of Liu et al. 2020, whose choice of α
    from the losses is not part of this. Ours: C has trace dim, not 1, so that σ is a root mean square per coordinate
    as everywhere else here (Adam does not see the paper's constant factor β); the first samples, and those on a
    plateau, where an estimate of zero spans nothing, are isotropic; k = 4.
    """

    look = Look("Guided ES", "#0b5d1e", "h")
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=6, numbers=6, kept=10)

    def setup(
        self,
        lr: Positive = 0.1,
        sigma: Positive = 1.0,
        batch: Count = 16,
        memory: Count = 4,
        alpha: Share = 0.5,
        schedule: Schedule = "linear",
    ) -> None:
        """Spend `batch` evaluations per step (an even number); remember `memory` estimates (k).

        `alpha` is the part of the variance that is spread over all directions.
        """
        space = self.space
        self.sigma, self.alpha = sigma, alpha
        self.pairs = max(1, min(batch, space.max_batch) // 2)
        self.memory = min(memory, space.dim)
        self.past = space.start.new_zeros(self.memory, space.dim)  # normalised estimates, a ring
        self.known = 0  # estimates that were ever put into it
        self.basis = space.start.new_zeros(space.dim, 0)  # U
        self.noise = torch.empty(0)
        self.start_descent(lr, schedule=schedule)

    def ask(self) -> Tensor:
        dim, rank = self.basis.shape
        half = self.normal(self.pairs, dim)
        if rank:
            along = math.sqrt((1 - self.alpha) * dim / rank) * self.normal(self.pairs, rank)
            half = math.sqrt(self.alpha) * half + along @ self.basis.T
        self.noise = torch.cat([half, -half])
        return self.theta + self.sigma * self.noise

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        ahead, behind = evaluation.loss.view(2, -1)  # differences, not a sum: on a plateau exactly zero
        estimate = (ahead - behind) @ self.noise[: self.pairs] / (2 * self.pairs * self.sigma)
        self.remember(estimate)
        self.descend(estimate, len(z))

    def remember(self, estimate: Tensor) -> None:
        """Let `estimate` (dim,) take the place of the oldest one, and U span those that are known."""
        largest = estimate.abs().max()
        if not 0 < float(largest) < math.inf:
            return
        direction = estimate / largest  # squares of its entries can neither vanish nor overflow
        self.past[self.known % self.memory] = direction / direction.norm()
        self.known += 1
        self.basis = torch.linalg.qr(self.past[: self.known].T)[0]
