"""Gauss–Newton on the smoothed picture: every pixel's slope from the renders of many steps, for one damped step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from methods._annealing import annealed
from methods._look import Look
from methods._ranges import Count, Decay, NonNegative, Positive, Share
from methods._work import Work
from methods.base import Evaluation, Method, Space

DAMPING_RANGE = (1e-6, 1e6)
BISECTIONS = 60
KEPT_DIMS = 512  # beyond, or for more slopes than this, none are kept from step to step
KEPT_SLOPES = 2**26

Criterion = Callable[[Tensor], Tensor]


class GaussNewton(Method):
    """Levenberg–Marquardt on C(Q(θ)), Q(θ) = E[P(θ + u)] with u ~ N(0, σ²I): ours.

    From antithetic pairs u_k, with D_k = (P(θ + u_k) − P(θ − u_k))/2 and Q̂ the mean of all renders,

        J = ∂Q/∂θ ≈ mean D_k u_kᵀ/σ²,   gradient = Jᵀ ∂C/∂Q(Q̂),   A = Jᵀ (∂²C/∂Q²) J,

    the score function of Fischer & Ritschel 2023 (PRDPT, Eq. 3) kept per pixel, and the generalised Gauss–Newton matrix
    (Schraudolph 2002) that a known criterion C gives without a render. Nothing of size pixels × pixels is formed.

    * Memory: J and Q̂ are exponential averages over steps, Q̂ carried along by J: Q̂ ← m (Q̂ + J Δθ) + (1 − m) Q̂_new.
    * Significance: a pixel that a coordinate does not move has a slope of mean zero and variance E[D²]/σ² per pair. An
      entry j of J with this squared standard error e² over all pairs in memory becomes j · max(0, 1 − s² e²/j²), the
      non-negative garrote (Breiman 1995). Most pixels see few of many coordinates: this is what makes hundreds work.
    * Without memory (m = 0, or too many dimensions for it), and with fewer pairs than dimensions, the step is taken in
      the span of the u_k, with n × n matrices: J is J times the projector onto the span, n/dim of the mean above, and
      ∂C/∂Q of a pair is taken at the mean of the other pairs, which takes most of the bias out of its product with D_k
      (elsewhere that bias is of order 1 over the pairs in memory).
    * Variance: directions are orthogonal in blocks of at most dim (QR of Gaussian ones), the χ-distributed radii are
      stratified over the pairs; each u_k alone is still N(0, σ²I).

    The step solves (A + μ tr(A)/m I) p = −gradient, at most `reach` σ long (rms per coordinate). μ adapts to the ratio
    of actual to predicted decrease of C at the mean of each step's own renders; a rise beyond twice its standard error
    (jackknife) takes θ back, for a shorter step from the system stored there.
    """

    look = Look("Gauss–Newton (ours)", "#c1121f", "*")
    kind = "second order"
    needs = "picture"
    per_coordinate = Work(launches=60, numbers=40, kept=100)
    grid = {"reach": (0.1, 0.3, 1.0), "sigma": (0.1, 0.3, 1.0, 3.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Refuse fewer than two pairs: their spread is what the noise is judged by."""
        if min(params.get("pairs", 2), space.max_batch // 2) < 2:
            return "the smoothed picture needs pairs ≥ 2 (and a batch of 4)"
        return None

    def setup(
        self,
        reach: Positive = 0.3,
        sigma: Positive = 1.0,
        pairs: Count = 4,
        memory: Decay = 0.8,
        significance: NonNegative = 2.0,
        damping: Positive = 1e-2,
        sigma_end: Share = 0.1,
    ) -> None:
        """Spend 2·pairs renders per step.

        `memory` is m, `significance` s, `damping` the first μ; σ shrinks linearly to `sigma_end`·sigma.
        """
        self.sigma, self.sigma_end, self.reach = sigma, sigma_end, reach
        self.memory, self.significance, self.damping = memory, significance, damping
        self.pairs = max(2, min(pairs, self.space.max_batch // 2))
        self.theta = self.space.start.clone()
        self.used = 0
        self.offsets = torch.empty(0)
        self.directions = torch.empty(0)
        # In memory: J (dim, pixels), Q̂ and E[D²]/σ² (pixels,), where Q̂ was, and Σ of the pairs' squared weights.
        self.steps = 0
        self.slopes, self.smoothed, self.power = torch.empty(0), torch.empty(0), torch.empty(0)
        self.place = self.theta.clone()
        self.share = 0.0
        # Where the last step started, and what it was computed from: C and its variance, the predicted decrease.
        self.origin = self.theta.clone()
        self.value, self.variance, self.predicted = math.inf, 0.0, 0.0
        self.system: dict[str, Tensor] = {}
        self.length, self.returned = 0.0, False

    @property
    def bandwidth(self) -> float:
        """σ after the evaluations used so far."""
        return annealed(self.sigma, self.sigma_end, self.used, self.space.budget)

    def ask(self) -> Tensor:
        self.directions = self._draw_directions()
        half = self.bandwidth * self._draw_radii()[:, None] * self.directions
        self.offsets = torch.cat([half, -half])
        return self.theta + self.offsets

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        picture, criterion = evaluation.picture, evaluation.criterion
        if picture is None or criterion is None:
            raise ValueError("gauss_newton was told losses without pictures")
        ahead, behind = picture.detach().unflatten(0, (2, -1))
        even, odd = (ahead + behind) / 2, (ahead - behind) / 2  # (n, *picture)
        value, variance = _jackknife(even, criterion)
        kept = self.space.dim <= KEPT_DIMS and self.space.dim * odd[0].numel() <= KEPT_SLOPES
        if len(odd) >= self.space.dim or (kept and self.memory > 0):
            system = self.remember(even, odd, criterion)
        else:
            system = self.span(even, odd, criterion)
        self.used += len(z)
        if self._worse(value, variance):
            self.theta, self.returned = self.origin.clone(), True
        else:
            self.origin, self.system = self.theta.clone(), system
            self.value, self.variance, self.returned = value, variance, False
        self._step()

    def incumbent(self) -> Tensor:
        """Return θ."""
        return self.theta.clone()

    def remember(self, even: Tensor, odd: Tensor, criterion: Criterion) -> dict[str, Tensor]:
        """Take the pairs' even and odd parts (n, *picture) into memory and return the normal equations in θ."""
        n, shape = len(odd), odd.shape[1:]
        slopes = self.offsets[:n].T @ odd.flatten(1) / (n * self.bandwidth**2)
        smoothed = even.mean(0).flatten()
        power = odd.flatten(1).square().mean(0) / self.bandwidth**2
        share = 1 / n
        self.steps += 1
        if self.steps > 1:  # weights as of an average of all steps at first (Adam's bias correction)
            keep = (self.memory - self.memory**self.steps) / (1 - self.memory**self.steps)
            carried = self.smoothed + (self.theta - self.place) @ self.significant()
            slopes = keep * self.slopes + (1 - keep) * slopes
            smoothed = keep * carried + (1 - keep) * smoothed
            power = keep * self.power + (1 - keep) * power
            share = keep**2 * self.share + (1 - keep) ** 2 * share
        self.slopes, self.smoothed, self.power, self.share = slopes, smoothed, power, share
        self.place = self.theta.clone()
        slopes = self.significant()
        slope, curved = _differentiate(criterion, smoothed.view(shape), slopes.view(-1, *shape))
        self.gradient = slopes @ slope.flatten()
        basis = torch.eye(self.space.dim, device=slopes.device, dtype=slopes.dtype)
        return _normal_equations(basis, self.gradient, slopes @ curved.flatten(1).T)

    def significant(self) -> Tensor:
        """Return J (dim, pixels) with what may be noise taken out."""
        noise = self.significance**2 * self.share * self.power
        return self.slopes * (1 - noise / self.slopes.square().clamp_min(1e-30)).clamp_min(0)

    def span(self, even: Tensor, odd: Tensor, criterion: Criterion) -> dict[str, Tensor]:
        """Return the normal equations in a, θ + Σ a_k q_k, q_k the directions: ∂Q/∂a_k ≈ D_k r_k/(σ² dim)."""
        n, dim = len(odd), self.space.dim
        others = (even.sum(0) - even) / (n - 1)
        with torch.enable_grad():
            others.requires_grad_(True)
            (slopes,) = torch.autograd.grad(criterion(others).sum(), others)
        _, curved = _differentiate(criterion, even.mean(0), odd)
        along = (odd * slopes).flatten(1).sum(1)  # ⟨∂C/∂Q, D_k⟩
        self.gradient = along @ self.offsets[:n] / (n * self.bandwidth**2)
        weights = self.offsets[:n].norm(dim=1) / (dim * self.bandwidth**2)
        matrix = weights[:, None] * (odd.flatten(1) @ curved.flatten(1).T) * weights
        return _normal_equations(self.directions, weights * along, matrix)

    def _worse(self, value: float, variance: float) -> bool:
        """Adapt the damping to what the last step brought; return whether to take it back."""
        if not self.predicted > 0:
            return False
        actual = self.value - value
        ratio = actual / self.predicted
        noise = math.sqrt(variance + self.variance)
        if not math.isfinite(ratio):
            return False
        if actual < -2 * noise:
            self._damp(4.0)
            return not self.returned  # at most once: the stored value may have been lucky
        if ratio > 0.5:
            self._damp(1 / 3)
        elif ratio < 0.1 and self.predicted > noise:
            self._damp(2.0)
        return False

    def _damp(self, factor: float) -> None:
        self.damping = min(max(self.damping * factor, DAMPING_RANGE[0]), DAMPING_RANGE[1])

    def _step(self) -> None:
        """Move θ from where the stored system was measured."""
        basis, gradient, matrix = (self.system[key] for key in ("basis", "gradient", "matrix"))
        longest = self.reach * self.bandwidth * math.sqrt(len(gradient))
        if self.returned:
            longest = min(longest, self.length / 2)
        step = solve(matrix, gradient, self.damping)
        length = float(step.norm())
        if length > longest:
            step = step * (longest / length)
        self.length = min(length, longest)
        self.predicted = float(-(gradient @ step + step @ matrix @ step / 2))
        self.theta = self.space.project(self.origin + step.to(basis.dtype) @ basis)

    def _draw_directions(self) -> Tensor:
        """Draw (pairs, dim) directions, each uniform on the sphere up to its sign, orthogonal in blocks."""
        n, dim = self.pairs, self.space.dim
        blocks = [torch.linalg.qr(self.normal(dim, min(dim, n - first)))[0].T for first in range(0, n, dim)]
        return torch.cat(blocks)

    def _draw_radii(self) -> Tensor:
        """Draw (pairs,) radii, each χ-distributed with dim degrees of freedom, one from every n-th of the quantiles."""
        n = self.pairs
        device = self.space.device
        order = torch.randperm(n, generator=self.generator, device=device)
        uniform = torch.rand(n, generator=self.generator, device=device, dtype=torch.float64)
        return chi_quantile((order + uniform) / n, self.space.dim).to(self.space.start.dtype)


def _jackknife(even: Tensor, criterion: Criterion) -> tuple[float, float]:
    """Return C at the mean of n pictures (n, *picture) and its variance."""
    n = len(even)
    without = criterion((even.sum(0) - even) / (n - 1)).double()
    return float(criterion(even.mean(0, keepdim=True))), float((n - 1) * without.var(correction=0))


def _differentiate(criterion: Criterion, at: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Return ∂C/∂Q at a picture and ∂²C/∂Q² times each of n directions (n, *picture); zero for a linear criterion."""
    with torch.enable_grad():
        at = at[None].detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(criterion(at).sum(), at, create_graph=True)
        curved = None
        if slope.requires_grad:
            (curved,) = torch.autograd.grad(slope, at, directions[:, None], is_grads_batched=True, allow_unused=True)
    return slope.detach()[0], torch.zeros_like(directions) if curved is None else curved[:, 0]


def _normal_equations(basis: Tensor, gradient: Tensor, matrix: Tensor) -> dict[str, Tensor]:
    """Pack coordinates (m, dim), gradient (m,) and Gauss–Newton matrix (m, m), made symmetric."""
    return {"basis": basis, "gradient": gradient.double(), "matrix": ((matrix + matrix.T) / 2).double()}


def chi_quantile(probability: Tensor, dim: int) -> Tensor:
    """Invert the CDF of the χ distribution, P(dim/2, r²/2), by bisection."""
    shape = torch.full_like(probability, dim / 2)
    low = torch.zeros_like(probability)
    high = torch.full_like(probability, math.sqrt(dim) + 9)  # beyond 9 standard deviations
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = torch.special.gammainc(shape, middle.square() / 2) < probability
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


def solve(matrix: Tensor, gradient: Tensor, damping: float) -> Tensor:
    """Return −(A + μ tr(A)/m I)⁻¹ g for A (m, m), g (m,), its negative eigenvalues taken for zero.

    A step too long to be represented is a plateau's: it becomes the gradient's direction, for the caller to shorten.
    Where the gradient itself is not finite, or zero, the step is zero.
    """
    if not bool(gradient.isfinite().all()) or not bool((gradient != 0).any()):
        return torch.zeros_like(gradient)
    if bool(matrix.isfinite().all()):
        values, vectors = torch.linalg.eigh(matrix)
        values = values.clamp_min(0)
        values = values + damping * values.mean()
        step = -vectors @ ((vectors.T @ gradient) / values)
        if bool(step.isfinite().all()):
            return step
    return -gradient / gradient.norm()
