"""The step that a learned Jacobian promises most of, within a radius."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from methods._influence_model import Influence
from methods._influence_pyramid import Criterion
from methods._steihaug import steihaug_path

CG_STEPS = 200
FAR = 100.0  # a radius beyond every step that is sensible


@dataclass(frozen=True)
class Plan:
    """A step (dim,), what it promises as a share of the objective, and what a step of any length would."""

    step: Tensor
    promise: float
    could: float
    value: float  # of the objective at θ


def planned(model: Influence, objective: Criterion, base: Tensor, radius: float, kept: float) -> Plan:
    """Minimise E_J[C(base + J p)] over ‖p‖/√dim ≤ radius: Gauss–Newton, products only.

    `base` (pixels,) is the picture at θ; `kept` is what the objective's blur leaves of independent errors' variance.
    """
    with torch.enable_grad():
        at = base[None].detach().requires_grad_(True)
        value = objective(at)
        unit = abs(float(value.detach())) or 1.0
        (slope,) = torch.autograd.grad(value.sum() / unit, at, create_graph=True)

        def curved(v: Tensor) -> Tensor:
            """Return ∂²C/∂P² v."""
            return torch.autograd.grad(slope, at, v[None], retain_graph=True)[0][0]

        curvature = kept * curved(torch.ones_like(base)).clamp_min(0)  # the diagonal, of separable criteria

        product = model.normal(curved, curvature)
        gradient = model.transposed_times(slope[0].detach())
        radii = [r * math.sqrt(len(gradient)) for r in (radius, max(radius, FAR))]
        steps = steihaug_path(gradient, product, radii, CG_STEPS)
        step, (promise, could) = steps[0], (-float(gradient @ p + 0.5 * p @ product(p)) for p in steps)
        could = max(promise, could)
    return Plan(step, promise, could, float(value.detach()))
