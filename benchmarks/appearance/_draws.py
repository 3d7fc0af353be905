"""Random initial weights of many networks, such that more networks do not change the first ones."""

from __future__ import annotations

import torch
from torch import Tensor


def normal(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Return standard normal numbers (count, size), each row drawn by itself.

    One call for all rows would not do: torch draws in blocks that do not end where rows end.
    """
    rows = [torch.randn(size, generator=generator) for _ in range(count)]
    return torch.stack(rows) if rows else torch.empty(0, size)
