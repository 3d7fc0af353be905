"""What a render costs besides its rays, counted in rays: timed, so another on every machine."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene

FEW, MANY = 1, 16  # samples per pixel that are timed
REPEATS = 5  # the quickest counts: others were disturbed


def overhead(scene: Scene, state: float) -> float:
    """Return o, in rays per pixel: the time of a render at `state` of the way that no ray explains, over that of one.

    Placing the scene and launching count as much as tracing; the time of a render is linear in its rays.
    """
    z = torch.lerp(scene.begin, scene.reference, state)[None]
    few, many = (seconds(scene, z, samples) for samples in (FEW, MANY))
    ray = (many - few) / (MANY - FEW)
    return max(0.0, few / ray - FEW) if ray > 0 else float("nan")


def seconds(scene: Scene, z: torch.Tensor, samples: int) -> float:
    """Return the least time of one render; the first, which compiles, is not timed."""
    pixels = torch.arange(scene.width * scene.height).repeat_interleave(samples)
    taken = []
    for number in range(REPEATS + 1):
        begin = perf_counter()
        scene.observe_pixels(z, pixels, number)
        taken.append(perf_counter() - begin)
    return min(taken[1:])
