"""A flat sample photographed with a flash: six maps of a material become a picture, differentiably, many at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CHANNELS = 6  # diffuse r, g, b; specular; roughness; height
FIELD_OF_VIEW = math.radians(45)
WIDTH = 2 * math.tan(FIELD_OF_VIEW / 2)  # of the plane seen, in units of the camera's distance
DEPTH = 0.05  # height of a map's 1, in the same units
ROUGHEST, SMOOTHEST = 1.0, 0.2  # roughness; below, a highlight is smaller than a pixel of desk size
SPECULAR_OFFSET = -3.0  # channels of zeros are a plastic: specular .047, not .5
GAMMA = 2.2
DARKEST = 1e-4  # radiance added to all: the slope of x^(1/2.2) at 0 is infinite
FAR = 0.5  # of half the width: where a flash photograph shows the diffuse colour
ALBEDO = (0.005, 0.95)  # smallest and largest that is believed
LEAK = 0.1  # slope beyond white


def camera(pixels: int, device: torch.device) -> Tensor:
    """Return vectors (3, pixels, pixels) from the plane to camera and light, x right, y up, z to the camera at 1."""
    axis = ((torch.arange(pixels, device=device) + 0.5) / pixels - 0.5) * WIDTH
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    return torch.stack([-x, -y, torch.ones_like(x)])


def to_maps(channels: Tensor) -> Tensor:
    """Return maps (…, 6, h, w) in their ranges of a network's unbounded channels (…, 6, h, w).

    Diffuse albedo, specular reflectance at normal incidence and height in (0, 1), roughness in (.2, 1).
    """
    diffuse, specular, roughness, height = channels.split((3, 1, 1, 1), -3)
    roughness = SMOOTHEST + (ROUGHEST - SMOOTHEST) * roughness.sigmoid()
    return torch.cat([diffuse.sigmoid(), (specular + SPECULAR_OFFSET).sigmoid(), roughness, height.sigmoid()], -3)


def diffuse_channels(pictures: Tensor, towards: Tensor) -> Tensor:
    """Return the diffuse channels (n, 3, places), for `to_maps`, of flat sheets that look as photographs do there.

    Places are those where towards the corners the highlight of a rough surface is far; what the flash makes of the
    distance from the middle (its falloff, a wide highlight, vignetting) is fitted, 1, r², r⁴, and taken out.

    Args:
        pictures: (n, 3, h, w), with gamma.
        towards: (3, h, w), of `camera`.
    """
    square = towards[:2].square().sum(0)
    far = square > (FAR * WIDTH / 2) ** 2
    light = (1 + square[far]) ** -1.5  # c / r² of a sheet at distance 1
    albedo = (pictures[:, :, far] ** GAMMA / light).clamp(*ALBEDO)
    values = albedo.logit()
    trend = torch.stack([square[far] ** power for power in range(3)], 1)
    # Not by the default driver, which reads memory that nobody wrote: its last bits differ from call to call.
    fitted = torch.linalg.lstsq(trend, values.flatten(0, 1).T, driver="gels").solution
    even = (trend @ fitted).T.view_as(values)
    return values - even + even.mean(2, keepdim=True)


def slopes(height: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """Return the slopes (…, h, w) along x and y of a height field (…, h, w); the normal is (−∂x, −∂y, 1), normalised.

    Central differences, one-sided at the border.

    Args:
        height: in units of DEPTH.
        pixel: width of a pixel on the plane, as WIDTH.
    """
    down, right = torch.gradient(height * (DEPTH / pixel), dim=(-2, -1))
    return right, -down


def ggx(cosine: Tensor, alpha: Tensor) -> Tensor:
    """Return the density of microfacet normals per sr at a cosine with the normal (Walter et al. 2007)."""
    square = alpha**2
    return square / (math.pi * (cosine**2 * (square - 1) + 1) ** 2)


def radiance(maps: Tensor, towards: Tensor, pixel: float) -> Tensor:
    """Return radiance (…, 3, h, w) towards the camera; 1 is a white diffuse sheet right below it.

    Light and viewer coincide, so the half vector is their direction ω and with c = n·ω, α = roughness²

        L = π/r² (ρ/π c + F D(c) G / 4c),   F = specular,   G = c / √(c² + α² (1 − c²)),

    where G is Smith's correlated shadowing for coinciding directions (Heitz 2014). Ours: points lie on the plane, the
    height only bends normals; normals that face away from the light keep the specular term of grazing angle.

    Args:
        maps: (…, 6, h, w), in the ranges of `to_maps`.
        towards: (…, 3, h, w), of `camera` or a part of it.
        pixel: width of a pixel on the plane.
    """
    diffuse, reflectance, roughness, height = maps.split((3, 1, 1, 1), -3)
    x, y, z = towards.split(1, -3)
    distance = x**2 + y**2 + z**2  # squared
    along_x, along_y = slopes(height, pixel)
    square = distance * (1 + along_x**2 + along_y**2)
    cosine = ((z - along_x * x - along_y * y) * square.rsqrt()).clamp(0, 1)
    alpha = roughness**2
    grazing = (cosine**2 + alpha**2 * (1 - cosine**2)).sqrt()  # c / G
    specular = reflectance * ggx(cosine, alpha) * (math.pi / 4) / grazing
    return (diffuse * cosine + specular) / distance


def develop(light: Tensor) -> Tensor:
    """Return pixel values of radiance with gamma 2.2, to be clipped at 1 for display.

    Beyond white they go on with a tenth of the slope: a loss on them can leave an overexposed start.
    """
    value = (light + DARKEST) ** (1 / GAMMA)
    return torch.where(value > 1, 1 + LEAK * (value - 1), value)


def photograph(maps: Tensor, towards: Tensor, pixels: int) -> Tensor:
    """Return the pixel values (…, 3, h, w) of maps, or of crops of maps with the same crops of `camera(pixels, …)`."""
    return develop(radiance(maps, towards, WIDTH / pixels))
