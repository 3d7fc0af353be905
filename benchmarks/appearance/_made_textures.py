"""Textures made in code: eight kinds, coloured; every seed gives another one.

Lengths are in units of the picture's shorter side, so that a larger picture shows the same texture more sharply.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.appearance._images import fit
from benchmarks.contract.seeds import derive

FINER = 2  # made at so many times the resolution, then averaged, against aliasing
PHOTOGRAPHS = ("brick", "grass", "gravel")  # that come with scikit-image, grey, CC0


class _Canvas:
    """Coordinates x, y (h, w) and the random numbers of one texture."""

    def __init__(self, height: int, width: int, generator: torch.Generator) -> None:
        self.short = min(height, width)
        y, x = (torch.arange(n) + 0.5 for n in (height, width))
        self.y, self.x = torch.meshgrid(y / self.short, x / self.short, indexing="ij")
        self.generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def table(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator)

    def turned(self, angle: float) -> tuple[Tensor, Tensor]:
        """Return coordinates along and across a direction."""
        return (
            math.cos(angle) * self.x + math.sin(angle) * self.y,
            math.cos(angle) * self.y - math.sin(angle) * self.x,
        )

    def noise(self, size: float, exponent: float = 8.0, stretch: float = 1.0, angle: float = 0.0) -> Tensor:
        """Return Gaussian noise (h, w) of mean 0 and variance 1 whose spectrum falls as f^−exponent beyond 1/(2π size).

        Structures are `stretch` times longer in the direction of `angle`.
        """
        shape = self.x.shape
        fy = torch.fft.fftfreq(shape[0], 1 / self.short)[:, None]
        fx = torch.fft.rfftfreq(shape[1], 1 / self.short)[None]
        along, across = math.cos(angle) * fx + math.sin(angle) * fy, math.cos(angle) * fy - math.sin(angle) * fx
        frequency = 2 * math.pi * size * torch.hypot(along * stretch, across)
        amplitude = (1 + frequency**2) ** (-exponent / 4)
        amplitude[0, 0] = 0
        white = torch.randn(shape, generator=self.generator)
        field = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=shape)
        return field / field.std()

    def colours(self, count: int) -> Tensor:
        """Return colours (count, 3) of related hue from dark to light."""
        hue, spread = self.uniform(0, 1), self.uniform(0.02, 0.25)
        hues = (hue + spread * (self.table(count) - 0.5)) % 1
        saturation = self.uniform(0.1, 0.7) * (0.6 + 0.4 * self.table(count))
        low = self.uniform(0.1, 0.35)
        value = torch.linspace(low, low + self.uniform(0.4, 0.6), count)
        sector = (torch.tensor([5.0, 3.0, 1.0]) + 6 * hues[:, None]) % 6
        return value[:, None] * (1 - saturation[:, None] * torch.minimum(sector, 4 - sector).clamp(0, 1))

    def coloured(self, share: Tensor, count: int = 3) -> Tensor:
        """Return a picture (3, h, w): colours from dark to light at shares (h, w) in [0, 1]."""
        stops = self.colours(count)
        position = share.clamp(0, 1) * (count - 1)
        below = position.floor().clamp(0, count - 2).long()
        part = (position - below)[..., None]
        return (stops[below] * (1 - part) + stops[below + 1] * part).permute(2, 0, 1)


def _step(value: Tensor, edge: float, softness: float) -> Tensor:
    return ((value - edge) / softness).sigmoid()


def _clouds(canvas: _Canvas) -> Tensor:
    """Noise with a random, possibly stretched spectrum."""
    field = canvas.noise(
        canvas.uniform(0.01, 0.06), canvas.uniform(2.5, 6), canvas.uniform(1, 4), canvas.uniform(0, math.pi)
    )
    return canvas.coloured((canvas.uniform(1, 2.5) * field).sigmoid())


def _cells(canvas: _Canvas) -> Tensor:
    """Distances to the nearest and second nearest of scattered points (Worley 1996)."""
    spacing = canvas.uniform(0.08, 0.2)
    rows, columns = (int(float(axis.max()) / spacing) + 3 for axis in (canvas.y, canvas.x))
    row, column = torch.meshgrid(torch.arange(rows) - 1.0, torch.arange(columns) - 1.0, indexing="ij")
    jitter = canvas.uniform(0.5, 1.0)
    py, px = ((axis + 0.5 + jitter * (canvas.table(rows, columns) - 0.5)).flatten() * spacing for axis in (row, column))
    points = torch.stack([py, px], 1)
    pixels = torch.stack([canvas.y.flatten(), canvas.x.flatten()], 1)
    near, index = torch.cdist(pixels, points).topk(2, largest=False)
    first, second = near.T.view(2, *canvas.x.shape) / spacing
    shade = canvas.table(len(points))[index[:, 0]].view(canvas.x.shape)
    filled = 0.35 + 0.65 * shade - canvas.uniform(0, 0.8) * first
    return canvas.coloured(filled * _step(second - first, canvas.uniform(0.06, 0.16), 0.03))


def _bricks(canvas: _Canvas) -> Tensor:
    """Rows of bricks or tiles with mortar, warped a little; each has a shade."""
    warp = canvas.uniform(0, 0.006)
    tall, aspect, shift = canvas.uniform(0.09, 0.18), canvas.uniform(1, 2.6), canvas.uniform(0, 0.5)
    v = (canvas.y + warp * canvas.noise(0.04)) / tall
    u = (canvas.x + warp * canvas.noise(0.04)) / (tall * aspect)
    row = v.floor()
    u = u + shift * (row % 2)
    column = u.floor()
    shade = canvas.table(64, 64)[row.long() % 64, column.long() % 64]
    edge = torch.minimum((v - row).minimum(row + 1 - v), aspect * (u - column).minimum(column + 1 - u))
    face = 0.45 + 0.4 * shade + canvas.uniform(0.02, 0.1) * canvas.noise(0.01, 3)
    return canvas.coloured(face * _step(edge, canvas.uniform(0.05, 0.1), 0.02))


def _leaves(canvas: _Canvas) -> Tensor:
    """Discs that cover one another (dead leaves; Matheron 1968)."""
    stops = canvas.colours(8)
    picture = stops[0][:, None, None].expand(3, *canvas.x.shape)
    low, high = canvas.uniform(0.02, 0.04), canvas.uniform(0.08, 0.16)
    longest = float(canvas.x.max()), float(canvas.y.max())
    softness = 0.5 / canvas.short
    for _ in range(400):
        radius = 1 / canvas.uniform(1 / high, 1 / low)  # small ones are frequent
        cx, cy = (canvas.uniform(-high, end + high) for end in longest)
        inside = _step(-torch.hypot(canvas.x - cx, canvas.y - cy), -radius, softness)
        colour = stops[int(canvas.uniform(0, 8))][:, None, None]
        picture = picture + inside * (colour - picture)
    return picture


def _dots(canvas: _Canvas) -> Tensor:
    """Round spots on a turned, jittered grid."""
    spacing = canvas.uniform(0.08, 0.16)
    along, across = (coordinate / spacing + 64 for coordinate in canvas.turned(canvas.uniform(0, math.pi)))
    jitter = canvas.uniform(0, 0.5)
    shifts, sizes = (
        jitter * (canvas.table(2, 160, 160) - 0.5),
        canvas.uniform(0.2, 0.3) * (1 + 0.3 * canvas.table(160, 160)),
    )
    i, j = along.floor(), across.floor()
    cell = (i.long(), j.long())
    radius = torch.hypot(along - i - 0.5 - shifts[0][cell], across - j - 0.5 - shifts[1][cell])
    spots = ((sizes[cell] - radius) / 0.04).sigmoid()
    ground = 0.2 + 0.08 * canvas.noise(0.02, 4)
    share = ground + (0.65 if canvas.uniform(0, 1) < 0.7 else 0.35) * spots
    return canvas.coloured(share if canvas.uniform(0, 1) < 0.6 else 1 - share)


def _stripes(canvas: _Canvas) -> Tensor:
    """Waves in one direction, bent by noise: from cloth to marble."""
    along, _ = canvas.turned(canvas.uniform(0, math.pi))
    phase = along * canvas.uniform(6, 14) + canvas.uniform(0.05, 0.8) * canvas.noise(canvas.uniform(0.06, 0.15))
    wave = torch.sin(2 * math.pi * phase) * canvas.uniform(1, 4)
    return canvas.coloured((wave + canvas.uniform(0, 0.6) * canvas.noise(0.01, 3)).sigmoid())


def _weave(canvas: _Canvas) -> Tensor:
    """Threads that run over and under each other."""
    count = canvas.uniform(7, 13)
    along, across = canvas.turned(canvas.uniform(0, math.pi))
    warp = canvas.uniform(0, 0.15)
    u, v = (count * coordinate + warp * canvas.noise(0.08) for coordinate in (along, across))
    over = (u.floor() + v.floor()) % 2 == 0
    place, length = torch.where(over, v, u), torch.where(over, u, v)  # across and along the upper thread
    round_ = 1 - (2 * (place - place.floor()) - 1).abs() ** 2
    rise = 0.7 + 0.3 * torch.sin(math.pi * (length - length.floor()))
    shade = 0.35 + 0.6 * round_.sqrt() * rise + 0.04 * canvas.noise(0.008, 3)
    one, other = canvas.coloured(shade), canvas.coloured(shade)
    return torch.where(over, one, other)


def _wood(canvas: _Canvas) -> Tensor:
    """Stretched rings with fibres along them."""
    angle, stretch = canvas.uniform(0, math.pi), canvas.uniform(4, 10)
    _, across = canvas.turned(angle)
    bent = across * canvas.uniform(5, 10) + canvas.uniform(0.3, 0.9) * canvas.noise(0.1, 6, stretch, angle)
    ring = bent - bent.floor()
    share = 0.25 + 0.5 * ring**1.5 * _step(1 - ring, 0.06, 0.02)
    return canvas.coloured(share + canvas.uniform(0.04, 0.12) * canvas.noise(0.006, 3, 10, angle))


KINDS = (_clouds, _cells, _bricks, _leaves, _dots, _stripes, _weave, _wood)


def make(count: int, height: int, width: int) -> tuple[list[str], Tensor]:
    """Return the names and sRGB pictures (count, 3, height, width) in [0, 1] of textures, each from its own seed.

    The kinds take turns, so that every kind is as frequent; more textures do not change the first ones.
    """
    names, pictures = [], []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        generator = torch.Generator().manual_seed(derive("appearance.texture", number))
        picture = kind(_Canvas(FINER * height, FINER * width, generator)).clamp(0, 1)
        pictures.append(avg_pool2d(picture, FINER))
        names.append(f"{kind.__name__.removeprefix('_')}-{number // len(KINDS)}")
    return names, torch.stack(pictures) if pictures else torch.empty(0, 3, height, width)


def photographs(height: int, width: int) -> Tensor:
    """Return the photographs of textures that come with scikit-image, (3, 3, height, width)."""
    from skimage import data

    pictures = [torch.from_numpy(getattr(data, name)()).float().expand(3, -1, -1) / 255 for name in PHOTOGRAPHS]
    return torch.stack([fit(picture, height, width) for picture in pictures])
