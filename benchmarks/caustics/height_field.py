"""A glass slab whose surface must bend parallel light into a line drawing: photons are counted."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Le
from PIL import Image, ImageDraw
from scipy.interpolate import BSpline
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.contract.problem import Problem
from methods._ranges import NonNegative
from methods._work import Work

CONTROL = 32  # control points along a side
STEP = 0.0125  # z = 1.0 in slab widths, the paper's σ
IOR = 1.33
DISTANCE = 1.0  # of the wall from the slab, in slab widths
QUANTILE = 0.995  # the brightness that is shown as white
DARKEST_WHITE = 1e-6  # keeps a picture without photons black
ORACLE_PAIRS = 16
SUPERSAMPLING = 8


class HeightField(Problem):
    """Heights h = 0.0125 z of a cubic B-spline with 32² control points; the loss compares the wall with a drawing.

    Light travels along +z, enters the slab's flat side unbent and leaves through the height field: Snell's law with
    the normal (−∂h/∂x, −∂h/∂y, 1). A regular grid of photons is traced to the wall and counted per pixel; those that
    leave the frame or are reflected inside the glass are lost. The picture is the count relative to an even spread;
    the criterion divides it by its own 99.5 % quantile, cuts it at white and takes the mean squared error.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), caustic: 32² cubic B-spline, 512² photons and pixels, IOR 1.33, tone "
        "mapping by the 99.5 % quantile, a line drawing as target, σ .0125. Ours: the drawing, a wall as far as the "
        "slab is wide (so that σ moves photons by pixels), a regular grid of photons, a start of heights N(0, (.1σ)²)"
    )
    has_picture = True

    def setup(
        self,
        photons: Annotated[int, Ge(1), Le(65536)] = 128,
        pixels: Annotated[int, Ge(2), Le(65536)] = 64,
        roughness: NonNegative = 0.1,
    ) -> None:
        """Trace photons² photons onto pixels² pixels; the paper uses 512 for both.

        `roughness` is the start's standard deviation in natural steps: the released code's is about 4.
        """
        self.roughness = roughness
        self.dim = CONTROL**2
        self.pixels = pixels
        position = (np.arange(photons) + 0.5) / photons
        values, slopes = basis(position)
        self.position = torch.as_tensor(position, dtype=torch.float32, device=self.device)
        self.values = torch.as_tensor(values, dtype=torch.float32, device=self.device)  # (photons, 32)
        self.slopes = torch.as_tensor(slopes, dtype=torch.float32, device=self.device)
        self.even = photons**2 / pixels**2  # photons per pixel of an even spread
        self.target = drawing(pixels).to(self.device)
        self.bytes_per_candidate = 80 * photons**2 + 24 * pixels**2

    @property
    def work(self) -> Work:
        """Each photon is refracted, clipped and counted; pixels are compared."""
        photons = len(self.position) ** 2
        return Work(launches=2, numbers=20 * photons + 4 * self.pixels**2)

    def start(self, seed: int) -> Tensor:
        return self.roughness * torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))

    def trace(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return where photons hit the wall, x and y (n, photons²) in frame widths, and whether they get there."""
        control = STEP * z.view(-1, CONTROL, CONTROL)  # rows are y
        height = self.values @ control @ self.values.T
        slope_x = self.values @ control @ self.slopes.T
        slope_y = self.slopes @ control @ self.values.T
        # Refraction of d = (0, 0, 1) at n = (−∂h/∂x, −∂h/∂y, 1)/ℓ, from glass to air: t = η d + (√k − η cos α) n.
        cosine = (1 + slope_x.square() + slope_y.square()).rsqrt()
        discriminant = 1 - IOR**2 * (1 - cosine.square())
        through = discriminant > 0
        bend = (discriminant.clamp_min(0).sqrt() - IOR * cosine) * cosine
        reach = (DISTANCE - height) / (IOR + bend)  # along the ray, per unit of depth
        x = self.position - bend * slope_x * reach
        y = self.position[:, None] - bend * slope_y * reach
        return x.flatten(1), y.flatten(1), through.flatten(1)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        x, y, through = self.trace(z)
        column, row = (x * self.pixels).floor().long(), (y * self.pixels).floor().long()
        inside = through & (column >= 0) & (column < self.pixels) & (row >= 0) & (row < self.pixels)
        picture = torch.arange(len(z), device=z.device)[:, None]
        bins = ((picture * self.pixels + row) * self.pixels + column)[inside]
        counts = torch.bincount(bins, minlength=len(z) * self.pixels**2)
        return counts.view(len(z), self.pixels, self.pixels).to(z.dtype) / self.even

    def tone_map(self, observed: Tensor) -> Tensor:
        """Return pictures (n, pixels, pixels) in [0, 1]."""
        return (observed / self._white(observed)[:, None, None]).clamp(max=1)

    def _white(self, observed: Tensor) -> Tensor:
        """Return the brightness (n,) that is shown as white."""
        rank = int(QUANTILE * self.pixels**2)
        return observed.flatten(1).kthvalue(rank, dim=1).values.clamp_min(DARKEST_WHITE)

    def criterion(self, observed: Tensor) -> Tensor:
        return (self.tone_map(observed) - self.target).square().mean((1, 2))

    def oracle_gradient(self, z: Tensor) -> Tensor:
        """Return an approximate gradient (dim,) of the loss smoothed by N(0, I): the mean over antithetic offsets.

        The local gradient at z itself would say little: most of it belongs to the single pixel at the quantile, and its
        cosine to the smoothed gradient is near zero.
        """
        generator = torch.Generator().manual_seed(0)
        gradient = torch.zeros_like(z)
        for _ in range(ORACLE_PAIRS):  # one at a time: a graph of all would take gigabytes at the paper's size
            offset = torch.randn(self.dim, generator=generator).to(z)
            gradient += self._local_gradient(z + offset) + self._local_gradient(z - offset)
        return gradient / (2 * ORACLE_PAIRS)

    def _local_gradient(self, z: Tensor) -> Tensor:
        """Return a gradient (dim,) whose variance is lowered in three ways.

        Each photon is spread over its four nearest pixels, the picture is averaged over 3² pixels, and white follows
        the mean of the brightest tenth of the pixels instead of the one at the quantile.
        """
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            x, y, through = self.trace(z[None])
            picture = avg_pool2d(splat(x[0], y[0], through[0], self.pixels)[None] / self.even, 3, 1, padding=1)
            brightest = picture.flatten().topk(math.ceil(self.pixels**2 / 10)).values.mean().clamp_min(DARKEST_WHITE)
            white = self._white(picture.detach()) * brightest / brightest.detach()
            loss = ((picture / white).clamp(max=1) - self.target).square().mean()
            return torch.autograd.grad(loss, z)[0]

    def image(self, z: Tensor) -> Tensor:
        return self.tone_map(self.observe(z[None], 0))[0]

    def target_image(self) -> Tensor:
        return self.target


def basis(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the 32 uniform cubic B-splines and their derivatives at positions (m,) in [0, 1]: two (m, 32)."""
    spacing = 1 / (CONTROL - 3)
    knots = spacing * np.arange(-3, CONTROL + 1)
    spline = BSpline(knots, np.eye(CONTROL), 3)
    return spline(position), spline.derivative()(position)


def splat(x: Tensor, y: Tensor, through: Tensor, pixels: int) -> Tensor:
    """Spread photons (m,) bilinearly over a picture (pixels, pixels), differentiable in x and y."""
    picture = torch.zeros(pixels**2, dtype=x.dtype, device=x.device)
    column, row = x * pixels - 0.5, y * pixels - 0.5
    left, top = column.detach().floor(), row.detach().floor()
    for across in (0, 1):
        for down in (0, 1):
            weight = (1 - (column - left - across).abs()) * (1 - (row - top - down).abs())
            to_column, to_row = (left + across).long(), (top + down).long()
            inside = through & (to_column >= 0) & (to_column < pixels) & (to_row >= 0) & (to_row < pixels)
            picture = picture.index_add(0, (to_row * pixels + to_column)[inside], weight[inside])
    return picture.view(pixels, pixels)


def drawing(pixels: int) -> Tensor:
    """Return the target, (pixels, pixels) in [0, 1]: a cat's face in anti-aliased strokes."""
    side = SUPERSAMPLING * pixels
    canvas = Image.new("L", (side, side))
    pen = ImageDraw.Draw(canvas)
    width = round(0.035 * side)

    def stroke(*points: tuple[float, float]) -> None:
        pen.line([(side * x, side * y) for x, y in points], fill=255, width=width, joint="curve")

    def ellipse(left: float, top: float, right: float, bottom: float) -> None:
        pen.ellipse([side * left, side * top, side * right, side * bottom], outline=255, width=width)

    ellipse(0.2, 0.28, 0.8, 0.84)
    stroke((0.25, 0.42), (0.22, 0.14), (0.42, 0.29))
    stroke((0.75, 0.42), (0.78, 0.14), (0.58, 0.29))
    ellipse(0.33, 0.45, 0.42, 0.54)
    ellipse(0.58, 0.45, 0.67, 0.54)
    stroke((0.5, 0.6), (0.5, 0.67), (0.42, 0.73))
    stroke((0.5, 0.67), (0.58, 0.73))
    small = canvas.resize((pixels, pixels), Image.Resampling.BOX)
    return torch.as_tensor(np.asarray(small) / 255.0, dtype=torch.float32)
