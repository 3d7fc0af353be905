"""A glossy and a diffuse ball under a distant environment: every pixel as a linear function of the environment.

The light probes of visual effects: a chrome and a grey ball side by side. Paths of up to three segments (two bounces):
direct light with the visibility between the balls, the grey ball seen in the chrome one, and the light that the chrome
ball throws onto the grey one. Row i of a transport matrix holds the share of each texel in the radiance of pixel i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.appearance import _lat_long
from benchmarks.appearance._sphere import BACKGROUND, srgb

CHROME, GREY = (-1.05, 0.0, 0.0), (1.05, 0.0, 0.0)  # centres; radii are 1
ROUGHNESS = 0.1  # GGX α of the chrome ball
REFLECTANCE, ALBEDO = 0.9, 0.5  # of the chrome, without Fresnel; of the grey ball
CAMERA, HALF_WIDTH = (0.0, 0.0, 9.0), 0.25  # looks at the origin; tangent of half the horizontal angle of view
RELIT_ROUGHNESS, RELIT_CAMERA, RELIT_HALF_WIDTH = 0.4, (5.8, 3.6, -5.8), 0.125
EXPOSURE = 0.5  # of pictures, before tone mapping
LOBE = 1024  # directions per glossy pixel
GRID = (64, 128)  # directions over which a diffuse surface gathers
CACHE = (16, 32)  # normals at which the grey ball is lit before the chrome one shows it


@dataclass(frozen=True)
class View:
    """A picture as a linear function of the environment."""

    inside: Tensor  # (h, w), pixels that show an object
    rows: Tensor  # (p, texels), their transport

    def picture(self, environment: Tensor) -> Tensor:
        """Return tone-mapped pictures (tasks, h, w, 3) in [0, 1] under environments (tasks, texels, 3)."""
        shown = environment.new_full((len(environment), *self.inside.shape, 3), BACKGROUND)
        shown[:, self.inside] = tone_mapped(self.rows @ environment)
        return shown


def tone_mapped(radiance: Tensor) -> Tensor:
    """Return e L / (1 + e L) (Reinhard et al. 2002) in sRGB, [0, 1]; e is `EXPOSURE`."""
    return srgb(EXPOSURE * radiance / (1 + EXPOSURE * radiance))


def balls(pixels: int, height: int, width: int) -> View:
    """Return the chrome and the grey ball, `pixels` wide and half as high, for environments (height, width).

    Ours: one ray through the centre of a pixel, no antialiasing; what the grey ball receives by way of the chrome one
    is as of a perfect mirror.
    """
    origin, rays = _camera(CAMERA, HALF_WIDTH, pixels, pixels // 2)
    chrome, grey = _distance(origin, rays, CHROME), _distance(origin, rays, GREY)
    rows = torch.zeros(len(rays), height * width)
    hit = chrome < grey
    points, normals = _surface(origin, rays[hit], chrome[hit], CHROME)
    normals_grey = _lat_long.directions(*CACHE)
    lit = _diffuse(normals_grey + torch.tensor(GREY), normals_grey, height, width, bounces=1)
    rows[hit] = _glossy(points, normals, -rays[hit], ROUGHNESS, height, width, lit)
    hit = grey < chrome
    points, normals = _surface(origin, rays[hit], grey[hit], GREY)
    rows[hit] = _diffuse(points, normals, height, width, bounces=2)
    inside = torch.minimum(chrome, grey).isfinite()
    return View(inside.view(pixels // 2, pixels), rows[inside])


def relit(pixels: int, height: int, width: int) -> View:
    """Return a rougher ball alone, seen from behind and above, (pixels, pixels)."""
    origin, rays = _camera(RELIT_CAMERA, RELIT_HALF_WIDTH, pixels, pixels)
    distance = _distance(origin, rays, (0.0, 0.0, 0.0))
    hit = distance.isfinite()
    points, normals = _surface(origin, rays[hit], distance[hit], (0.0, 0.0, 0.0))
    return View(hit.view(pixels, pixels), _glossy(points, normals, -rays[hit], RELIT_ROUGHNESS, height, width, None))


def _camera(position: tuple[float, ...], half_width: float, wide: int, high: int) -> tuple[Tensor, Tensor]:
    """Return the origin (3,) and unit directions (high · wide, 3) through the pixels' centres; y is up."""
    origin = torch.tensor(position)
    forward = normalize(-origin, dim=0)
    right = normalize(torch.linalg.cross(forward, torch.tensor([0.0, 1.0, 0.0])), dim=0)
    up = torch.linalg.cross(right, forward)
    x = ((torch.arange(wide) + 0.5) / wide * 2 - 1) * half_width
    y = (1 - (torch.arange(high) + 0.5) / high * 2) * half_width * high / wide
    y, x = torch.meshgrid(y, x, indexing="ij")
    return origin, normalize(forward + x[..., None] * right + y[..., None] * up, dim=-1).flatten(0, 1)


def _distance(origins: Tensor, rays: Tensor, center: tuple[float, ...]) -> Tensor:
    """Return the distances (…,) along unit rays (…, 3) to a ball of radius 1 from outside; infinite where they miss."""
    offset = origins - origins.new_tensor(center)
    middle = (offset * rays).sum(-1)
    # Squared distance of the centre from the line: no cancellation, unlike |o|² − (o·d)².
    apart = (offset - middle[..., None] * rays).square().sum(-1)
    return torch.where((apart < 1) & (middle < 0), -middle - (1 - apart).clamp_min(0).sqrt(), math.inf)


def _surface(origins: Tensor, rays: Tensor, distance: Tensor, center: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return the points hit and their unit normals, (n, 3) each."""
    points = origins + distance[:, None] * rays
    return points, normalize(points - points.new_tensor(center), dim=1)


def _diffuse(points: Tensor, normals: Tensor, height: int, width: int, bounces: int) -> Tensor:
    """Return the transport (n, texels) of points on the grey ball: ∫ ρ/π V cos θ dω over a grid of directions."""
    along, area = _lat_long.directions(*GRID), _lat_long.solid_angles(*GRID)
    texel, share = _lat_long.corners(along, height, width)
    gathered = torch.zeros(len(along), height * width).scatter_add_(1, texel, share)
    weight = (normals @ along.T).clamp_min(0) * area * (ALBEDO / math.pi)  # (n, directions)
    # |o + t d − c| < 1 for some t > 0, from dot products alone
    offset = points - points.new_tensor(CHROME)
    middle = offset @ along.T
    blocked = (offset.square().sum(1, keepdim=True) - middle**2 < 1) & (middle < 0) & (weight > 0)
    rows = weight.masked_fill(blocked, 0) @ gathered
    if bounces > 1:
        point, direction = blocked.nonzero(as_tuple=True)
        rays = along[direction]
        distance = _distance(points[point], rays, CHROME)
        met = distance.isfinite()  # rounding may tell both tests apart at the very rim
        point, direction, rays, distance = point[met], direction[met], rays[met], distance[met]
        mirror, normal = _surface(points[point], rays, distance, CHROME)
        onward = rays - 2 * (rays * normal).sum(1, keepdim=True) * normal
        open_ = ~_distance(mirror, onward, GREY).isfinite()
        texel, share = _lat_long.corners(onward, height, width)
        share = share * (REFLECTANCE * open_ * weight[point, direction])[:, None]
        rows.view(-1).index_add_(0, (point[:, None] * (height * width) + texel).flatten(), share.flatten())
    return rows


def _glossy(
    points: Tensor, normals: Tensor, view: Tensor, roughness: float, height: int, width: int, lit: Tensor | None
) -> Tensor:
    """Return the transport (n, texels) of points on a GGX mirror: ∫ f cos θ dω by `LOBE` directions each.

    Directions follow the visible normals (Heitz 2018, as spherical caps: Dupuy & Benyoub 2023) of one Hammersley set;
    each then weighs ρ G₁(ω_i).

    Args:
        lit: transport of the grey ball at the normals of the grid `CACHE`; None: there is no other ball.
    """
    side = normalize(torch.linalg.cross(normals.new_tensor([[0.0, 1.0, 0.0]]).expand_as(normals), normals), dim=1)
    frame = torch.stack([side, torch.linalg.cross(normals, side), normals], 1)  # world → local
    out = torch.einsum("pij,pj->pi", frame, view)
    into = _visible_reflections(out, roughness)  # (n, LOBE, 3)
    cosine = into[..., 2].clamp_min(1e-6)
    masking = 2 / (1 + (1 + roughness**2 * (1 / cosine**2 - 1)).sqrt())
    weight = REFLECTANCE / LOBE * masking * (into[..., 2] > 0)
    rays = torch.einsum("pij,psi->psj", frame, into)
    rows = torch.zeros(len(points), height * width)
    distance = torch.full_like(weight, math.inf) if lit is None else _distance(points[:, None], rays, GREY)
    free = distance.isinf()
    texel, share = _lat_long.corners(rays, height, width)
    rows.scatter_add_(1, texel.flatten(1), (share * (weight * free)[..., None]).flatten(1))
    if lit is not None:
        point, number = (~free).nonzero(as_tuple=True)
        _, normal = _surface(points[point], rays[point, number], distance[point, number], GREY)
        place, share = _lat_long.corners(normal, *CACHE)
        seen = torch.zeros(len(points), len(lit))
        where = (point[:, None] * len(lit) + place).flatten()
        seen.view(-1).index_add_(0, where, (share * weight[point, number][:, None]).flatten())
        rows += seen @ lit
    return rows


def _visible_reflections(out: Tensor, roughness: float) -> Tensor:
    """Return directions (n, LOBE, 3), reflections of `out` (n, 3) at visible GGX normals; all in the local frame."""
    number = torch.arange(LOBE)
    bits = int(math.log2(LOBE))
    reverse = sum((number >> bit & 1) << (bits - 1 - bit) for bit in range(bits))
    first, second = (number + 0.5) / LOBE, (reverse + 0.5) / LOBE
    stretch = out.new_tensor([roughness, roughness, 1.0])
    view = normalize(out * stretch, dim=1)[:, None]
    z = (1 - second) * (1 + view[..., 2]) - view[..., 2]  # uniform on a spherical cap
    ring, phi = (1 - z**2).clamp_min(0).sqrt(), 2 * math.pi * first
    half = normalize((torch.stack([ring * phi.cos(), ring * phi.sin(), z], -1) + view) * stretch, dim=-1)
    out = out[:, None]
    return 2 * (out * half).sum(-1, keepdim=True) * half - out
