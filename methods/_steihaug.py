"""Truncated conjugate gradients within a trust region."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CG_STEPS, RESIDUAL = 20, 1e-3  # truncation; products cost no evaluation


def steihaug(gradient: Tensor, product: Callable[[Tensor], Tensor], radius: float, steps: int = CG_STEPS) -> Tensor:
    """Return p (dim,) that lowers g·p + ½ pᵀHp within ‖p‖ ≤ radius, H known by products only.

    Source: Steihaug 1983; Nocedal & Wright 2006, algorithm 7.2. Stops at negative curvature and at the boundary.
    """
    step = torch.zeros_like(gradient)
    residual, direction = gradient, -gradient
    square = residual @ residual
    tolerance = RESIDUAL**2 * square
    for _ in range(min(len(gradient), steps)):
        if not square > 0:
            break
        image = product(direction)
        curvature = direction @ image
        longer = step + square / curvature * direction
        if not curvature > 0 or not longer.norm() < radius:
            return step + _to_boundary(step, direction, radius) * direction
        step, residual = longer, residual + square / curvature * image
        before, square = square, residual @ residual
        if square <= tolerance:
            break
        direction = square / before * direction - residual
    return step


def _to_boundary(step: Tensor, direction: Tensor, radius: float) -> Tensor:
    """Return τ ≥ 0 with ‖step + τ direction‖ = radius."""
    a, b, c = direction @ direction, step @ direction, step @ step - radius**2
    return ((b * b - a * c).clamp_min(0).sqrt() - b) / a
