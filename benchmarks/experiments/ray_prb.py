"""What the rays of Mitsuba's own gradient (`prb`) are worth, pixel by pixel; visited with l_p, each weighs 1/l_p."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.contract.seeds import derive
from benchmarks.experiments.ray_maps import RAYS, TARGET_SPP
from benchmarks.rendering._ray_derivatives import differentiate_pixels
from methods._ray_allocation import Array, gain, intensities

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene


def slope_of(scene: Scene, picture: torch.Tensor) -> torch.Tensor:
    """Return the derivative (P, 3) of the scene's loss by a picture (P, 3)."""
    target = scene.reference_picture(TARGET_SPP).to(picture)
    with torch.enable_grad():
        picture = picture.detach().view(target.shape).requires_grad_(True)
        (slope,) = torch.autograd.grad(scene.compare(picture[None], target).sum(), picture)
    return slope.view(-1, 3)


def contributions(scene: Scene, state: float, seed: int) -> tuple[Array, Array]:
    """Return c_p of single rays, (P, RAYS, dim), a natural step as unit, and their radiance (P, RAYS, 3)."""
    theta = torch.lerp(scene.begin, scene.reference, state)
    pixels = torch.arange(scene.width * scene.height).repeat_interleave(RAYS)
    first, second = (derive("rays", "prb", seed, number) % 2**31 for number in (0, 1))
    picture = scene.observe_pixels(theta[None], pixels, first)[0].view(-1, RAYS, 3).mean(1)  # of other random numbers
    slope = slope_of(scene, picture).double()
    radiance, slopes = differentiate_pixels(scene, theta, pixels, second)
    parts = slopes.view(-1, RAYS, scene.dim, 3).double() * slope[:, None, None]
    return parts.sum(-1).numpy(), radiance.view(-1, RAYS, 3).numpy().astype(float)


def rows_of_prb(scene: Scene, state: float, seed: int) -> list[dict[str, Any]]:
    """Return the rows of rays.csv; maps from one half of the rays are judged on the other."""
    parts, radiance = contributions(scene, state, seed)
    pixels = len(parts)
    halves = [parts[:, side::2].var(1, ddof=1).sum(1) for side in (0, 1)]
    primal = np.sqrt(radiance.var(1, ddof=1).sum(1))
    gains = {
        "primal": gain(parts.var(1, ddof=1).sum(1), intensities(primal, pixels)),
        "gradient": np.mean([gain(halves[1 - side], intensities(np.sqrt(halves[side]), pixels)) for side in (0, 1)]),
    }
    rows = [{"allocation": "uniform", "metric": "prb_active", "value": float((parts != 0).any((1, 2)).mean())}]
    rows += [{"allocation": name, "metric": "prb_ray_gain", "value": float(value)} for name, value in gains.items()]
    return [{"samples": 0.0, **row} for row in rows]
