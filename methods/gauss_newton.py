"""Gauss–Newton on the smoothed picture: every pixel's slope from the same few renders, for one regularised step."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from methods._annealing import annealed
from methods.base import Evaluation, Method, Space

DAMPING_RANGE = (1e-6, 1e6)
BISECTIONS = 60


class GaussNewton(Method):
    """Levenberg–Marquardt on C(Q(θ)), Q(θ) = E[P(θ + u)] with u ~ N(0, σ²I): ours.

    From antithetic pairs u_k, with D_k = (P(θ + u_k) − P(θ − u_k))/2 and Q̂ the mean of all renders,

        J = ∂Q/∂θ ≈ mean D_k u_kᵀ/σ²,   gradient = Jᵀ ∂C/∂Q(Q̂),   A = Jᵀ (∂²C/∂Q²) J,

    the score function of Fischer & Ritschel 2023 (PRDPT, Eq. 3) kept per pixel, and the generalised Gauss–Newton matrix
    (Schraudolph 2002) that a known criterion C gives for free. Nothing is ever of size pixels × pixels or
    dim × pixels: ∂²C/∂Q² is multiplied with the n differences only, and with fewer pairs than dimensions the step is
    taken in the span of the u_k. There J is J times the projector onto the span: (n/dim) of the mean above.

    Variance: directions are orthogonal in blocks of at most dim (QR of Gaussian ones), the χ-distributed radii are
    stratified over the pairs, and each u_k alone is still N(0, σ²I). ∂C/∂Q of a pair is taken at the mean of the other
    pairs, so that the gradient does not descend the picture's variance. A stays with its own noise, which damps.

    The step solves (A + μ tr(A)/m I) p = −gradient in m = min(n, dim) coordinates, at most `reach` σ long per
    coordinate. μ adapts to the ratio of actual to predicted decrease of C(Q̂), both from samples that are needed anyway;
    a rise beyond twice its standard error (jackknife) takes θ back, for a shorter step from the stored system.
    """

    needs = "picture"
    grid = {"reach": (0.3, 1.0, 3.0), "sigma": (1.0, 3.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Refuse fewer than two pairs: a slope of the criterion comes from the other pairs."""
        if min(params.get("pairs", 2), space.max_batch // 2) < 2:
            return "the smoothed picture needs pairs ≥ 2 (and a batch of 4)"
        return None

    def setup(
        self, reach: float = 1.0, sigma: float = 1.0, pairs: int = 4, damping: float = 1e-2, sigma_end: float = 0.1
    ) -> None:
        """Spend 2·pairs renders per step; `damping` is the first μ; σ shrinks linearly to `sigma_end`·sigma."""
        self.sigma, self.sigma_end, self.reach = sigma, sigma_end, reach
        self.damping = damping
        self.pairs = max(2, min(pairs, self.space.max_batch // 2))
        self.theta = self.space.start.clone()
        self.used = 0
        self.offsets = torch.empty(0)
        self.directions = torch.empty(0)
        self.origin = self.theta.clone()  # where the last step started, with what it was computed from:
        self.value = math.inf  # C(Q̂) and its variance
        self.variance = 0.0
        self.predicted = 0.0
        self.system: dict[str, Tensor] = {}
        self.returned = False

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
        system, value, variance = self.measure(evaluation)
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

    def measure(self, evaluation: Evaluation) -> tuple[dict[str, Tensor], float, float]:
        """Return the normal equations (basis (m, dim), gradient (m,), matrix (m, m)), C(Q̂) and its variance."""
        picture, criterion = evaluation.picture, evaluation.criterion
        if picture is None or criterion is None:
            raise ValueError("gauss_newton was told losses without pictures")
        ahead, behind = picture.detach().unflatten(0, (2, -1))
        even, odd = (ahead + behind) / 2, (ahead - behind) / 2  # (n, *picture)
        n, dim = len(odd), self.space.dim
        smoothed = even.mean(0, keepdim=True)
        with torch.enable_grad():
            others = ((n * smoothed - even) / (n - 1)).requires_grad_(True)
            values = criterion(others)
            (slopes,) = torch.autograd.grad(values.sum(), others)
            at = smoothed.requires_grad_(True)
            value = criterion(at).sum()
            (slope,) = torch.autograd.grad(value, at, create_graph=True)
            curved = torch.stack([_product(slope, at, one) for one in odd])  # ∂²C/∂Q² D_k
        variance = (n - 1) * values.detach().double().var(correction=0)
        odd, curved, slopes = (part.flatten(1) for part in (odd, curved, slopes))
        offsets = self.offsets[:n] / self.bandwidth**2
        along = (odd * slopes).sum(1)  # ⟨∂C/∂Q, D_k⟩
        between = odd @ curved.T
        self.gradient = along @ offsets / n
        if n >= dim:
            basis = torch.eye(dim, device=offsets.device, dtype=offsets.dtype)
            gradient, weights = self.gradient, offsets / n
            matrix = weights.T @ between @ weights
        else:  # in the coordinates a of Σ a_k q_k, q_k the directions: ∂Q/∂a_k ≈ r_k D_k/(σ² dim)
            basis = self.directions
            weights = offsets.norm(dim=1) / dim
            gradient, matrix = weights * along, weights[:, None] * between * weights
        system = {"basis": basis, "gradient": gradient.double(), "matrix": ((matrix + matrix.T) / 2).double()}
        return system, float(value.detach()), float(variance)

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
        step = solve(matrix, gradient, self.damping)
        length = float(step.norm())
        if length > longest:
            step = step * (longest / length)
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


def _product(slope: Tensor, at: Tensor, direction: Tensor) -> Tensor:
    """Return the derivative of `slope` along `direction`, by a second backward pass; zero for a linear criterion."""
    if not slope.requires_grad:
        return torch.zeros_like(direction)
    (product,) = torch.autograd.grad((slope[0] * direction).sum(), at, retain_graph=True, allow_unused=True)
    return torch.zeros_like(direction) if product is None else product[0]


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
