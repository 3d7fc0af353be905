"""Derivatives of single rays by a scene's parameters, as Mitsuba's integrator `prb` has them: forward mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmarks.contract.errors import Unsupported
from benchmarks.rendering._rays import primary_rays

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene


def differentiate_pixels(scene: Scene, z: Tensor, pixels: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return radiance (rays, 3) and its derivatives (rays, dim, 3) at z (dim,), one ray through each pixel (rays,).

    Pixels are numbered row by row and may repeat. With every pixel listed spp times in a row, the sum of derivatives
    times a picture's slopes over spp is what Mitsuba's `prb` propagates back with this `seed_grad`. Edges that move
    are not seen, as in `prb`. Costs dim times 2 len(pixels) rays. Raises Unsupported for Mitsuba's scalar variant.
    """
    import drjit as dr

    if scene.without_gradient:
        raise Unsupported(f"derivatives of rays need Mitsuba's LLVM variant: {scene.without_gradient}")
    mi = scene.mi
    integrator = mi.load_dict({"type": "prb", "max_depth": scene.depth})
    place, number = mi.UInt32(pixels.tolist()), dr.opaque(mi.UInt32, seed)
    found = []
    for direction in torch.eye(scene.dim):
        values, tangents = torch.func.jvp(scene.parameters, (z.detach(),), (direction.to(z),))
        for key, value in values.items():
            leaf, tangent = scene._to_mitsuba(key, value), scene._to_mitsuba(key, tangents[key])  # noqa: SLF001
            dr.make_opaque(leaf, tangent)  # or every direction would be compiled anew
            dr.enable_grad(leaf)
            dr.set_grad(leaf, tangent)
            scene.handles[key] = leaf
        scene.handles.update()
        dr.enqueue(dr.ADMode.Forward, *(scene.handles[key] for key in values))
        dr.traverse(dr.ADMode.Forward, flags=dr.ADFlag.ClearEdges)  # to what the scene derives from its parameters
        with dr.suspend_grad():
            sampler, ray, weight = primary_rays(scene, scene.scene, place, len(pixels), number)
            given = {"scene": scene.scene, "ray": ray, "active": mi.Bool(True), "\u03b4L": None, "\u03b4aovs": None}
            copy = sampler.clone()
            radiance, _, _, state = integrator.sample(mode=dr.ADMode.Primal, sampler=copy, state_in=None, **given)
            slope, _, _, _ = integrator.sample(mode=dr.ADMode.Forward, sampler=sampler, state_in=state, **given)
            found.append(np.array(weight * slope, dtype=np.float32).T)
            seen = np.array(weight * radiance, dtype=np.float32).T.copy()
        for key in values:
            scene.handles[key] = dr.detach(scene.handles[key])
    scene._place(z)  # noqa: SLF001
    return torch.from_numpy(seen), torch.from_numpy(np.stack(found, 1))
