"""Gradients that soft rasterizers offer for a scene: named, and blind to all that a rasterizer cannot show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering._shapes import Vector
from benchmarks.rendering._soft_raster import SOFTNESSES, Camera, SoftRasterizer, Surface


class SoftGradient:
    """Loss between the soft picture of z and the soft picture of the reference, and its derivative by z.

    Both sides come from the rasterizer itself, which is the reading most favourable to it: at the reference the loss is
    zero. (Fischer & Ritschel 2023 compare its picture with one by a path tracer.)
    """

    def __init__(
        self,
        rasterizer: SoftRasterizer,
        surfaces: Callable[[Tensor], list[Surface]],
        compare: Callable[[Tensor, Tensor], Tensor],
        reference: Tensor,
    ) -> None:
        """`surfaces` maps z (dim,) to surfaces, `compare` pictures (n, h, w, 3) and a target (h, w, 3) to losses."""
        self.rasterizer, self.surfaces, self.compare, self.reference = rasterizer, surfaces, compare, reference
        self.target: Tensor | None = None

    def __call__(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and gradients (n, dim) of z (n, dim), one candidate at a time, without noise."""
        if self.target is None:
            with torch.no_grad():
                self.target = self.rasterizer(self.surfaces(self.reference))
        losses, gradients = [], []
        for row in z.detach():
            with torch.enable_grad():
                row = row.clone().requires_grad_(True)
                loss = self.compare(self.rasterizer(self.surfaces(row))[None], self.target)[0]
                (gradient,) = torch.autograd.grad(loss, row)
            losses.append(loss.detach())
            gradients.append(gradient)
        return torch.stack(losses), torch.stack(gradients)


def soft_gradients(
    sensor: dict[str, Any],
    size: tuple[int, int],
    towards_light: Vector,
    surfaces: Callable[[Tensor], list[Surface]],
    compare: Callable[[Tensor, Tensor], Tensor],
    reference: Tensor,
) -> dict[str, SoftGradient]:
    """Return name → gradient for a scene seen by `sensor` (see `_shapes.camera`) in `size` (width, height) pixels.

    Empty where the scene names no surfaces: what it is about, a rasterizer does not show.
    """
    drawn = surfaces(reference)
    if not drawn:
        return {}
    camera = Camera.of(sensor, reference.device).framing(torch.cat([surface.vertices for surface in drawn]))
    return {
        name: SoftGradient(SoftRasterizer(camera, *size, softness, towards_light), surfaces, compare, reference)
        for name, softness in SOFTNESSES.items()
    }
