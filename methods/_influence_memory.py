"""Renders that are kept: as many as memory allows, as long as they are worth something."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1024  # renders kept, at most
NUMBERS = 2**28  # kept of them, at most
FORGOTTEN = 0.02  # weight of a render that is dropped

Rows = tuple[Tensor, Tensor, Tensor]  # steps (n, dim), responses (n, pixels), weights (n,)


def remembered(known: Rows, x: Tensor, y: Tensor) -> Rows:
    """Return known rows with steps x (m, dim) and responses y (m, pixels) of weight 1 after them."""
    rows = min(ROWS, max(64, NUMBERS // (x.shape[1] + y.shape[1])))
    weight = torch.cat([known[2], x.new_ones(len(x))])[-rows:]
    kept = weight > FORGOTTEN
    return torch.cat([known[0], x])[-rows:][kept], torch.cat([known[1], y])[-rows:][kept], weight[kept]
