"""Colours that are told and not learned: a picture's mean and covariance of colours are those of its exemplar."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods.meta.base import Batch

SMALLEST = 1e-4  # variance below which a colour counts as even


@dataclass(frozen=True)
class Colours:
    """What is known of the colours of so many members."""

    mean: Tensor  # (members, 3)
    root: Tensor  # (members, 3, 3), of the covariance; symmetric

    def batch(self, members: Tensor, n: int) -> Batch:
        """Return them for these members (tasks,) as entries of a batch of n samples."""
        entries = {"mean": self.mean[members], "root": self.root[members]}
        return {name: value[:, None].expand(-1, n, *value.shape[1:]) for name, value in entries.items()}


def colours_of(values: Tensor) -> Colours:
    """Return the colours of values (members, 3, places)."""
    mean = values.mean(2)
    away = values - mean[..., None]
    even = SMALLEST * torch.eye(3, dtype=values.dtype, device=values.device)
    variance, axes = torch.linalg.eigh(away @ away.mT / values.shape[2] + even)
    return Colours(mean, axes @ torch.diag_embed(variance.sqrt()) @ axes.mT)


def coloured(channels: Tensor, batch: Batch) -> Tensor:
    """Return channels (tasks, n, 3, h, w), each normalised within its picture, with the colours of a batch.

    What a network has to find is then the pattern, and where in it which colour is: without this, most gradient steps
    go into the right mean colour (ours).
    """
    variance, mean = torch.var_mean(channels, (3, 4), correction=0, keepdim=True)
    normal = (channels - mean) * (variance + SMALLEST).rsqrt()
    return batch["mean"][..., None, None] + torch.einsum("tncd,tndhw->tnchw", batch["root"], normal)
