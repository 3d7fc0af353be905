"""An environment map as a network from a direction to radiance, of many tasks at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmarks.appearance._draws import normal

OCTAVES = 3
SIZES = (3 + 6 * OCTAVES, 32, 32, 3)
SHAPES = tuple(zip(SIZES[:-1], SIZES[1:], strict=True))  # (in, out)
N_WEIGHTS = sum((fan_in + 1) * out for fan_in, out in SHAPES)
HEAD = (SIZES[-2] + 1) * SIZES[-1]  # weights of the last layer, which stand last
LARGEST = 12.0  # of the exponent: radiance 1.6e5; a diverged network stays finite


def features(directions: Tensor) -> Tensor:
    """Return Fourier features (n, 21) of unit directions (n, 3): d, sin 2ᵏ π d / 2, cos 2ᵏ π d / 2, k = 0, 1, 2."""
    phase = directions[:, None] * (math.pi / 2 * 2.0 ** torch.arange(OCTAVES))[:, None].to(directions)
    return torch.cat([directions, phase.sin().flatten(1), phase.cos().flatten(1)], 1)


def evaluate(weights: Tensor, inputs: Tensor) -> Tensor:
    """Return radiance (tasks, n, 3) ≥ 0 of flat weights (tasks, n_weights) at features (n, 21).

    Every layer is one batched matrix product over (tasks, in, out) weights, with ReLU between and exp(·) at the end.
    """
    activity, begin = inputs.expand(len(weights), -1, -1), 0
    for layer, (fan_in, out) in enumerate(SHAPES):
        weight = weights[:, begin : begin + fan_in * out].view(-1, fan_in, out)
        begin += fan_in * out
        bias = weights[:, begin : begin + out].unsqueeze(1)
        begin += out
        activity = torch.baddbmm(bias, activity, weight)
        if layer < len(SHAPES) - 1:
            activity = activity.relu()
    return activity.clamp_max(LARGEST).exp()


def initial(count: int, generator: torch.Generator) -> Tensor:
    """Return so many initialisations (count, n_weights): He et al. 2015 for ReLU, the last layer smaller, biases 0.

    A new network shows a radiance near 1 everywhere, which is also the mean of every map.
    """
    scales = []
    for layer, (fan_in, out) in enumerate(SHAPES):
        spread = math.sqrt(2 / fan_in) * (1.0 if layer < len(SHAPES) - 1 else 0.1)
        scales += [torch.full((fan_in * out,), spread), torch.zeros(out)]
    return normal(count, N_WEIGHTS, generator) * torch.cat(scales)
