"""Truncated conjugate gradients within a trust region."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CG_STEPS, RESIDUAL = 20, 1e-3  # truncation; products cost no evaluation


def steihaug(gradient: Tensor, product: Callable[[Tensor], Tensor], radius: float, steps: int = CG_STEPS) -> Tensor:
    """Return p (dim,) that lowers g·p + ½ pᵀHp within ‖p‖ ≤ radius, H known by products only.

    Source: Steihaug 1983; Nocedal & Wright 2006, algorithm 7.2. Stops at negative curvature and at the boundary.
    """
    return steihaug_path(gradient, product, (radius,), steps)[0]


def steihaug_path(
    gradient: Tensor, product: Callable[[Tensor], Tensor], radii: Sequence[float], steps: int = CG_STEPS
) -> list[Tensor]:
    """Return `steihaug`'s p (dim,) for every one of several radii, the least first, for the products of the last.

    The iterates do not depend on the radius, and they grow: each radius ends where they leave it.
    """
    step, found = torch.zeros_like(gradient), []
    residual, direction = gradient, -gradient
    square = residual @ residual
    tolerance = RESIDUAL**2 * square
    for _ in range(min(len(gradient), steps)):
        if not square > 0 or len(found) == len(radii):
            break
        image = product(direction)
        curvature = direction @ image
        longer = step + square / curvature * direction
        length = longer.norm() if curvature > 0 else math.inf
        for radius in radii[len(found) :]:
            if not length < radius:
                found.append(step + _to_boundary(step, direction, radius) * direction)
        step, residual = longer, residual + square / curvature * image
        before, square = square, residual @ residual
        if square <= tolerance:
            break
        direction = square / before * direction - residual
    return [*found, *[step] * (len(radii) - len(found))]


def _to_boundary(step: Tensor, direction: Tensor, radius: float) -> Tensor:
    """Return τ ≥ 0 with ‖step + τ direction‖ = radius."""
    a, b, c = direction @ direction, step @ direction, step @ step - radius**2
    return ((b * b - a * c).clamp_min(0).sqrt() - b) / a
