"""A sphere under three distant lights: how a BRDF is shown, and compared as a picture."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.appearance._directions import half_and_difference

LIGHTS = (  # direction towards the light (x right, y up, z to the viewer), irradiance
    ((-0.6, 0.7, 0.6), 1.3),  # key, upper left
    ((0.9, 0.1, 0.5), 0.4),  # fill, right
    ((0.3, -0.5, -0.35), 0.6),  # rim, from behind and below
)
BACKGROUND = 0.5


class Sphere:
    """An orthographic view of a unit sphere; tangent frames, lights and vectors are set up once."""

    def __init__(self, pixels: int, device: torch.device) -> None:
        axis = (torch.arange(pixels) + 0.5) / pixels * 2 - 1
        y, x = torch.meshgrid(-axis, axis, indexing="ij")
        x, y = 1.02 * x, 1.02 * y
        self.inside = (x**2 + y**2 < 0.999).to(device)
        shape = (x[self.inside.cpu()], y[self.inside.cpu()])
        normal = torch.stack([*shape, (1 - shape[0] ** 2 - shape[1] ** 2).sqrt()], 1)  # (p, 3)
        tangent = torch.nn.functional.normalize(torch.linalg.cross(normal.new_tensor([[0.0, 1.0, 0.0]]), normal), dim=1)
        frame = torch.stack([tangent, torch.linalg.cross(normal, tangent), normal], 1)  # world → local
        towards = torch.nn.functional.normalize(torch.tensor([light[0] for light in LIGHTS]), dim=1)
        into = torch.einsum("pij,lj->pli", frame, towards)  # (p, lights, 3)
        out = frame[:, :, 2][:, None].expand_as(into)  # the viewer is at +z
        lit = into[..., 2] > 1e-3
        self.pixel, light = lit.nonzero(as_tuple=True)
        half, difference = half_and_difference(into[lit], out[lit])
        irradiance = torch.tensor([light[1] for light in LIGHTS])[light] * into[lit][:, 2]
        self.half, self.difference = half.to(device), difference.to(device)  # (q, 3), one row per lit pixel and light
        self.irradiance, self.pixel = irradiance.to(device), self.pixel.to(device)

    def render(self, brdf: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return pictures (tasks, pixels, pixels, 3) in [0, 1], sRGB, clipped.

        Args:
            brdf: half and difference vectors (q, 3) → (tasks, q, 3) in 1/sr; negative values count as zero.
        """
        light = brdf(self.half, self.difference).clamp_min(0) * (math.pi * self.irradiance[:, None])
        count = len(light)
        shape = (count, int(self.inside.sum()), 3)
        radiance = light.new_zeros(shape).index_add_(1, self.pixel, light)
        picture = light.new_full((count, *self.inside.shape, 3), BACKGROUND)
        picture[:, self.inside] = srgb(radiance)
        return picture


def srgb(radiance: Tensor) -> Tensor:
    """Return the sRGB transfer function of radiance, clipped to [0, 1]."""
    clipped = radiance.clamp(0, 1)
    return torch.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped.clamp_min(1e-9) ** (1 / 2.4) - 0.055)
