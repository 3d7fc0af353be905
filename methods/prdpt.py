"""PRDPT: descend a renderer convolved with a Gaussian kernel, by differentiating the kernel (variant ∂κP)."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from methods._annealing import annealed
from methods._look import Look
from methods._ranges import Count, Positive, Share
from methods._work import Work
from methods.base import Descent, Evaluation, Needs, Schedule, Space


class Prdpt(Descent):
    """∂Q/∂θ = ∫ ∂κ(τ) P(θ − τ) dτ, estimated from a few renders per step, with Adam and an annealed bandwidth.

    Source: Fischer & Ritschel 2023, *Plateau-Reduced Differentiable Path Tracing*, Eq. 3. Here u = −τ is the offset of
    a sample, σ the bandwidth, d the dimension, and each u comes with a score s(u) so that ∂Q/∂θ ≈ mean s(u) P(θ + u).

    Estimators, with importance sampling:

    * `exact`: p(u) ∝ ‖∇κ(u)‖ ∝ ‖u‖ κ(u), the paper's density in d dimensions. Its direction is uniform and its radius
      is σ χ with d + 1 degrees of freedom, so s(u) = ∇κ/p = E[χ_d]/σ · u/‖u‖, one weight for the whole vector.
      Unbiased for every loss. For d = 1 it is the Rayleigh density below; as d grows it becomes the evolution strategy.
      (Drawing coordinate i from |∂κ₁| and the others from κ₁ is unbiased as well, but takes d times the renders.)
    * `released`: as in the authors' code, every u_i independently from |u_i| exp(−u_i²/2σ²)/2σ² by its inverse CDF
      |u_i| = σ √(−2 ln(1 − ξ)), and each coordinate weighted by its own derivative only,
      s_i(u) = √(2/π)/σ · sign(u_i): SPSA with Rayleigh magnitudes. It is the gradient of the smoothed loss for d = 1
      and for separable losses only: elsewhere the other coordinates are smoothed by p instead of κ.

    Without importance sampling (ours: u is drawn from κ itself) both are the score function s(u) = u/σ².

    Objectives:

    * `loss`: ∂E[L(θ + u)]/∂θ ≈ mean s(u) L(θ + u), as in the authors' code. For the squared error to r it descends
      E|P − r|² = |Q − r|² + Var P.
    * `picture`: the gradient of C(Q), C the criterion: mean s(u) ⟨∂C/∂Q(Q̂), P(θ + u)⟩ with Q̂ the mean of the same
      renders, hence with a bias of order 1/pairs towards `loss`, which it equals for one antithetic pair and squared
      errors.
    * `leave_one_out`: Q̂ of a pair is the mean of the other pairs: unbiased where ∂C/∂Q is linear in Q, as it is for
      squared errors.

    The last two draw u from κ whatever `importance_sampling` says: Q̂ needs κ's own samples (reweighted ones have
    infinite variance for d = 1), and there `released` and `exact` coincide.
    """

    look = Look("PRDPT (released)", "#cc1177", "D", emphasis=2)
    looks = {
        ("estimator", "exact"): Look("PRDPT (exact)", "#7a0148", "v", emphasis=2),
        ("objective", "picture"): Look("PRDPT (picture)", "#f06bb2", "P", emphasis=2),
    }
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=15, numbers=4, kept=4)

    @classmethod
    def reads(cls, **params: Any) -> Needs:
        """Return `picture` for the objectives that are made of smoothed pictures."""
        return "value" if params.get("objective", "loss") == "loss" else "picture"

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Refuse picture objectives from fewer than two pairs."""
        objective = params.get("objective", "loss")
        if objective != "loss" and min(params.get("pairs", 1), space.max_batch // 2) < 2:
            return f"objective {objective} needs pairs ≥ 2 (and a batch of 4): one pair knows the smoothed loss only"
        return None

    def setup(
        self,
        lr: Positive = 0.05,
        sigma: Positive = 1.0,
        estimator: Literal["released", "exact"] = "released",
        objective: Literal["loss", "picture", "leave_one_out"] = "loss",
        pairs: Count = 1,
        antithetic: bool = True,
        importance_sampling: bool = True,
        annealing: Literal["constant", "linear"] = "linear",
        sigma_end: Share = 0.1,
        schedule: Schedule = "linear",
    ) -> None:
        """Spend 2·pairs renders per step; linear annealing ends at `sigma_end`·sigma with the budget."""
        self.sigma = sigma
        self.sigma_end = sigma_end if annealing == "linear" else 1.0
        self.objective = objective
        self.antithetic = antithetic
        self.pairs = max(1, min(pairs, self.space.max_batch // 2))
        self.needs = self.reads(objective=objective)
        sampled = importance_sampling and objective == "loss"
        self.density = estimator if sampled else "kernel"
        self.offsets = torch.empty(0)
        self.start_descent(lr, schedule=schedule)

    @property
    def bandwidth(self) -> float:
        """σ after the evaluations used so far."""
        return annealed(self.sigma, self.sigma_end, self.used, self.space.budget)

    def ask(self) -> Tensor:
        if self.antithetic:
            half = self.sample(self.pairs)
            self.offsets = torch.cat([half, -half])
        else:
            self.offsets = self.sample(2 * self.pairs)
        return self.theta + self.offsets

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        weights = evaluation.loss if self.objective == "loss" else self.picture_weights(evaluation)
        gradient = self.score_sum(weights) / len(weights)
        self.descend(gradient, len(z))

    def sample(self, n: int) -> Tensor:
        """Draw offsets u (n, dim)."""
        dim, sigma = self.space.dim, self.bandwidth
        if self.density == "released":
            uniform = (
                2 * torch.rand(n, dim, generator=self.generator, device=self.space.device, dtype=self.theta.dtype) - 1
            )
            xi = uniform.abs().clamp_max(1 - 2**-24)  # 1 itself would be thrown to infinity
            return sigma * uniform.sign() * (-2 * torch.log1p(-xi)).sqrt()
        normal = self.normal(n, dim)
        if self.density == "kernel":
            return sigma * normal
        square = normal.square().sum(1, keepdim=True).clamp_min(1e-30)  # χ²_d, independent of the direction
        return sigma * normal * (1 + self.normal(n, 1).square() / square).sqrt()

    def score_sum(self, weights: Tensor) -> Tensor:
        """Return Σ_k weights_k s(u_k), (dim,), for weights (n,)."""
        dim, sigma, offsets = self.space.dim, self.bandwidth, self.offsets
        if self.density == "released":
            return math.sqrt(2 / math.pi) / sigma * (weights @ offsets.sign())
        if self.density == "kernel":
            return weights @ offsets / sigma**2
        mean_radius = math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))  # E[χ_d]
        return mean_radius / sigma * ((weights / offsets.norm(dim=1).clamp_min(1e-30)) @ offsets)

    def picture_weights(self, evaluation: Evaluation) -> Tensor:
        """Return ⟨∂C/∂Q(Q̂), P_k⟩, (n,): no Jacobian of the picture is ever stored."""
        picture, criterion = evaluation.picture, evaluation.criterion
        if picture is None or criterion is None:
            raise ValueError("prdpt with a picture objective was told losses without pictures")
        groups = picture.unflatten(0, (2, -1)).mean(0) if self.antithetic else picture  # independent parts of Q̂
        smoothed = groups.mean(0, keepdim=True)
        if self.objective == "leave_one_out":
            smoothed = (len(groups) * smoothed - groups) / (len(groups) - 1)
        with torch.enable_grad():
            smoothed = smoothed.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(criterion(smoothed).sum(), smoothed)  # (1 or groups, *picture)
        if len(slope) > 1 and self.antithetic:
            slope = torch.cat([slope, slope])
        return (slope * picture).flatten(1).sum(1)
