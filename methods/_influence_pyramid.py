"""The same picture at several sharpnesses, and what a criterion asks of it where its details cannot be predicted."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

BLURS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)  # standard deviations in pixels, finest first
WIDEST = 8  # a blur is at most this part of the picture's shorter side
CHANNELS = 4  # a last axis this short holds colours
MATCHED = 1e-2  # a target is found when no more than this share of the criterion is left
SEARCHED = 300  # steps
AUDIBLE = 0.1  # of the noise's energy has an answer to have, to be told from noise

Criterion = Callable[[Tensor], Tensor]  # (n, *picture) → (n,)


class Pyramid:
    """Gaussian blurs of pictures whose shape is (…, h, w) or (…, h, w, colours); edges are replicated.

    Every level is linear, P ↦ B P, and keeps the picture's shape. Pictures of one axis have no neighbours: one level.
    """

    def __init__(self, shape: tuple[int, ...], example: Tensor, blurred: bool = True) -> None:
        self.shape = shape
        self.example = example
        coloured = len(shape) >= 3 and shape[-1] <= CHANNELS
        self.axes = (-3, -2) if coloured else (-2, -1)
        side = min(shape[axis] for axis in self.axes) if blurred and len(shape) >= 2 else 0
        self.blurs = tuple(s for s in BLURS if s == 0 or s * WIDEST <= side)

    def __len__(self) -> int:
        return len(self.blurs)

    @cached_property
    def matrices(self) -> list[tuple[Tensor, Tensor]]:
        return [tuple(_blur_matrix(self.shape[a], s, self.example) for a in self.axes) for s in self.blurs if s > 0]

    def averaged(self, level: int) -> float:
        """Return what a blur leaves of the variance of errors that are independent from pixel to pixel: 1/4πs²."""
        return 1 / max(1.0, 4 * math.pi * self.blurs[level] ** 2)

    def blur(self, pictures: Tensor, level: int) -> Tensor:
        """Return pictures (…, *shape), or (…, pixels) flattened, blurred as at `level`, in the same shape."""
        if level == 0:
            return pictures
        rows, columns = self.matrices[level - 1]
        own = pictures.reshape(-1, *self.shape)
        moved = own.movedim(self.axes, (-2, -1))
        return (rows @ moved @ columns.T).movedim((-2, -1), self.axes).reshape(pictures.shape)

    def objective(
        self, criterion: Criterion, level: int, wanted: Tensor | None, least_squares: bool = False
    ) -> Criterion:
        """Return what a level asks of pictures (n, pixels): the criterion, or blurred least squares to `wanted`.

        The finest level asks for least squares only if told so.
        """
        if wanted is None or (level == 0 and not least_squares):
            return lambda p: criterion(self.blur(p, level).view(-1, *self.shape))
        goal = wanted.flatten()
        return lambda p: self.blur(p - goal, level).square().mean(1)


def linear_share(ahead: Tensor, behind: Tensor, scales: int) -> tuple[Tensor, Tensor]:
    """Return the share (odd − even)/(odd + even) of responses to steps and their opposites, per scale but the last.

    `ahead` and `behind` (m, pixels) are m/scales each at scale after scale; the last scale is 0 and tells what renders
    differ by alone. The second answer is the share without that.
    """
    odd = (ahead - behind).square().sum(1).unflatten(0, (scales, -1)).sum(1)
    even = (ahead + behind).square().sum(1).unflatten(0, (scales, -1)).sum(1)
    shares = []
    for less in (0.0, 1.0):
        sure, unsure = odd[:-1] - less * odd[-1], even[:-1] - less * even[-1]
        sure = torch.where(sure > less * AUDIBLE * odd[-1], sure, -1.0)
        total = sure + unsure.clamp_min(0)
        shares.append(torch.where(sure > 0, (sure - unsure.clamp_min(0)) / total.clamp_min(1e-30), -1.0))
    return shares[0], shares[1]


def _blur_matrix(size: int, sigma: float, example: Tensor) -> Tensor:
    radius = int(3 * sigma) + 1
    offset = torch.arange(-radius, radius + 1, device=example.device)
    weight = torch.exp(-0.5 * (offset / sigma) ** 2)
    at = (torch.arange(size, device=example.device)[:, None] + offset).clamp(0, size - 1)
    matrix = torch.zeros(size, size, device=example.device)
    return matrix.scatter_add_(1, at, (weight / weight.sum()).expand(size, -1)).to(example)


def wanted_picture(criterion: Criterion, picture: Tensor) -> Tensor | None:
    """Return a picture (*shape) that the criterion is content with, found from `picture`; None where there was none.

    The criterion is free of charge: this descends it in the picture's own pixels, by the signs of its slopes (Rprop,
    Riedmiller & Braun 1993), since a criterion may hang on single pixels. Of a criterion that ignores exposure,
    C(2P) = C(P), the exposure is that of `picture`.
    """
    spread = float(picture.std()) or 1.0
    with torch.enable_grad():
        wanted = picture.detach().clone().requires_grad_(True)
        optimizer = torch.optim.Rprop([wanted], lr=0.1 * spread, step_sizes=(1e-6 * spread, spread))
        unit = abs(float(criterion(picture[None]).detach())) or 1.0
        for _ in range(SEARCHED):
            optimizer.zero_grad()
            (criterion(wanted[None]).sum() / unit).backward()
            optimizer.step()
    found = wanted.detach()
    with torch.no_grad():
        before, after, twice = criterion(torch.stack([picture, found, 2 * found])).tolist()
    if not after <= MATCHED * before:
        return None
    if abs(twice - after) <= 1e-3 * before:
        found = found * (picture.mean() / found.mean())
    return found
