"""A mosaic by insight: knowing which pixels a tile covers, improve one tile after the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SHIFTS = (-2.0, -0.7, 0.0, 0.7, 2.0)  # pixels that a tile is tried at, in x and y

Distances = Callable[[Tensor, Tensor], Tensor]  # places (t, 2), kinds (t,) → (t, size, size)


@torch.no_grad()
def improve(
    distances: Distances, place: Tensor, target: Tensor, palette: Tensor, kinds: int, sweeps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return places (t, 2), colours (t,) and kinds (t,) of tiles that no single change of one tile improves much.

    Each tile in turn takes the place, kind and colour that lower the squared error most while all others stay.

    Args:
        distances: How far each pixel is from each tile.
        place: Where tiles are at first, (t, 2) in pixels.
        target: The photograph, (size, size, 3).
        palette: Colours to choose from, (c, 3).
        kinds: How many kinds there are.
        sweeps: How often each tile has its turn.
    """
    place = place.clone()
    tiles = len(place)
    kind = torch.zeros(tiles, dtype=torch.long, device=place.device)
    price = (target.flatten(0, 1)[:, None] - palette).square().sum(2)  # (pixels, c): of showing a colour there
    away = distances(place, kind).flatten(1)  # (t, pixels)
    owner = away.argmin(0)
    color = torch.zeros(tiles, price.shape[1], device=place.device).index_add_(0, owner, price).argmin(1)
    offsets = torch.cartesian_prod(torch.tensor(SHIFTS), torch.tensor(SHIFTS)).to(place)
    choices = torch.arange(kinds, device=place.device).repeat_interleave(len(offsets))
    for _ in range(sweeps):
        for tile in range(tiles):
            others = away.clone()
            others[tile] = torch.inf
            nearest, second = others.min(0)
            left = price.gather(1, color[second][:, None])[:, 0]  # (pixels,) without this tile
            spots = place[tile] + offsets.repeat(kinds, 1)
            trial = distances(spots, choices).flatten(1)  # (trials, pixels)
            covered = (trial < nearest).to(price)
            total = covered @ (price - left[:, None])  # (trials, c): what the tile adds
            best = int(total.argmin())
            at, color[tile] = best // price.shape[1], best % price.shape[1]
            place[tile], kind[tile], away[tile] = spots[at], choices[at], trial[at]
    return place, color, kind
