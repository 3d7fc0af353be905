"""Materials made in code: six maps each, from a seed; stationary ones, and ones with large-scale patterns."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.appearance._flash import SMOOTHEST
from benchmarks.contract.seeds import derive


class Canvas:
    """A picture's coordinates, x right and y down in [0, 1), and random fields on it that repeat at its borders."""

    def __init__(self, pixels: int, generator: torch.Generator) -> None:
        axis = (torch.arange(pixels) + 0.5) / pixels
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")
        self.generator = generator

    def uniform(self, low: float, high: float, *size: int) -> Tensor:
        """Return uniform draws of this shape."""
        return low + (high - low) * torch.rand(*size, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """Return one of low … high."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def colour(self, low: float, high: float) -> Tensor:
        """Return an albedo (3, 1, 1): hue uniform on the RGB cube, mixed with grey, its maximum within low … high."""
        hue = torch.lerp(self.uniform(0, 1, 1), self.uniform(0, 1, 3), self.uniform(0, 1, 1))
        return (self.uniform(low, high, 1) * hue / hue.amax())[:, None, None]

    def field(self, frequency: float, stretch: float = 1.0) -> Tensor:
        """Return a Gaussian random field, mean 0, variance 1.

        Args:
            frequency: cycles per picture, the middle of an octave.
            stretch: features are so many times as long along x as along y.
        """
        cycles = torch.fft.fftfreq(len(self.x)) * len(self.x)
        octave = torch.log2(torch.hypot(cycles[None] * stretch, cycles[:, None]).clamp_min(1e-3) / frequency)
        white = torch.fft.fft2(torch.randn(self.x.shape, generator=self.generator))
        field = torch.fft.ifft2(white * torch.exp(-2 * octave**2)).real
        return (field - field.mean()) / field.std()

    def cells(self, across: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return Worley's distances to nearest and second-nearest point, in cells, and the nearest one's number.

        The points are jittered from a grid of `across`² cells.
        """
        grid = torch.arange(across).float()
        points = torch.cartesian_prod(grid, grid) + self.uniform(0.1, 0.9, across**2, 2)
        offset = across * torch.stack([self.y, self.x], -1).view(-1, 1, 2) - points
        offset = offset - across * torch.round(offset / across)
        nearest = offset.norm(dim=2).topk(2, dim=1, largest=False)
        first, second = nearest.values.T.view(2, *self.x.shape)
        return first, second, nearest.indices[:, 0].view(self.x.shape)


def ramp(value: Tensor, width: float) -> Tensor:
    """Return a smooth step (0 … 1) of a value about zero, so wide."""
    t = (value / width + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)


def stack(diffuse: Tensor, specular: Tensor, roughness: Tensor, height: Tensor) -> Tensor:
    """Return maps (6, p, p) clipped to their ranges; everything but the height (p, p) may be constant."""
    shape = height.shape
    return torch.cat(
        [
            diffuse.expand(3, *shape).clamp(0.01, 0.95),
            specular.expand(1, *shape).clamp(0.01, 0.95),
            roughness.expand(1, *shape).clamp(SMOOTHEST, 1),
            height[None].clamp(0, 1),
        ]
    )


def tiles(on: Canvas) -> Tensor:
    """Square glazed tiles with grout between, each of a tone of its own."""
    count = on.integer(3, 7)
    row, column = (count * on.y).floor().long(), (count * on.x).floor().long()
    inside = torch.minimum(0.5 - (count * on.x - column - 0.5).abs(), 0.5 - (count * on.y - row - 0.5).abs())
    glazed = ramp(inside - on.uniform(0.05, 0.12, 1), 0.08)
    tone = on.uniform(0.75, 1.25, count, count)[row, column]
    diffuse = torch.lerp(on.colour(0.1, 0.6), on.colour(0.2, 0.7) * tone, glazed)
    roughness = torch.lerp(torch.tensor(0.85), on.uniform(0.25, 0.5, 1), glazed) + 0.02 * on.field(16)
    return stack(diffuse, 0.02 + 0.05 * glazed, roughness, 0.3 + 0.25 * glazed + 0.01 * on.field(12))


def leather(on: Canvas) -> Tensor:
    """Cells with creases between them."""
    first, second, _ = on.cells(on.integer(9, 16))
    raised = ramp(second - first - 0.2, 0.5)
    diffuse = on.colour(0.1, 0.6) * (0.6 + 0.4 * raised + 0.06 * on.field(4))
    roughness = on.uniform(0.4, 0.65, 1) + 0.15 * (1 - raised)
    return stack(diffuse, on.uniform(0.03, 0.08, 1), roughness, 0.4 + 0.15 * raised + 0.01 * on.field(20))


def brushed_metal(on: Canvas) -> Tensor:
    """Long streaks on a metal: hardly diffuse, strongly specular."""
    streaks = on.field(on.integer(10, 20), stretch=8)
    dirt = on.field(3)
    diffuse = on.colour(0.05, 0.2) * (1 + 0.2 * streaks)
    specular = on.uniform(0.3, 0.8, 1) * (1 + 0.12 * streaks)
    return stack(diffuse, specular, on.uniform(0.5, 0.7, 1) + 0.04 * dirt, 0.5 + 0.02 * streaks)


def wood(on: Canvas) -> Tensor:
    """Grain along x: early and late wood in turn, with pores, varnished or raw."""
    phase = on.integer(3, 8) * on.y + 0.25 * on.field(2, stretch=3)
    late = ramp(torch.sin(2 * math.pi * phase) - 0.2, 1.5)
    pores = ramp(on.field(14, stretch=6) - 1.2, 0.6)
    light = on.colour(0.35, 0.7) * torch.tensor([1.0, 0.75, 0.5])[:, None, None]
    diffuse = light * (1 - 0.55 * late) * (1 - 0.4 * pores)
    roughness = on.uniform(0.3, 0.7, 1) + 0.1 * late
    return stack(diffuse, on.uniform(0.03, 0.07, 1), roughness, 0.5 - 0.04 * pores + 0.02 * late)


def fabric(on: Canvas) -> Tensor:
    """A plain weave of two yarns."""
    count = on.integer(6, 10)
    warp, weft = (2 * math.pi * count * axis + 0.4 * on.field(3) for axis in (on.x, on.y))
    over = ramp(torch.sin(warp) * torch.sin(weft), 0.6)  # where the warp is on top
    height = torch.lerp(torch.sin(weft).abs(), torch.sin(warp).abs(), over)
    yarn = on.colour(0.15, 0.7)
    other = torch.lerp(yarn, on.colour(0.15, 0.7), on.uniform(0, 1, 1))
    diffuse = torch.lerp(other, yarn, over) * (0.6 + 0.4 * height) * (1 + 0.08 * on.field(24))
    return stack(diffuse, on.uniform(0.02, 0.04, 1), on.uniform(0.7, 0.95, 1), 0.4 + 0.15 * height)


def stone(on: Canvas) -> Tensor:
    """Speckles of three minerals, polished or rough."""
    grain = on.integer(6, 12)
    dark, light = ramp(on.field(grain) - 0.8, 0.4), ramp(on.field(1.5 * grain) - 0.7, 0.4)
    diffuse = torch.lerp(torch.lerp(on.colour(0.2, 0.6), on.colour(0.03, 0.2), dark), on.colour(0.5, 0.8), light)
    roughness = on.uniform(0.25, 0.8, 1) + 0.08 * light
    return stack(diffuse, 0.04 + 0.03 * dark, roughness, 0.5 + 0.02 * on.field(grain))


def scratched_paint(on: Canvas) -> Tensor:
    """Glossy paint with straight scratches down to a rough, bright ground."""
    scratches = torch.zeros_like(on.x)
    for _ in range(on.integer(8, 20)):
        angle, offset = on.uniform(0, math.pi, 1), on.uniform(-0.7, 0.7, 1)
        across = (on.x - 0.5) * angle.cos() + (on.y - 0.5) * angle.sin() - offset
        along = (on.y - 0.5) * angle.cos() - (on.x - 0.5) * angle.sin() - on.uniform(-0.5, 0.5, 1)
        line = torch.exp(-((across / 0.008) ** 2)) * ramp(on.uniform(0.1, 0.4, 1) - along.abs(), 0.1)
        scratches = torch.maximum(scratches, line)
    diffuse = torch.lerp(on.colour(0.2, 0.7), on.uniform(0.4, 0.6, 1)[:, None, None], 0.7 * scratches)
    roughness = on.uniform(0.25, 0.4, 1) + 0.4 * scratches
    return stack(diffuse, on.uniform(0.03, 0.06, 1), roughness, 0.5 + 0.01 * on.field(6) - 0.06 * scratches)


def plaster(on: Canvas) -> Tensor:
    """Matt bumps of several sizes."""
    bumps = sum(on.field(frequency) / frequency for frequency in (4, 8, 16))
    bumps = bumps / bumps.std()
    diffuse = on.colour(0.3, 0.8) * (1 + 0.06 * bumps)
    return stack(diffuse, on.uniform(0.01, 0.04, 1), on.uniform(0.6, 0.95, 1), 0.5 + 0.05 * bumps)


Kind = Callable[[Canvas], Tensor]
STATIONARY: tuple[Kind, ...] = (tiles, leather, brushed_metal, wood, fabric, stone, scratched_paint, plaster)


def any_stationary(on: Canvas) -> Tensor:
    """One of them, drawn at random."""
    return STATIONARY[on.integer(0, len(STATIONARY) - 1)](on)


def logo(on: Canvas) -> Tensor:
    """A badge of one material on another: a disc, ring, rounded polygon or star, embossed."""
    x, y = on.x - on.uniform(0.35, 0.65, 1), on.y - on.uniform(0.35, 0.65, 1)
    radius, angle = torch.hypot(x, y), torch.atan2(y, x)
    lobes, size = on.integer(2, 6), on.uniform(0.2, 0.35, 1)
    edge = size * (1 + on.uniform(0, 0.35, 1) * torch.cos(lobes * angle + on.uniform(0, 6, 1)))
    inside = edge - radius
    if on.integer(0, 1):
        inside = torch.minimum(inside, radius - 0.5 * size)  # a ring
    mask = ramp(inside, 0.03)
    maps = torch.lerp(any_stationary(on), any_stationary(on), mask)
    maps[5] = (maps[5] + 0.2 * mask).clamp(0, 1)
    return maps


def gradient(on: Canvas) -> Tensor:
    """One material turns into another across the picture."""
    angle = on.uniform(0, 2 * math.pi, 1)
    along = (on.x - 0.5) * angle.cos() + (on.y - 0.5) * angle.sin() + 0.05 * on.field(2)
    return torch.lerp(any_stationary(on), any_stationary(on), ramp(along - on.uniform(-0.15, 0.15, 1), 0.6))


def tartan(on: Canvas) -> Tensor:
    """Crossing bands of three yarns, of irregular widths."""
    maps, yarns = fabric(on), torch.cat([on.colour(0.1, 0.7)[None] for _ in range(3)])
    bands = [torch.randint(3, (on.integer(5, 9),), generator=on.generator) for _ in range(2)]
    rows, columns = (
        yarns[band[(axis * len(band)).long()]][..., 0, 0].permute(2, 0, 1)
        for band, axis in zip(bands, (on.y, on.x), strict=True)
    )
    shade = maps[:3].mean(0) / maps[:3].mean()
    maps[:3] = (0.5 * (rows + columns) * shade).clamp(0.01, 0.95)
    return maps


def worn(on: Canvas) -> Tensor:
    """A coat with patches gone: rust, patina, peeled paint."""
    patches = on.field(2.5) + 0.4 * on.field(7) + 0.2 * on.field(15)
    mask = ramp(patches - on.uniform(-0.3, 0.6, 1), 0.25)
    maps = torch.lerp(any_stationary(on), any_stationary(on), mask)
    maps[5] = (maps[5] - 0.1 * mask).clamp(0, 1)
    return maps


def mosaic(on: Canvas) -> Tensor:
    """A dozen irregular pieces, each of a colour and a gloss of its own, in mortar."""
    across = on.integer(3, 4)
    first, second, piece = on.cells(across)
    set_in = ramp(second - first - 0.1, 0.12)
    colours = torch.cat([on.colour(0.1, 0.7) for _ in range(across**2)], 1)[..., 0]  # (3, pieces)
    diffuse = torch.lerp(on.colour(0.2, 0.5), colours[:, piece] * (1 + 0.06 * on.field(10)), set_in)
    roughness = torch.lerp(torch.tensor(0.9), on.uniform(0.25, 0.6, across**2)[piece], set_in)
    return stack(diffuse, 0.02 + 0.04 * set_in, roughness, 0.3 + 0.2 * set_in + 0.01 * on.field(10))


def rings(on: Canvas) -> Tensor:
    """A cut trunk: annual rings about a centre in or near the picture."""
    x, y = on.x - on.uniform(-0.1, 1.1, 1), on.y - on.uniform(-0.1, 1.1, 1)
    phase = on.integer(7, 12) * torch.hypot(x, y) + 0.35 * on.field(2)
    late = ramp(torch.sin(2 * math.pi * phase), 1.6)
    light = on.colour(0.4, 0.75) * torch.tensor([1.0, 0.75, 0.5])[:, None, None]
    diffuse = light * (1 - 0.6 * late) * (1 + 0.05 * on.field(16))
    return stack(diffuse, on.uniform(0.03, 0.06, 1), on.uniform(0.35, 0.7, 1) + 0.1 * late, 0.5 + 0.04 * late)


NON_STATIONARY: tuple[Kind, ...] = (logo, gradient, tartan, worn, mosaic, rings)


def make(kinds: tuple[Kind, ...], count: int, pixels: int) -> tuple[list[str], Tensor]:
    """Return names and maps (count, 6, pixels, pixels), the kinds in turn; member i is the same for every count."""
    names = [f"{kinds[i % len(kinds)].__name__}-{i}" for i in range(count)]
    maps = [
        kinds[i % len(kinds)](Canvas(pixels, torch.Generator().manual_seed(derive("svbrdf", name))))
        for i, name in enumerate(names)
    ]
    return names, torch.stack(maps) if maps else torch.zeros(0, 6, pixels, pixels)
