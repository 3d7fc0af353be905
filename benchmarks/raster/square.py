"""A hard-edged square has to move onto another one: the plateau that PRDPT was made for."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.problem import Problem
from methods._ranges import Count
from methods._work import Work

HALF = 0.1  # half size of a square, in cells
OCCLUDER_HALF = 0.18  # leaves a margin of more than one σ around the hidden square
SIGMA = 0.05  # z = 1.0
TARGET = (0.5, 0.33)
START = {"apart": (0.5, 0.66), "overlap": (0.5, 0.43), "occluded": (0.5, 0.66)}
JITTER = 0.02  # replicates start up to this far apart, in cells
LEVELS = 8  # grey levels 1, 15/16, … : sums of their squares are exact in float32, so plateaus are exactly flat


class Square(Problem):
    """Move k squares on a black picture of size² pixels to their targets; z = (x1, y1, x2, y2 …), y pointing down.

    A pixel is lit when its centre lies in a square, without anti-aliasing, so the picture is piecewise constant in z:
    its exact gradient is zero almost everywhere, and that is what `loss_and_grad` returns. The loss is the mean squared
    error to the target picture. With k squares the unit square is cut into ⌈√k⌉² cells, each a copy of the task with
    lengths scaled to it.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2023 (PRDPT), the 2-D motivating example: half size .1, 256² pixels, from (.5, .66) to "
        "(.5, .33), σ .05; the cases follow the overview's Fig. 4 with its sphere replaced by the square. Ours: the "
        "jitter of .02 at the start, the overlapping start (.5, .43), the grey occluder of half size .18, k squares in "
        "a grid of cells, and sizes rounded to whole pixels, which makes the covered area independent of the position "
        "and the plateau exactly flat"
    )
    gradient = "exact"
    has_picture = True

    def setup(
        self,
        case: Literal["apart", "overlap", "occluded"] = "apart",
        squares: Count = 1,
        size: Annotated[int, Ge(16), Le(65536)] = 64,
    ) -> None:
        """Start each square beside its target, overlapping it, or hidden below an occluder at the same place.

        Args:
            case: Where the squares start.
            squares: Their number k; the task has 2k dimensions.
            size: Pixels along a side; 256 in the paper.
        """
        grid = math.ceil(math.sqrt(squares))
        if size < 16 * grid:
            raise UsageError(f"raster.square: size {size} is too coarse for {squares} squares, use {16 * grid} or more")
        self.dim = 2 * squares
        self.size = size
        self.unit = 1 / grid  # side of a cell
        self.scale = SIGMA * self.unit
        self.width = round(2 * HALF * self.unit * size)  # pixels
        self.level = 1 - torch.arange(squares, device=self.device).remainder(LEVELS)[:, None] / 16  # (k, 1)
        corner = torch.stack(torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="xy"), -1).flatten(0, 1)
        self.corner = corner[:squares].float()  # (k, 2) in cells
        self.reference = self._place(TARGET)
        self.begin = self._place(START[case])
        self.pixel = torch.arange(size, device=self.device)
        margin = self.width / 2 / size / self.scale
        self.lower = torch.full((self.dim,), margin, device=self.device)
        self.upper = torch.full((self.dim,), 1 / self.scale - margin, device=self.device)
        self.occluder = None
        if case == "occluded":
            wide = round(2 * OCCLUDER_HALF * self.unit * size)
            self.occluder = self._cover(self.begin[None], wide)[0].any(0)  # (size, size)
        self.target = self.observe(self.reference[None], 0)[0]
        self.bytes_per_candidate = 16 * size**2 + 12 * squares * size

    def _place(self, position: tuple[float, float]) -> Tensor:
        """Return z (dim,) with every square at `position` of its cell."""
        return ((self.corner + torch.tensor(position)) * self.unit / self.scale).flatten().to(self.device)

    def _intervals(self, z: Tensor, width: int) -> Tensor:
        """Return which columns and rows squares of `width` pixels cover: bool (n, k, 2, size)."""
        centre = z.view(len(z), -1, 2) * (self.scale * self.size)
        first = (centre - width / 2).round().long()[..., None]
        return (self.pixel >= first) & (self.pixel < first + width)

    def _cover(self, z: Tensor, width: int) -> Tensor:
        """Return the pixels that each square covers: bool (n, k, size, size), rows first."""
        columns, rows = self._intervals(z, width).unbind(2)
        return rows[..., :, None] & columns[..., None, :]

    @property
    def work(self) -> Work:
        return Work(launches=4, numbers=2 * self.size**2 * (1 + self.dim / 2))

    def start(self, seed: int) -> Tensor:
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return self.begin + (jitter * JITTER * self.unit / self.scale).to(self.device)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        columns, rows = self._intervals(z, self.width).float().unbind(2)
        picture = (rows * self.level).transpose(1, 2).bmm(columns).clamp_(max=1)  # overlapping squares add up
        if self.occluder is not None:
            picture.masked_fill_(self.occluder, 0.25)
        return picture

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed - self.target).square().mean((1, 2))

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and zeros (n, dim): the exact derivative of a piecewise constant function."""
        return self.loss(z, seed), torch.zeros_like(z)

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss and the root mean squared distance of the coordinates, in picture widths."""
        metrics = super().validate(z)
        return {**metrics, "parameter_error": metrics["parameter_error"] * self.scale}

    def image(self, z: Tensor) -> Tensor:
        return self.observe(z[None], 0)[0]
