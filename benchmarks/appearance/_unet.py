"""A U-Net with AdaIN from noise to the channels of a picture, with the weights of all tasks as one flat tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, interpolate, leaky_relu, pad

from benchmarks.appearance._draws import normal

NOISE = 4  # channels of noise
SLOPE = 0.2  # of the leaky rectifier where it is negative
KERNEL = 3


class UNet:
    """White noise → unbounded channels; 3 × 3 convolutions, each but the last followed by AdaIN and a leaky rectifier.

    Going down, level l works on a grid 2^l times coarser, of means over 2 × 2 pixels, with `channels` · 2^l channels;
    going up, the coarser level is enlarged and joined with the finer one. AdaIN (Huang & Belongie 2017) normalises each
    channel of each picture, then gives it a scale and a shift, which are weights like all others. Ours: the picture is
    a torus (circular padding), so that every pixel has the same distribution and results can be tiled.
    """

    def __init__(self, channels: int, depth: int, out: int) -> None:
        """Have so many channels at the finest level, halve the grid `depth` times, end with `out` channels."""
        self.depth, self.out = depth, out
        self.multiple = 2**depth  # of what height and width of the noise have to be
        widths = [channels * 2**level for level in range(depth + 1)]
        down = [(NOISE, channels), *zip(widths[:-1], widths[1:], strict=True)]
        up = [(widths[level + 1] + widths[level], widths[level]) for level in reversed(range(depth))]
        self.shapes = [*down, *up, (channels, out)]  # (in, out)
        parts = [part for fan_in, out in self.shapes for part in (KERNEL**2 * fan_in * out, out, out)]
        self.parts = parts[:-1]  # per layer: filters, scales, shifts; the last layer has no scales
        self.n_weights, self.n_head = sum(self.parts), sum(self.parts[-2:])

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return so many draws (count, n_weights): filters after He et al. 2015, scales 1, shifts 0."""
        spread, mean = [], []
        for layer, (fan_in, out) in enumerate(self.shapes):
            last = layer == len(self.shapes) - 1
            gain, scaled = (1.0, 0) if last else (math.sqrt(2 / (1 + SLOPE**2)), out)
            filters = KERNEL**2 * fan_in * out
            spread += [torch.full((filters,), gain / (KERNEL * math.sqrt(fan_in))), torch.zeros(scaled + out)]
            mean += [torch.zeros(filters), torch.ones(scaled), torch.zeros(out)]
        return torch.cat(mean) + normal(count, self.n_weights, generator) * torch.cat(spread)

    def __call__(self, weights: Tensor, noise: Tensor) -> Tensor:
        """Return channels (tasks, n, out, h, w) of noise (tasks, n, NOISE, h, w).

        Weights are (tasks, n_weights); the tasks are groups of one convolution. Twice differentiable.
        """
        tasks = len(weights)
        parts = iter(weights.split(self.parts, 1))
        shapes = iter(self.shapes)

        def convolve(activity: Tensor) -> Tensor:
            fan_in, out = next(shapes)
            filters = next(parts).reshape(tasks * out, fan_in, KERNEL, KERNEL)
            return conv2d(pad(activity, (KERNEL // 2,) * 4, mode="circular"), filters, groups=tasks)

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
        channels = convolve(activity) + next(parts).reshape(1, self.out * tasks, 1, 1)
        return channels.unflatten(1, (tasks, self.out)).transpose(0, 1)
