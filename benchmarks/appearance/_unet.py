"""A U-Net from noise to a picture, with the weights of all tasks as one flat tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, interpolate, leaky_relu, pad

from benchmarks.appearance._draws import normal

NOISE = 4  # channels of noise
SLOPE = 0.2  # of the leaky rectifier where it is negative


class UNet:
    """White noise → sRGB pictures; every 3 × 3 convolution is followed by AdaIN and a leaky rectifier.

    Going down, level l works on a grid 2^l times coarser with `channels` · 2^l channels; going up, the coarser level is
    enlarged and joined with the finer one. The last convolution ends in a sigmoid. AdaIN (Huang & Belongie 2017)
    normalises each channel of each picture, then gives it a scale and a shift, which are weights like all others. Ours:
    the picture is a torus (circular padding), so that every pixel has the same distribution and results can be tiled.
    """

    def __init__(self, channels: int, depth: int) -> None:
        """Have so many channels at the finest level and halve the grid `depth` times."""
        self.depth = depth
        widths = [channels * 2**level for level in range(depth + 1)]
        down = [(NOISE, channels), *zip(widths[:-1], widths[1:], strict=True)]
        up = [(widths[level + 1] + widths[level], widths[level]) for level in reversed(range(depth))]
        self.shapes = [*down, *up, (channels, 3)]  # (in, out)
        parts = [part for fan_in, out in self.shapes for part in (9 * fan_in * out, out, out)]
        self.parts = parts[:-1]  # per layer: filters, scales, shifts; the last layer has no scales
        self.n_weights, self.n_head = sum(self.parts), sum(self.parts[-2:])

    @property
    def multiple(self) -> int:
        """Return what height and width of the noise have to be a multiple of."""
        return 2**self.depth

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return so many draws (count, n_weights): filters after He et al. 2015, scales 1, shifts 0."""
        spread, mean = [], []
        for layer, (fan_in, out) in enumerate(self.shapes):
            scaled = out if layer < len(self.shapes) - 1 else 0  # the last layer has no scales
            spread += [torch.full((9 * fan_in * out,), math.sqrt(2 / ((1 + SLOPE**2) * 9 * fan_in)))]
            spread += [torch.zeros(scaled + out)]
            mean += [torch.zeros(9 * fan_in * out), torch.ones(scaled), torch.zeros(out)]
        return torch.cat(mean) + normal(count, self.n_weights, generator) * torch.cat(spread)

    def __call__(self, weights: Tensor, noise: Tensor) -> Tensor:
        """Return pictures (tasks, n, 3, h, w) in [0, 1] of noise (tasks, n, NOISE, h, w).

        Weights are (tasks, n_weights); the tasks are groups of one convolution. Twice differentiable.
        """
        tasks = len(weights)
        parts = iter(weights.split(self.parts, 1))
        shapes = iter(self.shapes)

        def convolve(activity: Tensor) -> Tensor:
            fan_in, out = next(shapes)
            filters = next(parts).reshape(tasks * out, fan_in, 3, 3)
            return conv2d(pad(activity, (1, 1, 1, 1), mode="circular"), filters, groups=tasks)

        def layer(activity: Tensor) -> Tensor:
            activity = convolve(activity)
            scale, shift = next(parts).flatten(), next(parts).flatten()
            return leaky_relu(instance_norm(activity, weight=scale, bias=shift), SLOPE)

        def join(one: Tensor, other: Tensor) -> Tensor:
            both = [activity.unflatten(1, (tasks, -1)) for activity in (one, other)]
            return torch.cat(both, 2).flatten(1, 2)

        activity = noise.transpose(0, 1).flatten(1, 2)  # (n, tasks · channels, h, w)
        finer = []
        for level in range(self.depth + 1):
            activity = layer(avg_pool2d(activity, 2) if level else activity)
            finer.append(activity)
        for level in reversed(range(self.depth)):
            activity = layer(join(interpolate(activity, scale_factor=2.0, mode="nearest"), finer[level]))
        colours = convolve(activity) + next(parts).reshape(1, 3 * tasks, 1, 1)
        return colours.sigmoid().unflatten(1, (tasks, 3)).transpose(0, 1)
