"""From noise to the six channels of a material: a U-Net with AdaIN, the weights of all tasks as one flat tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, instance_norm, interpolate, leaky_relu, pad

from benchmarks.appearance._draws import normal
from benchmarks.appearance._flash import CHANNELS

NOISE = 4  # channels of noise
SLOPE = 0.2  # of the leaky rectifier where it is negative
KERNEL = 3


class Decoder:
    """White noise → unbounded channels for `_flash.to_maps`.

    Level l has a grid 2^l times coarser and `channels` · 2^l channels. On the way down means over 2 × 2 pixels, on the
    way up repeated pixels joined with what the way down had found at this level; at every level one 3 × 3 convolution,
    AdaIN and a leaky rectifier. AdaIN (Huang & Belongie 2017) brings each channel of each picture to zero mean and unit
    variance, then to a scale and a shift, which here are weights as all others. A last convolution makes the channels.
    Ours: pictures are continued periodically, so that all places are alike.
    """

    def __init__(self, channels: int, depth: int) -> None:
        """Have so many channels at the finest level; halve the grid `depth` times."""
        self.depth = depth
        self.multiple = 2**depth  # height and width of the noise have to be a multiple
        width = [channels * 2**level for level in range(depth + 1)]
        down = [(NOISE if level == 0 else width[level - 1], width[level]) for level in range(depth + 1)]
        up = [(width[level + 1] + width[level], width[level]) for level in reversed(range(depth))]
        self.layers = [*down, *up]  # (in, out) of the convolutions that AdaIN follows
        self.last = (channels, CHANNELS)
        self.sizes = [size for fan_in, out in self.layers for size in (KERNEL**2 * fan_in * out, out, out)]
        self.sizes += [KERNEL**2 * channels * CHANNELS, CHANNELS]
        self.n_weights, self.n_head = sum(self.sizes), sum(self.sizes[-2:])

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return so many draws (count, n_weights): filters after He et al. 2015, scales 1, shifts 0."""
        spread, mean = [], []
        for fan_in, out in self.layers:
            gain = math.sqrt(2 / (1 + SLOPE**2))
            spread += [
                torch.full((KERNEL**2 * fan_in * out,), gain / (KERNEL * math.sqrt(fan_in))),
                torch.zeros(2 * out),
            ]
            mean += [torch.zeros(KERNEL**2 * fan_in * out), torch.ones(out), torch.zeros(out)]
        fan_in, out = self.last
        spread += [torch.full((KERNEL**2 * fan_in * out,), 1 / (KERNEL * math.sqrt(fan_in))), torch.zeros(out)]
        mean += [torch.zeros(KERNEL**2 * fan_in * out + out)]
        return torch.cat(mean) + normal(count, self.n_weights, generator) * torch.cat(spread)

    def __call__(self, weights: Tensor, noise: Tensor) -> Tensor:
        """Return channels (tasks, n, 6, h, w) of noise (tasks, n, NOISE, h, w) and weights (tasks, n_weights).

        Tasks are groups of each convolution, and the n pictures its batch. Twice differentiable.
        """
        tasks = len(weights)
        parts = iter(weights.split(self.sizes, 1))
        layers = iter(self.layers)

        def convolve(activity: Tensor, fan_in: int, out: int) -> Tensor:
            filters = next(parts).reshape(tasks * out, fan_in, KERNEL, KERNEL)
            return conv2d(pad(activity, (KERNEL // 2,) * 4, mode="circular"), filters, groups=tasks)

        def layer(activity: Tensor) -> Tensor:
            activity = convolve(activity, *next(layers))
            scale, shift = next(parts).flatten(), next(parts).flatten()
            return leaky_relu(instance_norm(activity, weight=scale, bias=shift), SLOPE)

        def per_task(activity: Tensor) -> Tensor:
            return activity.unflatten(1, (tasks, -1))

        activity = layer(noise.transpose(0, 1).flatten(1, 2))  # (n, tasks · channels, h, w)
        found = [activity]
        for _ in range(self.depth):
            activity = layer(avg_pool2d(activity, 2))
            found.append(activity)
        found.pop()
        for beside in reversed(found):
            above = interpolate(activity, scale_factor=2.0, mode="nearest")
            activity = layer(torch.cat([per_task(above), per_task(beside)], 2).flatten(1, 2))
        channels = convolve(activity, *self.last) + next(parts).reshape(1, -1, 1, 1)
        return per_task(channels).transpose(0, 1)
