"""Pairs of directions in Rusinkiewicz's half and difference vectors."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosines(half: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
    """Return cos θ of the incoming and of the outgoing direction, (…,) each, of vectors (…, 3) with φ_h = 0.

    ω_i is the difference vector turned by θ_h about y; ω_o is its mirror image about h (Rusinkiewicz 1998).
    """
    upright, tilt = half[..., 2] * difference[..., 2], half[..., 0] * difference[..., 0]
    return upright - tilt, upright + tilt


def draw(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return half and difference vectors (count, 3), uniform in (θ_h, θ_d, φ_d), both directions above the horizon.

    θ_h, θ_d in [0, π/2), φ_d in [0, 2π), as Sztrajman et al. 2021 and Fischer & Ritschel 2022 draw them. φ_h is 0: the
    materials are isotropic. Ours: pairs with a direction below the horizon are rejected (about a third of all).
    """
    halves, differences, found = [], [], 0
    while found < count:
        angles = torch.rand(2 * count, 3, generator=generator) * torch.tensor([0.5, 0.5, 2.0]) * math.pi
        theta_h, theta_d, phi_d = angles.unbind(1)
        half = torch.stack([theta_h.sin(), torch.zeros_like(theta_h), theta_h.cos()], 1)
        sine = theta_d.sin()
        difference = torch.stack([sine * phi_d.cos(), sine * phi_d.sin(), theta_d.cos()], 1)
        into, out = cosines(half, difference)
        above = (into > 1e-3) & (out > 1e-3)  # at the very horizon the microfacet terms divide by zero
        halves.append(half[above])
        differences.append(difference[above])
        found += int(above.sum())
    return torch.cat(halves)[:count], torch.cat(differences)[:count]


def half_and_difference(into: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Return half and difference vectors (…, 3), φ_h turned to 0, of unit directions (…, 3) with the normal along z."""
    half = torch.nn.functional.normalize(into + out, dim=-1)
    sine = half[..., :2].norm(dim=-1)
    # Frame of the half vector: x' along increasing θ_h, y' = z × h; at the pole, where φ_h has no meaning, x' is x.
    safe = sine.clamp_min(1e-7)
    along = torch.where(
        (sine > 1e-6)[..., None], half[..., :2] / safe[..., None], half.new_tensor([1.0, 0.0]).expand_as(half[..., :2])
    )
    radial = (into[..., :2] * along).sum(-1)
    across = into[..., 1] * along[..., 0] - into[..., 0] * along[..., 1]
    x = half[..., 2] * radial - sine * into[..., 2]
    z = sine * radial + half[..., 2] * into[..., 2]
    upright = torch.stack([sine, torch.zeros_like(sine), half[..., 2]], -1)
    return upright, torch.stack([x, across, z], -1)
