"""Differentiable stand-ins for a loss: h_φ(z), fitted to samples by `zerograds`.

`features` turns candidates into inputs once per batch, `forward` maps features to predictions: several fits on one
batch then share the costly encoding.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu, linear

Kind = Literal["neural", "quadratic", "linear"]
LOW = 64  # largest dimension that takes the small network (ours; published: 1 and 2 small, 336 and more large)


class Encoding(torch.autograd.Function):
    """Candidates z (n, dim) as (n, (1 + 2·frequencies)·dim): x = scale·z, sin 2^k x, cos 2^k x.

    Written into one piece of memory, and differentiated by the sines and cosines that lie there: where inputs are
    millions, finding memory for each octave and each part of its derivative takes longer than the sines do.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, scale: float, frequencies: int) -> Tensor:
        rows = z.new_empty(1 + 2 * frequencies, z.shape[1], len(z))  # one input's values lie side by side
        torch.mul(z.T, scale, out=rows[0])
        wave = rows[0].clone()
        for sine, cosine in zip(rows[1 : 1 + frequencies], rows[1 + frequencies :], strict=True):
            torch.sin(wave, out=sine)
            torch.cos(wave, out=cosine)
            wave *= 2
        ctx.save_for_backward(rows)
        ctx.scale, ctx.frequencies = scale, frequencies
        return rows.view(-1, len(z)).T

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        (rows,) = ctx.saved_tensors
        slopes = slope.T.reshape(rows.shape)
        total = slopes[0].clone()
        for k in range(ctx.frequencies):
            sine, cosine = 1 + k, 1 + ctx.frequencies + k
            total.addcmul_(slopes[sine], rows[cosine], value=2.0**k)
            total.addcmul_(slopes[cosine], rows[sine], value=-(2.0**k))
        return ctx.scale * total.T, None, None


class Network(nn.Module):
    """An MLP with leaky ReLU after every layer, the output's included.

    Low dimensions: 3 hidden layers of 64 on the plain coordinates. High ones: 8 of 128 on a positional encoding
    x, sin 2^k x, cos 2^k x, k = 0 … frequencies − 1, of width (1 + 2·frequencies)·dim.

    Source: Fischer & Ritschel 2024. Ours: the first layer sees x = scale·z, where the default scale 1/40 is the paper's
    σ in its own units for textures and weights, 1/3 the one of its low-dimensional tasks, so that inputs have the
    published magnitude; the powers of two carry no factor π; initial weights are uniform in ±1/√(inputs).
    """

    def __init__(
        self,
        dim: int,
        layers: int,
        width: int,
        frequencies: int,
        scale: float,
        generator: torch.Generator,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.frequencies = frequencies
        sizes = [(1 + 2 * frequencies) * dim, *[width] * layers, 1]

        def drawn(fan_in: int, *shape: int) -> nn.Parameter:
            value, bound = torch.empty(shape, device=generator.device, dtype=dtype), 1 / math.sqrt(fan_in)
            return nn.Parameter(value.uniform_(-bound, bound, generator=generator))

        self.first = drawn(sizes[0], *sizes[:2])  # (inputs, width): one input's weights lie side by side
        self.weights = nn.ParameterList([drawn(size, out, size) for size, out in pairwise(sizes[1:])])
        self.biases = nn.ParameterList([drawn(size, out) for size, out in pairwise(sizes)])

    def features(self, z: Tensor) -> Tensor:
        """Encode candidates (n, dim) as (n, (1 + 2·frequencies)·dim)."""
        return Encoding.apply(z, self.scale, self.frequencies)

    def forward(self, features: Tensor) -> Tensor:
        """Predict losses (n,)."""
        return self.head(features @ self.first)

    def head(self, hidden: Tensor) -> Tensor:
        """Predict losses (n,) from the features' products with the first weights, (n, width)."""
        hidden = leaky_relu(hidden + self.biases[0])
        for weight, bias in zip(self.weights, self.biases[1:], strict=True):
            hidden = leaky_relu(linear(hidden, weight, bias))
        return hidden.squeeze(1)

    def later(self) -> list[nn.Parameter]:
        """Return all parameters but the first weights."""
        return [*self.weights, *self.biases]


class Linear(nn.Module):
    """h(z) = b·x + c with x = z − origin: one slope for everywhere, starting from zero."""

    def __init__(self, origin: Tensor) -> None:
        super().__init__()
        self.register_buffer("origin", origin.clone())
        self.slope = nn.Parameter(torch.zeros_like(origin))
        self.constant = nn.Parameter(torch.zeros_like(origin[:1]))

    def features(self, z: Tensor) -> Tensor:
        """Centre candidates (n, dim)."""
        return z - self.origin

    def forward(self, features: Tensor) -> Tensor:
        """Predict losses (n,)."""
        return features @ self.slope + self.constant


class Quadratic(Linear):
    """h(z) = ½ xᵀA x + b·x + c with a full matrix A, starting from zero."""

    def __init__(self, origin: Tensor) -> None:
        super().__init__(origin)
        self.matrix = nn.Parameter(origin.new_zeros(len(origin), len(origin)))

    def forward(self, features: Tensor) -> Tensor:
        """Predict losses (n,)."""
        return super().forward(features) + 0.5 * ((features @ self.matrix) * features).sum(1)


def layout(dim: int, layers: int | None, width: int | None, frequencies: int | None) -> tuple[int, int, int]:
    """Return hidden layers, width and frequencies: the published ones for this dimension where None."""
    published = (3, 64, 0) if dim <= LOW else (8, 128, 6)
    chosen = (layers, width, frequencies)
    return tuple(known if given is None else given for known, given in zip(published, chosen, strict=True))


def parameter_count(kind: Kind, dim: int, layers: int, width: int, frequencies: int) -> int:
    """Return the number of numbers in φ."""
    if kind == "linear":
        return dim + 1
    if kind == "quadratic":
        return dim * dim + dim + 1
    return ((1 + 2 * frequencies) * dim + 1) * width + (layers - 1) * (width + 1) * width + width + 1


def build(
    kind: Kind, origin: Tensor, layers: int, width: int, frequencies: int, scale: float, generator: torch.Generator
) -> Network | Linear:
    """Return an unfitted surrogate for candidates around `origin` (dim,)."""
    if kind == "neural":
        return Network(len(origin), layers, width, frequencies, scale, generator, origin.dtype)
    return Linear(origin) if kind == "linear" else Quadratic(origin)
