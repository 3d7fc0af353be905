"""Environment maps: skies from Mitsuba's `sunsky`, area lights made here, a folder of files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.appearance import _lat_long
from benchmarks.appearance._members import names_of
from benchmarks.contract.errors import Unsupported, UsageError
from benchmarks.rendering._mitsuba import Backend, backend

LARGEST = 100.0  # radiance of a texel, at most; the sun in a clear sky comes to between 50 and 300
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB
SUN = 2 * math.pi * (1 - math.cos(math.radians(0.5338 / 2)))  # solid angle of `sunsky`'s sun, sr
SUFFIXES = (".exr", ".hdr")
LIGHTS = 4  # of a studio, at most
WARM, COOL = (1.0, 0.72, 0.45), (0.75, 0.88, 1.0)
FINE = 4  # studios are drawn with so many times the texels on each axis, then averaged


def exposed(maps: Tensor) -> Tensor:
    """Return maps (n, h, w, 3) scaled to a mean luminance of 1 over the sphere, then clamped to `LARGEST`."""
    share = _lat_long.solid_angles(*maps.shape[1:3]).to(maps).view(*maps.shape[1:3], 1) / (4 * math.pi)
    luminance = (maps * share * maps.new_tensor(LUMINANCE)).sum((1, 2, 3), keepdim=True)
    return (maps / luminance).clamp(0, LARGEST)


def mitsuba(purpose: str) -> Backend:
    """Return Mitsuba on the CPU.

    Raises:
        Unsupported: it is not installed or cannot be loaded; names the way out.
    """
    try:
        return backend("cpu")
    except Unsupported as error:
        raise Unsupported(
            f"appearance.illumination, {purpose}: {error}; or set `members: area_lights`, which does without"
        ) from error


def skies(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return clear to hazy daylight over a ground that the sky and the sun light, (count, height, width, 3).

    Ranges: turbidity 2 to 8, the sun 3° to 75° above the horizon, ground albedo .05 to .5 with a tint. The sun is
    narrower than a texel: its irradiance goes to the four texels about it. Below the horizon, where `sunsky` is black,
    is a diffuse ground of the sky's albedo.
    """
    loaded = mitsuba("`members: made`")
    u = torch.rand(count, 7, generator=generator)
    turbidity, azimuth = 2 + 6 * u[:, 0], 2 * math.pi * u[:, 1]
    elevation = torch.deg2rad(3 + 72 * u[:, 2])
    albedo = (0.05 + 0.45 * u[:, 3:4]) * (0.6 + 0.4 * u[:, 4:])
    sun = torch.stack([elevation.cos() * azimuth.sin(), elevation.sin(), elevation.cos() * azimuth.cos()], 1)
    texels, area = _lat_long.directions(height, width), _lat_long.solid_angles(height, width)
    above = texels[:, 1:].clamp_min(0)[:, :1] * area[:, None]  # cos θ dω
    maps = []
    for i in range(count):
        look = {"turbidity": float(turbidity[i]), "sun_direction": _upright(sun[i]).tolist()}
        look["albedo"] = {"type": "rgb", "value": albedo[i].tolist()}
        sky = _evaluate(loaded, {**look, "sun_scale": 0.0}, texels)
        disc = _evaluate(loaded, {**look, "sky_scale": 0.0}, sun[i : i + 1])[0] * SUN  # irradiance across it
        sky[texels[:, 1] <= 0] = albedo[i] / math.pi * ((sky * above).sum(0) + disc * sun[i, 1])
        nearest, weight = _lat_long.corners(sun[i], height, width)
        upper = weight * (texels[nearest, 1] > 0)
        sky.index_add_(0, nearest, (upper / upper.sum() / area[nearest])[:, None] * disc)
        maps.append(sky)
    return torch.stack(maps).view(count, height, width, 3)


def _upright(along: Tensor) -> Tensor:
    """Return directions (…, 3) in `sunsky`'s own frame, whose z is up."""
    return torch.stack([along[..., 0], -along[..., 2], along[..., 1]], -1)


def _evaluate(loaded: Backend, look: dict, along: Tensor) -> Tensor:
    """Return the radiance (n, 3) of a sky in directions (n, 3)."""
    mi = loaded.mi
    emitter = mi.load_dict({"type": "sunsky", **look})
    towards = -_upright(along)
    if loaded.variant == "scalar_rgb":
        at = mi.SurfaceInteraction3f()
        values = []
        for direction in towards.tolist():
            at.wi = direction
            values.append(list(emitter.eval(at)))
        return torch.tensor(values)
    import drjit as dr

    at = dr.zeros(mi.SurfaceInteraction3f, len(towards))
    at.wi = mi.Vector3f(*(mi.Float(part.contiguous().numpy()) for part in towards.unbind(1)))
    return torch.from_numpy(np.array(emitter.eval(at)).T.copy())


def studios(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Return rooms with one to four area lights, rectangles or discs, on a dim background, (count, height, width, 3).

    Lights lie in planes at distance 1 that face the middle, half-lengths .12 to .6, mostly in the upper half; their
    radiance is 30 to 400 times that of a background which fades from the ceiling to the floor.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    along = _lat_long.directions(FINE * height, FINE * width)
    colors = torch.tensor([WARM, COOL])
    ends = (0.8 + 0.4 * uniform(count, 2, 3)) * 0.1 * torch.exp(1.5 * (uniform(count, 2, 1) - 0.5))  # floor, ceiling
    blend = (0.5 + 0.5 * along[:, 1])[None, :, None]
    rooms = ends[:, :1] * (1 - blend) + ends[:, 1:] * blend
    for number in range(LIGHTS):
        azimuth, height_ = 2 * math.pi * uniform(count), 1.3 * uniform(count) - 0.35
        ring = (1 - height_**2).sqrt()
        center = torch.stack([ring * azimuth.sin(), height_, ring * azimuth.cos()], 1)
        side = normalize(torch.linalg.cross(torch.tensor([[0.0, 1.0, 0.0]]).expand_as(center), center), dim=1)
        other = torch.linalg.cross(center, side)
        turn = math.pi * uniform(count, 1)
        side, other = turn.cos() * side + turn.sin() * other, turn.cos() * other - turn.sin() * side
        size = 0.12 * torch.exp(math.log(5) * uniform(count, 2))
        is_disc = uniform(count) < 0.4
        shade = uniform(count, 1)
        light = 3 * torch.exp(math.log(13) * uniform(count, 1)) * (colors[0] * (1 - shade) + colors[1] * shade)
        lit = uniform(count) < (1.0 if number == 0 else 0.5)
        facing = center @ along.T  # (count, directions)
        plane = facing.clamp_min(1e-3)
        a, b = (side @ along.T) / plane / size[:, :1], (other @ along.T) / plane / size[:, 1:]
        round_ = (side @ along.T) ** 2 + (other @ along.T) ** 2 < (plane * size[:, :1]) ** 2
        square = (a.abs() < 1) & (b.abs() < 1)
        inside = torch.where(is_disc[:, None], round_, square) & (facing > 1e-3) & lit[:, None]
        rooms = torch.where(inside[..., None], light[:, None], rooms)
    return _lat_long.reduce(rooms.view(count, FINE * height, FINE * width, 3), height, width)


def read_folder(folder: Path, height: int, width: int) -> tuple[list[str], Tensor]:
    """Return names and maps (n, height, width, 3) of the `.exr` and `.hdr` files of a folder, sorted by name.

    Raises:
        UsageError: no such folder, no such file in it, a file that cannot be read or is no environment map.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise UsageError(
            f"appearance.illumination: folder {str(folder)!r} holds no .hdr or .exr file; "
            "put environment maps in latitude and longitude there"
        )
    names = names_of(files, "appearance.illumination")
    loaded = mitsuba("reading .hdr and .exr files")
    with two_threads():
        return names, torch.cat([_read(loaded, file, height, width) for file in files])


@contextmanager
def two_threads() -> Iterator[None]:
    """Give Mitsuba two threads or more for a while: with one it hangs on reading or writing EXR (seen with 3.9.1)."""
    import drjit as dr

    before = dr.thread_count()
    dr.set_thread_count(max(2, before))
    try:
        yield
    finally:
        dr.set_thread_count(before)


def _read(loaded: Backend, file: Path, height: int, width: int) -> Tensor:
    mi = loaded.mi
    try:
        bitmap = mi.Bitmap(str(file)).convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.Float32, False)
        pixels = torch.from_numpy(np.array(bitmap))
    except (RuntimeError, ValueError) as error:
        reason = [type(error).__name__, *str(error).strip().splitlines()][-1]
        raise UsageError(f"{file}: cannot be read as a picture ({reason}); replace or remove it") from error
    if pixels.ndim != 3 or pixels.shape[1] != 2 * pixels.shape[0] or pixels.shape[0] < height:
        raise UsageError(
            f"{file}: {pixels.shape[1]} × {pixels.shape[0]} pixels; an environment map in latitude and longitude is "
            f"twice as wide as high and has at least {width} × {height}"
        )
    if not (pixels.isfinite().all() and pixels.max() > 0):
        raise UsageError(f"{file}: holds values that are not finite, or no light at all; replace or remove it")
    return _lat_long.reduce(pixels.clamp_min(0)[None], height, width)
