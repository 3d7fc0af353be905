"""The two small networks of the digits: a denoiser, and a classifier whose features pictures are compared in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPREAD = 0.6  # standard deviation of the data's pixels, for the scaling of in- and output
WIDTH, BLOCKS, WAVES = 288, 2, 16


class Block(nn.Module):
    """A residual layer whose hidden units the noise level scales and shifts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, elementwise_affine=False)
        self.level = nn.Linear(2 * WAVES, 2 * WIDTH)
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        nn.init.zeros_(self.second.weight)

    def forward(self, hidden: Tensor, waves: Tensor) -> Tensor:
        scale, shift = self.level(waves).chunk(2, 1)
        inner = nn.functional.silu(self.first(self.norm(hidden)) * (1 + scale) + shift)
        return hidden + self.second(inner)


class Denoiser(nn.Module):
    """E[x | y] as c_skip y + c_out F(c_in y, v) with the scalings of Karras et al. 2022 (EDM), Table 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(-1, 1, WAVES))
        self.into, self.out = nn.Linear(dim, WIDTH), nn.Linear(WIDTH, dim)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def forward(self, y: Tensor, v: Tensor) -> Tensor:
        """Return the denoised values (n, dim) of y (n, dim) at noise levels (n,) or (1,)."""
        v = v[:, None]
        total = v**2 + SPREAD**2
        phases = v.log() * self.frequencies
        waves = torch.cat([phases.cos(), phases.sin()], 1)
        hidden = self.into(y * total.rsqrt())
        for block in self.blocks:
            hidden = block(hidden, waves)
        return SPREAD**2 / total * y + v * SPREAD * total.rsqrt() * self.out(nn.functional.silu(hidden))


class Classifier(nn.Module):
    """Digits in, features and classes out."""

    def __init__(self, dim: int, features: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(dim, 128), nn.ReLU(), nn.Linear(128, features), nn.ReLU())
        self.head = nn.Linear(features, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, 10)."""
        return self.head(self.body(x))
