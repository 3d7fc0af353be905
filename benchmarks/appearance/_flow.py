"""A normalizing flow on the unit hypercube: a density that can be evaluated and drawn from, of many tasks at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus

from benchmarks.appearance._draws import normal

SMALLEST = 0.02  # width and height of a bin, as a share of the mean bin; and slope at a knot
START = 0.1  # factor on the last layer's random weights: the flow begins near the identity, i.e. a uniform density
UNIT_SLOPE = math.log(math.expm1(1 - SMALLEST))  # softplus(UNIT_SLOPE) + SMALLEST = 1


@dataclass(frozen=True)
class Flow:
    """Coupling layers with rational-quadratic splines (Durkan et al. 2019) from [0, 1]^dim to itself.

    A layer transforms some coordinates, each by a monotonic spline of [0, 1] whose knots and slopes are the output of
    a network that sees the other coordinates. The density of u is the product of all slopes on the way from u to z,
    z uniform: q(u) = |∂z/∂u|. Slopes at the ends are free, because the cube has no outside. Networks have two hidden
    layers with SiLU (smooth: the density is differentiated twice) and see a coordinate v as 2v − 1, cos 2πv and
    sin 2πv. All widths, heights and slopes are bounded from below, so that neither q nor 1/q can overflow.

    Weights are flat, (tasks, n_weights); each network layer is one batched matrix product over all tasks.
    """

    dim: int
    layers: tuple[tuple[int, ...], ...]  # coordinates that each layer transforms
    bins: int
    hidden: int

    def shapes(self, layer: int) -> tuple[tuple[int, int], ...]:
        """Return (in, out) of the matrices of a layer's network."""
        moved = len(self.layers[layer])
        return (
            (3 * (self.dim - moved), self.hidden),
            (self.hidden, self.hidden),
            (self.hidden, moved * (3 * self.bins + 1)),
        )

    def size(self, layer: int) -> int:
        """Return the number of weights of a layer's network."""
        return sum((fan_in + 1) * out for fan_in, out in self.shapes(layer))

    @property
    def n_weights(self) -> int:
        """Number of weights of a task."""
        return sum(map(self.size, range(len(self.layers))))

    def head(self) -> Tensor:
        """Return whether a weight is one of the last layer of its network, (n_weights,) of truth values."""
        found = []
        for layer in range(len(self.layers)):
            fan_in, out = self.shapes(layer)[-1]
            found.append(torch.arange(self.size(layer)) >= self.size(layer) - (fan_in + 1) * out)
        return torch.cat(found)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return random weights (count, n_weights): normal with variance 1 / fan-in, biases zero; row by row, so that
        more of them do not change the first ones.
        """
        scales = []
        for layer in range(len(self.layers)):
            for factor, (fan_in, out) in zip((1, 1, START), self.shapes(layer), strict=True):
                scales += [torch.full((fan_in * out,), factor / math.sqrt(fan_in)), torch.zeros(out)]
        return normal(count, self.n_weights, generator) * torch.cat(scales)

    def to_base(self, weights: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (tasks, n, dim) and log q(u) (tasks, n) of points u (tasks, n, dim)."""
        return self._transform(weights, points, inverse=False)

    def from_base(self, weights: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return u (tasks, n, dim) and log q(u) (tasks, n) of points z (tasks, n, dim): z uniform makes u follow q."""
        points, log_slope = self._transform(weights, points, inverse=True)
        return points, -log_slope

    def _transform(self, weights: Tensor, points: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
        values = list(points.unbind(2))
        total = torch.zeros_like(values[0])
        parts = list(enumerate(weights.split([self.size(layer) for layer in range(len(self.layers))], 1)))
        for layer, part in reversed(parts) if inverse else parts:
            moved = self.layers[layer]
            seen = torch.stack([values[i] for i in range(self.dim) if i not in moved], 2)
            parameters = self._network(layer, part, seen).unflatten(2, (len(moved), -1))
            results, log_slope = spline(torch.stack([values[i] for i in moved], 2), parameters, inverse)
            for i, value in zip(moved, results.unbind(2), strict=True):
                values[i] = value
            total = total + log_slope.sum(2)
        return torch.stack(values, 2), total

    def _network(self, layer: int, weights: Tensor, seen: Tensor) -> Tensor:
        angle = 2 * math.pi * seen
        activity, begin = torch.cat([2 * seen - 1, angle.cos(), angle.sin()], 2), 0
        for number, (fan_in, out) in enumerate(self.shapes(layer)):
            matrix = weights[:, begin : begin + fan_in * out].view(-1, fan_in, out)
            begin += fan_in * out
            bias = weights[:, begin : begin + out].unsqueeze(1)
            begin += out
            activity = torch.baddbmm(bias, silu(activity) if number else activity, matrix)
        return activity


def spline(x: Tensor, parameters: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
    """Return the monotonic rational-quadratic spline of x in [0, 1], or its inverse, and the logarithm of its slope.

    Args:
        x: any shape.
        parameters: (*x.shape, 3 k + 1), of k bins: widths, heights and slopes at the k + 1 knots, before softmax and
            softplus; all zero is the identity.
    """
    bins = parameters.shape[-1] // 3
    logits = parameters[..., : 2 * bins].unflatten(-1, (2, bins))
    # Softmax by hand: over so few numbers, PyTorch's own takes about twice as long.
    powers = (logits - logits.amax(-1, keepdim=True).detach()).exp()
    share = powers / powers.sum(-1, keepdim=True)
    sizes = SMALLEST / bins + (1 - SMALLEST) * share  # widths, heights: (…, 2, k)
    ends = sizes.cumsum(-1)
    inside = x.clamp(0, 1)[..., None]
    found = (inside >= ends[..., 1 if inverse else 0, :-1]).sum(-1, keepdim=True)  # bin of each x, (…, 1)
    both = found[..., None].expand(*found.shape[:-1], 2, 1)
    width, height = (size := sizes.gather(-1, both)[..., 0]).unbind(-1)
    left, bottom = (ends.gather(-1, both)[..., 0] - size).unbind(-1)
    slopes = parameters[..., 2 * bins :].gather(-1, torch.cat([found, found + 1], -1))
    before, after = (SMALLEST + softplus(slopes + UNIT_SLOPE)).unbind(-1)
    mean = height / width
    bend = before + after - 2 * mean
    # ξ is the place in the bin, from 0 to 1 (Durkan et al. 2019, eqs. 4-8).
    if inverse:
        rise = inside[..., 0] - bottom
        a, b, c = height * (mean - before) + rise * bend, height * before - rise * bend, -mean * rise
        place = 2 * c / (-b - (b**2 - 4 * a * c).clamp_min(0).sqrt())
    else:
        place = (inside[..., 0] - left) / width
    place = place.clamp(0, 1)
    product = place * (1 - place)
    below = mean + bend * product
    slope = 2 * mean.log() - 2 * below.log() + (after * place**2 + 2 * mean * product + before * (1 - place) ** 2).log()
    if inverse:
        return (left + place * width).clamp(0, 1), -slope
    return (bottom + height * (mean * place**2 + before * product) / below).clamp(0, 1), slope
