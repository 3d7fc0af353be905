"""Losses of pictures that still tell directions where colours do not overlap those of the target."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

DIRECTIONS = 8  # over half a turn
BINS = 64  # of a projection
FLOOR = 1e-7  # added to every pixel's mass, so that a colour that is out of sight has a distribution too


def pyramid(pictures: Tensor, target: Tensor) -> Tensor:
    """Return Σ_k mean |A_k(I − r)|², A_k the average over blocks of 2^k × 2^k pixels, down to one or two pixels.

    Args:
        pictures: I, (n, height, width, 3).
        target: r, (height, width, 3).

    Returns:
        Losses (n,), differentiable.
    """
    difference = (pictures - target).movedim(3, 1)
    height, width = target.shape[:2]
    loss = difference.square().flatten(1).mean(1)
    for level in range(1, int(math.log2(min(height, width))) + 1):
        size = (height >> level, width >> level)
        loss = loss + adaptive_avg_pool2d(difference, size).square().flatten(1).mean(1)
    return loss


def transport(pictures: Tensor, target: Tensor) -> Tensor:
    """Return how far colour has to be carried across the picture: sliced Wasserstein distances between hues.

    A picture becomes six distributions over its plane, one per `hues`, each of unit mass. The distance between two
    distributions on a line is W₁ = ∫ |F − G|, F and G their cumulated masses; it is averaged over eight directions and,
    weighted by their masses in the target, summed over the hues.
    Source: Rabin et al. 2012, *Wasserstein Barycenter and its Application to Texture Mixing* (slicing, there of W₂);
    ours: the hues and W₁.

    Args:
        pictures: (n, height, width, 3), linear radiance.
        target: (height, width, 3).

    Returns:
        Losses (n,), differentiable, in widths of the picture.
    """
    height, width = target.shape[:2]
    matrix = _projection(height, width, target.device).to(target.dtype)
    mass, goal = hues(pictures) + FLOOR, hues(target[None]) + FLOOR
    shares = (mass / mass.sum(2, keepdim=True) - goal / goal.sum(2, keepdim=True)) @ matrix  # (n, 6, DIRECTIONS · BINS)
    distances = shares.unflatten(2, (DIRECTIONS, BINS)).cumsum(3).abs().sum(3) * _bin_size(height, width)
    weights = goal.sum(2) / goal.sum()
    return (distances.mean(2) * weights).sum(1)


def hues(pictures: Tensor) -> Tensor:
    """Return the masses (n, 6, pixels) of red, yellow, green, cyan, blue and magenta; grey has none.

    A colour is unmixed into white, one secondary and one primary colour: (3, 2, 0) is 2 of yellow and 1 of red.
    """
    red, green, blue = pictures.flatten(1, 2).unbind(2)
    parts = []
    for this, second, third in ((red, green, blue), (green, blue, red), (blue, red, green)):
        parts.append(this - torch.maximum(second, third))
        parts.append(torch.minimum(this, second) - third)
    return torch.stack(parts, 1).relu()


def _bin_size(height: int, width: int) -> float:
    """Return the width of a bin of the projections, in widths of the picture: the diagonal's share."""
    return math.hypot(1, height / width) / (BINS - 1)


@cache
def _projection(height: int, width: int, device: torch.device) -> Tensor:
    """Return the matrix (pixels, DIRECTIONS · BINS) that projects masses, each shared by the two nearest bins."""
    y = (torch.arange(height, device=device) - (height - 1) / 2) / width
    x = (torch.arange(width, device=device) - (width - 1) / 2) / width
    angle = torch.arange(DIRECTIONS, device=device) * math.pi / DIRECTIONS
    along = x[None, :, None] * angle.cos() + y[:, None, None] * angle.sin()  # (height, width, DIRECTIONS)
    position = along.flatten(0, 1) / _bin_size(height, width) + (BINS - 1) / 2
    bins = torch.arange(BINS, device=device)
    return (1 - (position[..., None] - bins).abs()).relu().flatten(1)
