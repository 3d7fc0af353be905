"""Analytic BRDFs: five models, isotropic, evaluated for many materials at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.appearance._directions import cosines


@dataclass(frozen=True)
class Angles:
    """Cosines (tasks, n) between normal n, light l, viewer v and half vector h."""

    nl: Tensor
    nv: Tensor
    nh: Tensor
    lh: Tensor


@dataclass(frozen=True)
class Materials:
    """Parameters of so many materials; what a model does not use is there all the same."""

    model: Tensor  # (n,) index into MODELS
    diffuse: Tensor  # (n, 3) in [0, .8]
    specular: Tensor  # (n, 3) reflectance at normal incidence, or the lobe's weight
    roughness: Tensor  # (n,) in [0, 1]

    def __getitem__(self, members: Tensor) -> Materials:
        return Materials(self.model[members], self.diffuse[members], self.specular[members], self.roughness[members])

    def to(self, device: torch.device) -> Materials:
        """Return the same materials on a device."""
        parts = (self.model, self.diffuse, self.specular, self.roughness)
        return Materials(*(part.to(device) for part in parts))


def lambert(at: Angles, material: Materials) -> Tensor:
    """Lambert's law with Oren & Nayar's (1994) roughness: σ = roughness · 30°."""
    square = (material.roughness[:, None] * math.radians(30)) ** 2
    flat = 1 - 0.5 * square / (square + 0.33)
    rough = 0.45 * square / (square + 0.09)
    # cos(φ_i − φ_o) sin α tan β = (l·v − nl nv) / max(nl, nv), where l·v = 2 (l·h)² − 1
    side = (2 * at.lh**2 - 1 - at.nl * at.nv).clamp_min(0) / torch.maximum(at.nl, at.nv)
    return material.diffuse[:, None] / math.pi * (flat + rough * side)[..., None]


def phong(at: Angles, material: Materials) -> Tensor:
    """Normalised Phong (Lafortune & Willems 1994): ks (m + 2) / 2π (r·v)^m, m = 2 / roughness⁴ − 2."""
    exponent = (2 / material.roughness**4 - 2).clamp(1, 400)[:, None]
    mirrored = (2 * at.nl * at.nv - (2 * at.lh**2 - 1)).clamp(1e-6, 1)
    lobe = (exponent + 2) / (2 * math.pi) * mirrored**exponent
    return material.diffuse[:, None] / math.pi + material.specular[:, None] * lobe[..., None]


def ward(at: Angles, material: Materials) -> Tensor:
    """Isotropic Ward (1992): ks exp(−tan²θ_h / α²) / (4π α² √(nl nv)), α = roughness²."""
    square = (material.roughness**4).clamp_min(0.006)[:, None]
    tangent = 1 / at.nh.clamp_min(1e-3) ** 2 - 1
    lobe = torch.exp(-tangent / square) / (4 * math.pi * square * (at.nl * at.nv).sqrt())
    return material.diffuse[:, None] / math.pi + material.specular[:, None] * lobe[..., None]


def cook_torrance(at: Angles, material: Materials) -> Tensor:
    """Cook & Torrance (1982): Beckmann's distribution, Schlick's Fresnel term, V-shaped grooves; α = roughness²."""
    square = (material.roughness**4).clamp_min(0.006)[:, None]
    nh = at.nh.clamp_min(1e-3)
    distribution = torch.exp((1 - 1 / nh**2) / square) / (math.pi * square * nh**4)
    grooves = (2 * nh * torch.minimum(at.nl, at.nv) / at.lh.clamp_min(1e-3)).clamp_max(1)
    lobe = distribution * grooves / (4 * at.nl * at.nv)
    return material.diffuse[:, None] / math.pi + _schlick(material.specular, at.lh) * lobe[..., None]


def disney(at: Angles, material: Materials) -> Tensor:
    """Disney's principled base (Burley 2012): retro-reflecting diffuse, GGX with Smith's shadowing; α = roughness²."""
    rough = material.roughness[:, None]
    edge = 0.5 + 2 * rough * at.lh**2 - 1
    base = (1 + edge * (1 - at.nl) ** 5) * (1 + edge * (1 - at.nv) ** 5)
    square = (rough**4).clamp_min(0.006)
    distribution = square / (math.pi * (at.nh**2 * (square - 1) + 1) ** 2)
    shadow = _smith(at.nl, square) * _smith(at.nv, square)  # each with its 1 / (2 n·ω)
    return material.diffuse[:, None] / math.pi * base[..., None] + _schlick(material.specular, at.lh) * (
        distribution * shadow
    ).unsqueeze(-1)


def _schlick(specular: Tensor, cosine: Tensor) -> Tensor:
    return specular[:, None] + (1 - specular[:, None]) * ((1 - cosine).clamp(0, 1) ** 5)[..., None]


def _smith(cosine: Tensor, square: Tensor) -> Tensor:
    return 1 / (cosine + (square + (1 - square) * cosine**2).sqrt())


MODELS: tuple[Callable[[Angles, Materials], Tensor], ...] = (disney, phong, ward, cook_torrance, lambert)
METAL_SHARE = 0.3


def draw_materials(count: int, generator: torch.Generator) -> Materials:
    """Return random materials, the models in turn.

    Hue uniform on the RGB cube, mixed with grey; albedo .05 … .8; roughness .3 … .9 (Phong exponents 1 … 245, α .09 …
    .81); specular reflectance .02 … .15 and colourless, or, for the share METAL_SHARE, tinted .3 … .95 on a dark base.
    """

    def uniform(low: float, high: float, *size: int) -> Tensor:
        return low + (high - low) * torch.rand(*size, generator=generator)

    model = torch.arange(count) % len(MODELS)
    hue = torch.lerp(uniform(0, 1, count, 1), uniform(0, 1, count, 3), uniform(0, 1, count, 1))
    albedo = uniform(0.05, 0.8, count, 1)
    diffuse = albedo * hue / hue.amax(1, keepdim=True)
    tint = torch.lerp(torch.ones(1), uniform(0.4, 1, count, 3), uniform(0, 1, count, 1))
    metal = torch.rand(count, 1, generator=generator) < METAL_SHARE
    specular = torch.where(metal, uniform(0.3, 0.95, count, 1) * tint, uniform(0.02, 0.15, count, 1).expand(-1, 3))
    diffuse = torch.where(metal & (model != MODELS.index(lambert))[:, None], 0.1 * diffuse, diffuse)
    return Materials(model, diffuse, specular, uniform(0.3, 0.9, count))


def evaluate(materials: Materials, half: Tensor, difference: Tensor) -> Tensor:
    """Return the BRDFs (tasks, n, 3) in 1/sr of materials (tasks,) at vectors (tasks, n, 3), above the horizon."""
    into, out = cosines(half, difference)
    value = torch.empty_like(half)
    for index, model in enumerate(MODELS):
        rows = (materials.model == index).nonzero()[:, 0]
        if len(rows):
            angles = Angles(into[rows], out[rows], half[rows][..., 2], difference[rows][..., 2])
            value[rows] = model(angles, materials[rows])
    return value
