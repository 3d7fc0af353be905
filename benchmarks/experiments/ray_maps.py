"""What the rays of a gradient are worth, pixel by pixel: variances of rays and perturbations, the scene held still.

One pair gives c_p = ⟨a_p, f_p(θ + u) − f_p(θ − u)⟩ per ray and g = u/(2σ²) Σ_p E[c_p]. From pairs of many rays come
V_p, the variance of |u|/(2σ²) c_p, R = Σ V_p (of a pair with one ray per pixel) and P, what is left with endless rays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.contract.seeds import derive
from methods._ray_allocation import Array, gain, intensities, worth

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene

RAYS = 16  # per pixel and render
TARGET_SPP = 64
MANY, FEW = 16.0, 1.0  # samples per pixel that are compared at equal rays


@dataclass(frozen=True)
class Variances:
    """Of one scene at one place: what every pixel's rays and the perturbations contribute."""

    rays: Array  # V_p of every pair (pairs, P)
    apart: Array  # the like if the two renders of a pair shared no random numbers (pairs, P)
    primal: Array  # variance of a ray's radiance (P,), summed over colours
    perturbation: float  # P
    picture: Array  # (P,) mean over colours and perturbations

    @property
    def ray(self) -> float:
        """Return R."""
        return float(self.rays.sum(1).mean())


def measure(scene: Scene, state: float, sigma: float, pairs: int, seed: int) -> Variances:
    """Return the variances at `state` of the way from start (0) to optimum (1), kernel N(0, σ² I)."""
    generator = torch.Generator().manual_seed(derive("rays", type(scene).__name__, str(state), seed))
    theta = torch.lerp(scene.begin, scene.reference, state)
    pixels = torch.arange(scene.width * scene.height).repeat_interleave(RAYS)
    offsets = sigma * torch.randn(pairs, scene.dim, generator=generator)
    seen = []
    for number, offset in enumerate(offsets):
        both = torch.stack([theta + offset, theta - offset])
        radiance = scene.observe_pixels(both, pixels, derive("rays", seed, number) % 2**31)
        seen.append(radiance.view(2, -1, RAYS, 3).double())
    radiance = torch.stack(seen)  # (pairs, 2, P, RAYS, 3)
    smoothed = radiance.mean((0, 1, 3))
    target = scene.reference_picture(TARGET_SPP).view(-1, 3).double()
    slope = 2 * (smoothed - target) / target.numel()
    projected = (radiance * slope[:, None]).sum(-1)  # (pairs, 2, P, RAYS)
    change = projected[:, 0] - projected[:, 1]
    scale = offsets.double().square().sum(1) / (4 * sigma**4)
    gradients = offsets.double() / (2 * sigma**2) * change.mean(2).sum(1)[:, None]
    rays = scale[:, None] * change.var(2)
    total = float(gradients.var(0).sum())
    return Variances(
        rays.numpy(),
        (scale[:, None] * projected.var(3).sum(1)).numpy(),
        radiance.var(3).sum(-1).mean((0, 1)).numpy(),
        max(0.0, total - float(rays.sum(1).mean()) / RAYS),
        smoothed.mean(1).numpy(),
    )


def rows_of(found: Variances, samples: list[float]) -> list[dict[str, Any]]:
    """Return the rows of rays.csv of one measurement; maps from one half of the pairs are judged on the other."""
    pixels = found.rays.shape[1]
    halves = [found.rays[number::2].mean(0) for number in (0, 1)]
    gains = {"uniform": 1.0, "primal": gain(found.rays.mean(0), intensities(np.sqrt(found.primal), pixels))}
    gains["gradient"] = np.mean([gain(halves[1 - side], intensities(np.sqrt(halves[side]), pixels)) for side in (0, 1)])
    ray, still = found.ray, found.perturbation

    def row(metric: str, value: float, allocation: str = "uniform", spp: float = 0.0) -> dict[str, Any]:
        return {"samples": spp, "allocation": allocation, "metric": metric, "value": float(value)}

    rows = [
        row("active", float((found.rays > 0).any(0).mean())),
        row("common", found.apart.sum() / found.rays.sum()),
        row("fewer", worth(still, ray, MANY) / worth(still, ray, FEW)),
    ]
    rows += [row("ray_gain", value, allocation) for allocation, value in gains.items() if allocation != "uniform"]
    for spp in samples:
        rows.append(row("share", ray / spp / (still + ray / spp), spp=spp))
        for allocation, value in gains.items():
            if allocation != "uniform":
                better = (still + ray / spp) / (still + ray / spp / value)
                rows.append(row("total_gain", better, allocation, spp))
    return rows
