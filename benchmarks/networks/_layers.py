"""Starting weights of small networks, as normalised coordinates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

STEP = 0.025  # z = 1.0 in weights, ZeroGrads' σ for the digit


def uniform_start(shapes: Sequence[tuple[int, int]], seed: int) -> Tensor:
    """Return weights and biases of layers (out, in), one after the other, uniform in ±1/√in, in units of STEP."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for out, fan_in in shapes:
        bound = 1 / math.sqrt(fan_in) / STEP
        parts.append((2 * torch.rand(out * (fan_in + 1), generator=generator) - 1) * bound)
    return torch.cat(parts)
