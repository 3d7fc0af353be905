"""Single rays through chosen pixels of a path-traced scene: if all are chosen, the same numbers as its pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.contract.errors import Unsupported
from benchmarks.rendering._mitsuba import without_collection

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene


def observe_pixels(scene: Scene, z: Tensor, pixels: Tensor, seed: int) -> Tensor:
    """Return the radiance (n, rays, 3) of one ray through each pixel (rays,) at every z (n, dim).

    Pixels are numbered row by row and may repeat; ray i has the same random numbers at every z and in every call with
    the same seed and as many rays. With every pixel listed spp times in a row, their means are the picture that Mitsuba
    renders with this seed. Costs len(pixels) rays a row of z, and a scene update. Raises Unsupported for Mitsuba's
    scalar variant, which takes one ray at a time.
    """
    if scene.without_gradient:
        raise Unsupported(f"single rays need Mitsuba's LLVM variant: {scene.without_gradient}")
    mi, trace = scene.mi, tracer(scene, len(pixels))
    place = mi.UInt32(pixels.tolist())
    found = []
    for candidate in z:
        scene._place(candidate)  # noqa: SLF001  (it is the scene's own part, in a file of its own)
        with without_collection():
            radiance = trace(scene.scene, place, mi.UInt32(seed))
        found.append(torch.from_numpy(np.array(radiance, dtype=np.float32).T.copy()))
    return torch.stack(found).to(z.device)


def primary_rays(scene: Scene, where: Any, place: Any, count: int, seed: Any) -> tuple[Any, Any, Any]:
    """Return Mitsuba's sampler, rays and their weights through pixels `place` (count,) of the scene `where`."""
    mi = scene.mi
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(seed, count)
    inside = sampler.next_2d()
    column, row = mi.Float(place % scene.width), mi.Float(place // scene.width)
    at = mi.Point2f((column + inside.x) / scene.width, (row + inside.y) / scene.height)
    ray, weight = where.sensors()[0].sample_ray_differential(0.0, 0.5, at, mi.Point2f(0.5))
    return sampler, ray, weight


def tracer(scene: Scene, count: int) -> Callable[[Any, Any, Any], Any]:
    """Return (scene, pixels, seed) → radiance of `count` rays, recorded once per count and replayed."""
    import drjit as dr

    def trace(where: Any, place: Any, seed: Any) -> Any:
        sampler, ray, weight = primary_rays(scene, where, place, count, seed)
        radiance, _, _ = where.integrator().sample(where, sampler, ray)
        return weight * radiance

    if count not in scene.tracers:
        scene.tracers[count] = dr.freeze(trace) if scene.freeze else trace
    return scene.tracers[count]
