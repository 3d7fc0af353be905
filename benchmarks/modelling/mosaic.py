"""Tiles are placed, coloured from a palette and given a kind, until they look like a photograph."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image
from skimage import data, transform
from torch import Tensor

from benchmarks.contract.problem import Problem
from benchmarks.modelling._greedy import improve
from methods._discrete import Discrete
from methods._work import Work

COLORS = 8  # of the palette
# A tile's distance is max(a · max(|x|, |y|), b · (|x| + |y|)) of the offset: a square, a diamond, an octagon.
KINDS = {"square": (1.0, 0.0), "diamond": (0.0, 0.8), "octagon": (0.9, 0.64)}
OWN = 2 + COLORS + len(KINDS)  # coordinates of a tile
STEP = 0.25  # z = 1.0 in distances between neighbouring tiles of the start
JITTER = 0.3  # of a start's tiles, in distances between neighbours
REACH = 16.0  # natural steps that a tile may move
SWEEPS = 4  # of the greedy search


class Mosaic(Problem):
    """Mean squared error between a photograph and a mosaic: every pixel shows the tile that is nearest to it.

    A tile has a place (2 coordinates), one of 8 colours of a palette (8 scores, the highest wins) and a kind (3 scores)
    that decides how it measures distance: tiles are squares, diamonds or octagons, cut where they meet. Edges are hard,
    so moving a tile by less than a pixel changes a few pixels or none, and scores change nothing until one overtakes
    another. The palette is the photograph's own, by median cut. The start is a shaken grid of tiles of one colour.

    The floor is what a search with insight reaches: it knows which pixels a tile covers, takes the best colour for
    them, and tries kinds and places tile by tile.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads) mention a mosaic, without description. Ours: everything, and a photograph "
        "of an astronaut (scikit-image, public domain) as target"
    )
    has_picture = True

    def setup(self, tiles: Annotated[int, Ge(4), Le(4096)] = 128, size: Annotated[int, Ge(8), Le(1024)] = 48) -> None:
        """Place so many tiles (13 coordinates each: 128 are 1,664) on size² pixels."""
        self.tiles, self.size, self.dim = tiles, size, OWN * tiles
        self.pitch = size / tiles**0.5  # pixels between neighbours
        photograph = transform.resize(data.astronaut()[:224, 112:336] / 255.0, (size, size), anti_aliasing=True)
        self.target = torch.as_tensor(photograph, dtype=torch.float32, device=self.device)
        self.palette = torch.as_tensor(palette_of(photograph), device=self.device)  # (COLORS, 3)
        self.weights = torch.tensor(list(KINDS.values()), device=self.device)  # (kinds, 2)
        self.pixels = torch.arange(size, device=self.device) + 0.5
        self.grid = grid(tiles, size).to(self.device)  # (tiles, 2)
        first = 2 * tiles
        colors = [Discrete(first + COLORS * tile, COLORS, chosen=True) for tile in range(tiles)]
        first += COLORS * tiles
        kinds = [Discrete(first + len(KINDS) * tile, len(KINDS), chosen=True) for tile in range(tiles)]
        self.discrete = (*colors, *kinds)
        ends = torch.full((self.dim,), 4.0, device=self.device)
        ends[: 2 * tiles] = REACH
        self.lower, self.upper = -ends, ends
        mean = self.target.mean((0, 1))
        self.first_color = int((self.palette - mean).square().sum(1).argmin())
        self.bytes_per_candidate = 12 * tiles * size**2

    @property
    def work(self) -> Work:
        """Every pixel is compared with every tile."""
        return Work(launches=3, numbers=2 * self.tiles * self.size**2)

    def start(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        place = (2 * torch.rand(self.tiles, 2, generator=generator) - 1) * (JITTER / STEP)
        color = torch.full((self.tiles,), self.first_color)
        kind = torch.randint(len(KINDS), (self.tiles,), generator=generator)
        return self.encode(self.grid + STEP * self.pitch * place.to(self.device), color, kind)

    def encode(self, place: Tensor, color: Tensor, kind: Tensor) -> Tensor:
        """Return z (dim,) of tiles at `place` (tiles, 2) in pixels, with indices of colours and kinds (tiles,)."""
        scores = torch.eye(COLORS)[color.cpu()].flatten(), torch.eye(len(KINDS))[kind.cpu()].flatten()
        offset = ((place - self.grid) / (STEP * self.pitch)).flatten()
        return torch.cat([offset, *(score.to(self.device) for score in scores)])

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return places (n, tiles, 2) in pixels, and the indices of colours and kinds (n, tiles), of z (n, dim)."""
        parts = z.split([2 * self.tiles, COLORS * self.tiles, len(KINDS) * self.tiles], 1)
        place = self.grid.to(z) + STEP * self.pitch * parts[0].unflatten(1, (self.tiles, 2))
        color, kind = (highest(part.unflatten(1, (self.tiles, -1))) for part in parts[1:])
        return place, color, kind

    def distances(self, place: Tensor, kind: Tensor) -> Tensor:
        """Return how far pixels are from tiles, (…, tiles, size, size), for places (…, tiles, 2), kinds (…, tiles)."""
        x, y = ((self.pixels.to(place) - place[..., axis, None]).abs() for axis in (0, 1))
        wide, sum_ = self.weights.to(place)[kind].unsqueeze(-1).unbind(-2)
        # max and sum are separable once the weights are in: a · max(x, y) = max(a x, a y).
        far = torch.maximum((wide * x)[..., None, :], (wide * y)[..., :, None])
        return torch.maximum(far, (sum_ * x)[..., None, :] + (sum_ * y)[..., :, None])

    def observe(self, z: Tensor, seed: int) -> Tensor:
        place, color, kind = self.decode(z)
        nearest = self.distances(place, kind).flatten(2).argmin(1)  # (n, pixels)
        return self.palette.to(z)[color.gather(1, nearest)].unflatten(1, (self.size, self.size))

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed - self.target).square().mean((1, 2, 3))

    @cached_property
    def best(self) -> Tensor:
        """What the search with insight finds, (dim,)."""
        place, color, kind = improve(self.distances, self.grid, self.target, self.palette, len(KINDS), SWEEPS)
        return self.encode(place, color, kind)

    def solution(self) -> Tensor:
        return self.best

    def decoded(self, z: Tensor) -> dict[str, Any]:
        """Return how many tiles of each kind and colour are there."""
        _, color, kind = self.decode(z[None])
        kinds = torch.bincount(kind[0], minlength=len(KINDS)).tolist()
        colors = torch.bincount(color[0], minlength=COLORS).tolist()
        return dict(zip(KINDS, kinds, strict=True)) | {f"color_{at}": count for at, count in enumerate(colors)}

    def image(self, z: Tensor) -> Tensor:
        return self.observe(z[None], 0)[0]

    def target_image(self) -> Tensor:
        return self.target


def highest(scores: Tensor) -> Tensor:
    """Return the index of the highest score along the last axis, of equal ones the first."""
    return (scores == scores.amax(-1, keepdim=True)).to(torch.uint8).argmax(-1)


def grid(tiles: int, size: int) -> Tensor:
    """Return places (tiles, 2) in pixels, row by row as evenly as their number allows."""
    rows = max(1, round(tiles**0.5))
    counts = [tiles // rows + (row < tiles % rows) for row in range(rows)]
    places = [
        ((column + 0.5) / count * size, (row + 0.5) / rows * size)
        for row, count in enumerate(counts)
        for column in range(count)
    ]
    return torch.tensor(places)


def palette_of(photograph: np.ndarray) -> np.ndarray:
    """Return the photograph's colours (COLORS, 3) in [0, 1] by median cut."""
    image = Image.fromarray((photograph * 255).round().astype(np.uint8))
    found = image.quantize(COLORS, method=Image.Quantize.MEDIANCUT).getpalette()
    return np.array(found[: 3 * COLORS], np.float32).reshape(COLORS, 3) / 255
