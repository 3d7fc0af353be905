"""Patterns of directions to measure a BRDF at: coordinates without bounds, so that they can be learned by descent."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from benchmarks.appearance._directions import draw

Kind = Literal["random", "stratified"]

STEEPEST = 0.98 * math.pi / 2  # largest θ_h
SHARE = 0.95  # largest θ_d as a share of the angle at which a direction meets the horizon
CELLS = 256  # of the angles, for the density of stratified directions
EDGE = 1e-3  # coordinates of known directions keep this far from both ends, where the sigmoid is flat


def vectors(coordinates: Tensor) -> tuple[Tensor, Tensor]:
    """Return half and difference vectors (…, 3) of coordinates (…, 3), any real numbers; differentiable.

    θ_h = STEEPEST σ(u₁), φ_d = u₃, and θ_d = SHARE σ(u₂) θ* (θ_h, φ_d), where at θ* = atan2(cos θ_h, sin θ_h |cos φ_d|)
    one of the two directions touches the horizon (φ_h is 0: isotropic). The lower cosine is at least
    (1 − SHARE) cos STEEPEST = .0016, because it is R sin(θ* − θ_d) with R sin θ* = cos θ_h, and the sine is concave.
    Ours: the published parametrisation is not known.
    """
    theta_h, phi_d = STEEPEST * coordinates[..., 0].sigmoid(), coordinates[..., 2]
    theta_d = SHARE * coordinates[..., 1].sigmoid() * horizon(theta_h, phi_d)
    half = torch.stack([theta_h.sin(), torch.zeros_like(theta_h), theta_h.cos()], -1)
    sine = theta_d.sin()
    return half, torch.stack([sine * phi_d.cos(), sine * phi_d.sin(), theta_d.cos()], -1)


def coordinates(half: Tensor, difference: Tensor) -> Tensor:
    """Return coordinates (…, 3) of vectors (…, 3): the inverse of `vectors`, but for those beyond its limits."""
    theta_h = torch.atan2(half[..., 0], half[..., 2])
    theta_d = torch.atan2(difference[..., :2].norm(dim=-1), difference[..., 2])
    phi_d = torch.atan2(difference[..., 1], difference[..., 0])
    shares = torch.stack([theta_h / STEEPEST, theta_d / (SHARE * horizon(theta_h, phi_d))], -1)
    return torch.cat([shares.clamp(EDGE, 1 - EDGE).logit(), phi_d[..., None]], -1)


def horizon(theta_h: Tensor, phi_d: Tensor) -> Tensor:
    """Return the θ_d at which one of the directions touches the horizon, in (0, π/2]."""
    return torch.atan2(theta_h.cos(), theta_h.sin() * phi_d.cos().abs())


def pattern(count: int, kind: Kind, generator: torch.Generator) -> Tensor:
    """Return coordinates (count, 3) of directions uniform in (θ_h, θ_d, φ_d), both above the horizon.

    `random`: independent, as samples for training are drawn. `stratified`: the same density, spread out as a scrambled
    Sobol sequence (Owen 1998) is, which the inverse cumulative density takes to θ_h, φ_d and θ_d in turn.
    """
    if kind == "random":
        return coordinates(*draw(count, generator))
    seed = int(torch.randint(2**31, (), generator=generator))
    first, second, third = torch.quasirandom.SobolEngine(3, scramble=True, seed=seed).draw(count).unbind(1)
    middles = (torch.arange(CELLS) + 0.5) / CELLS
    length = horizon(middles[:, None] * math.pi / 2, middles * 2 * math.pi)  # of θ_d; the density of (θ_h, φ_d)
    rows = _inverse(length.sum(1).expand(count, -1), first)
    theta_h = rows * math.pi / 2
    phi_d = _inverse(length[(rows * CELLS).long().clamp_max(CELLS - 1)], second) * 2 * math.pi
    shares = torch.stack([theta_h / STEEPEST, third / SHARE], 1)
    return torch.cat([shares.clamp(EDGE, 1 - EDGE).logit(), phi_d[:, None]], 1)


def _inverse(density: Tensor, share: Tensor) -> Tensor:
    """Return where in [0, 1] the cumulative sum of a density (n, cells) comes to this share (n,) of its total."""
    total = density.cumsum(1)
    goal = (share * total[:, -1])[:, None]
    cell = torch.searchsorted(total, goal).clamp_max(density.shape[1] - 1)
    height = density.gather(1, cell)
    return ((cell + 1 - (total.gather(1, cell) - goal) / height) / density.shape[1])[:, 0].clamp(0, 1)
