"""The handwritten digits that come with scikit-learn, and a law made of them that one can draw from for ever."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

SIDE = 8
TURN, SCALE, SHIFT = (
    0.2,
    0.1,
    0.1,
)  # most by which a digit is turned (rad), scaled, shifted (half-widths of the picture)


def digits() -> tuple[Tensor, Tensor]:
    """Return pixels (1797, 64) in [−1, 1] and classes (1797,)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.data, dtype=torch.float32) / 8 - 1, torch.tensor(data.target)


def moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return every digit (n, 64) turned, scaled and shifted a little at random; outside the picture there is paper."""
    turn, scale, across, down = (2 * torch.rand(4, len(pixels), generator=generator) - 1).to(pixels.device)
    angle, factor = TURN * turn, torch.exp(math.log1p(SCALE) * scale)
    rows = [
        torch.stack([factor * angle.cos(), -factor * angle.sin(), SHIFT * across], 1),
        torch.stack([factor * angle.sin(), factor * angle.cos(), SHIFT * down], 1),
    ]
    grid = affine_grid(torch.stack(rows, 1), [len(pixels), 1, SIDE, SIDE], align_corners=False)
    ink = grid_sample((pixels.view(-1, 1, SIDE, SIDE) + 1) / 2, grid, align_corners=False)
    return (2 * ink - 1).flatten(1)


def draw(pixels: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return n moved digits (n, 64) and which of the given ones (n,) they come from."""
    chosen = torch.randint(len(pixels), (n,), generator=generator)
    return moved(pixels[chosen.to(pixels.device)], generator), chosen
