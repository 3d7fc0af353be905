"""Environment maps in latitude and longitude: directions of texels, their solid angles, lookups, averages.

A map is (height, width, 3) of linear radiance, flat (height · width, 3) where it is multiplied. Row 0 is up (+y), the
middle column looks along +z, column 0 along −z with +x to its right: Mitsuba's convention.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def directions(height: int, width: int) -> Tensor:
    """Return the unit directions (height · width, 3) of the texels' centres."""
    theta = (torch.arange(height) + 0.5) / height * math.pi
    phi = (torch.arange(width) + 0.5) / width * 2 * math.pi
    theta, phi = torch.meshgrid(theta, phi, indexing="ij")
    sine = theta.sin()
    return torch.stack([sine * phi.sin(), theta.cos(), -sine * phi.cos()], -1).flatten(0, 1)


def solid_angles(height: int, width: int) -> Tensor:
    """Return the texels' solid angles (height · width,) in sr; their sum is 4π."""
    edge = (torch.arange(height + 1) / height * math.pi).double().cos()
    return (2 * math.pi / width * (edge[:-1] - edge[1:])).float().repeat_interleave(width)


def corners(along: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return the texels (…, 4) about directions (…, 3) and their weights (…, 4) in bilinear interpolation.

    Columns wrap; beyond the centres of the first and last row the map is constant along the meridian.
    """
    column = (torch.atan2(along[..., 0], -along[..., 2]) / (2 * math.pi)).remainder(1) * width - 0.5
    row = (along[..., 1].clamp(-1, 1).acos() / math.pi * height - 0.5).clamp(0, height - 1)
    left, top = column.floor(), row.floor()
    right_share, low_share = column - left, row - top
    left, top = left.long(), top.long()
    columns = torch.stack([left, left + 1, left, left + 1], -1).remainder(width)
    rows = torch.stack([top, top, top + 1, top + 1], -1).clamp_max(height - 1)
    across = torch.stack([1 - right_share, right_share], -1)
    down = torch.stack([1 - low_share, low_share], -1)
    return rows * width + columns, (down[..., :, None] * across[..., None, :]).flatten(-2)


def reduce(maps: Tensor, height: int, width: int) -> Tensor:
    """Return maps (n, h, w, 3) averaged over the area on the sphere that each texel covers, (n, height, width, 3)."""
    fine, wide = maps.shape[1:3]
    area = solid_angles(fine, wide).to(maps).view(1, 1, fine, wide)
    total = interpolate(maps.permute(0, 3, 1, 2) * area, (height, width), mode="area")
    return (total / interpolate(area, (height, width), mode="area")).permute(0, 2, 3, 1)
