"""Newton's method on the Gaussian-smoothed loss: gradient and curvature from the same black-box evaluations."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from methods._annealing import annealed
from methods._look import Look
from methods._ranges import Count, Positive, Share
from methods._steihaug import steihaug
from methods.base import Evaluation, Method, Space


class SmoothedNewton(Method):
    """A trust-region Newton step on Q(θ) = E[L(θ + u)], u ~ κ = N(0, σ²I), with an annealed bandwidth.

    Source: Wang, Fischer & Ritschel 2025, *Stochastic Gradient Estimation for Higher-Order Differentiable Rendering*:
    derivatives of Q are convolutions with derivatives of the kernel, ∇κ = −u/σ² κ and ∇²κ = (uuᵀ/σ⁴ − I/σ²) κ, which
    are sampled by importance. With weights w = κ/p and antithetic pairs ±u,

        ∇Q ≈ mean w u/σ² · (L(θ + u) − L(θ − u))/2
        ∇²Q v ≈ mean w [u (u·v)/σ⁴ − v/σ²] · ((L(θ + u) + L(θ − u))/2 − b)

    where b is the weighted mean of the other pairs: it is independent of u, so it costs no bias.

    Sampling:

    * `aggregate`: every sample serves every entry of the gradient and of the Hessian at once. The kernel ∇²κ σ²/κ has
      the eigenvalues r² − 1 and −1 (dim − 1 times), r = ‖u‖/σ, so its nuclear norm is at most r² + dim: the samples
      follow p ∝ (1 + r²/dim) κ, half of them κ itself, half of them κ with a radius of two more degrees of freedom.
      No weight exceeds 2, and estimates are unbiased.
    * `kernel`: u from κ, w = 1.

    The paper's abstract and page name importance and aggregate sampling, Hessian-vector products and Newton-CG; how
    its aggregate weights samples, and its settings, were not found there. Ours: the density above; products from the
    kernel; Steihaug's (1983) truncated conjugate gradient in a trust region of fixed size, which also settles negative
    curvature; the baseline b; all default settings.
    """

    look = Look("Smoothed Newton", "#2a3fb0", "d")
    kind = "second order"
    grid = {"radius": (0.1, 0.3, 1.0), "sigma": (0.1, 0.3, 1.0, 3.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Refuse fewer than two pairs: the baseline of one comes from the others."""
        if min(params.get("pairs", 2), space.max_batch // 2) < 2:
            return "curvature needs pairs ≥ 2 (and a batch of 4)"
        return None

    def setup(
        self,
        radius: Positive = 1.0,
        sigma: Positive = 1.0,
        pairs: Count = 4,
        hessian: Literal["hvp", "diagonal"] = "hvp",
        sampling: Literal["aggregate", "kernel"] = "aggregate",
        sigma_end: Share = 0.1,
    ) -> None:
        """Spend 2·pairs evaluations per step, at most `radius` natural steps long (rms per coordinate).

        Bandwidth and radius shrink together, linearly, to `sigma_end` of their start.
        """
        self.sigma, self.sigma_end, self.radius = sigma, sigma_end, radius
        self.hessian = hessian
        self.sampling = sampling
        self.pairs = max(2, min(pairs, self.space.max_batch // 2))
        self.theta = self.space.start.clone()
        self.used = 0
        self.offsets = torch.empty(0)

    def annealed(self, start: float) -> float:
        return annealed(start, self.sigma_end, self.used, self.space.budget)

    def ask(self) -> Tensor:
        normal = self.normal(self.pairs, self.space.dim)
        if self.sampling == "aggregate":
            normal = self._lengthen(normal)
        half = self.annealed(self.sigma) * normal
        self.offsets = torch.cat([half, -half])
        return self.theta + self.offsets

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        unit = float(evaluation.loss.abs().max()) or 1.0  # the step has none, the squares on its way must not underflow
        odd, even = self.differences(evaluation.loss / unit)
        gradient = odd @ self.half / len(odd)
        self.gradient = unit * gradient
        radius = self.annealed(self.radius) * math.sqrt(self.space.dim)
        if self.hessian == "hvp":
            step = steihaug(gradient, lambda v: self.hessian_product(even, v), radius)
        else:
            step = _diagonal_step(gradient, self.hessian_diagonal(even), self.annealed(self.radius))
        self.used += len(z)
        if bool(step.isfinite().all()):
            self.theta = self.space.project(self.theta + step)

    def incumbent(self) -> Tensor:
        """Return θ."""
        return self.theta.clone()

    @property
    def half(self) -> Tensor:
        """The offsets u of the pairs over σ, (pairs, dim)."""
        return self.offsets[: self.pairs] / self.annealed(self.sigma)

    def differences(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Return w/σ · odd and w/σ² · (even − baseline) parts of losses (2·pairs,), each (pairs,)."""
        ahead, behind = loss.unflatten(0, (2, -1))
        sigma, weight = self.annealed(self.sigma), self.weights()
        even = (ahead + behind) / 2
        others = (weight @ even - weight * even) / (weight.sum() - weight)
        return weight * (ahead - behind) / (2 * sigma), weight * (even - others) / sigma**2

    def weights(self) -> Tensor:
        """Return κ/p of the pairs, (pairs,)."""
        if self.sampling == "kernel":
            return self.offsets.new_ones(self.pairs)
        return 2 / (1 + self.half.square().mean(1))

    def hessian_product(self, even: Tensor, v: Tensor) -> Tensor:
        """Return ∇²Q v (dim,) for v (dim,), from the second part of `differences`."""
        normal = self.half
        return ((even * (normal @ v)) @ normal - even.sum() * v) / len(even)

    def hessian_diagonal(self, even: Tensor) -> Tensor:
        """Return the diagonal of ∇²Q, (dim,)."""
        return even @ (self.half.square() - 1) / len(even)

    def _lengthen(self, normal: Tensor) -> Tensor:
        """Give half of the rows of `normal` (n, dim) a radius with dim + 2 degrees of freedom: density ∝ r² κ."""
        n = len(normal)
        square = normal.square().sum(1, keepdim=True).clamp_min(1e-30)
        more = self.normal(n, 2).square().sum(1, keepdim=True)
        longer = torch.rand(n, 1, generator=self.generator, device=normal.device) < 0.5
        return torch.where(longer, normal * (1 + more / square).sqrt(), normal)


def _diagonal_step(gradient: Tensor, diagonal: Tensor, limit: float) -> Tensor:
    """Return −g/|h| per coordinate, no further than `limit`: away from maxima and saddles, too."""
    return -(gradient / diagonal.abs()).nan_to_num(0.0, limit, -limit).clamp(-limit, limit)
