"""Soft rasterizers: pictures of triangles that stay differentiable where visibility changes, SoftRas and GenDR.

They show direct visibility and the colour of a surface under a distant light: no shadow, no reflection, no caustic.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from benchmarks.rendering._shapes import Vector

CLIP = 1.0  # scene units: triangles that reach nearer to the camera are left out
BACKGROUND = (0.3, 0.3, 0.3)
AMBIENT = 0.3  # share of a surface's colour that needs no light
SMALLEST = 1e-30  # of a probability whose logarithm is taken
LEAST = -80.0  # logarithm of a triangle's share of its surface; smaller ones would be slow denormal numbers
FLAT = 1e-6  # twice an area, squared scene units or half widths: triangles below have no direction


@dataclass(frozen=True)
class Surface:
    """Vertices (v, 3), a differentiable function of the scene's parameters or constant; faces (f, 3); a colour."""

    vertices: Tensor
    faces: Tensor
    color: Vector


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: screen x and y are ±1 and ±height / width at the borders of a picture wider than high."""

    to_camera: Tensor  # (3, 3), rows are the directions right, up, ahead
    origin: Tensor  # (3,)
    zoom: float  # 1 / tan(half of the field of view across the wider side)
    near: float = 1.0  # scene units, where normalised inverse depth is 1
    far: float = 100.0  # where it is 0

    @classmethod
    def of(cls, sensor: dict[str, Any], device: torch.device) -> Camera:
        """Return the camera that `_shapes.camera` describes to Mitsuba, whose first axis points to the left."""
        place = torch.from_numpy(np.array(sensor["to_world"].matrix, dtype=np.float32)).reshape(4, 4).to(device)
        left, up, ahead, origin = place[:3].unbind(1)
        return cls(torch.stack([-left, up, ahead]), origin, 1 / math.tan(math.radians(sensor["fov"]) / 2))

    def framing(self, points: Tensor) -> Camera:
        """Return this camera with depths normalised for points (n, 3): from the nearest in the picture to twice as deep
        as the farthest, so that the background lies clearly behind everything."""
        shown = self.project(points)
        depths = 1 / shown[(shown[:, :2].abs() < 1).all(1) & (self.depth(points) > CLIP), 2]
        near, far = float(depths.min()), float(depths.max())
        return replace(self, near=near, far=2 * far - near)

    def depth(self, points: Tensor) -> Tensor:
        """Return how far ahead points (…, 3) are, (…,), in scene units."""
        return (points - self.origin.to(points)) @ self.to_camera.to(points)[2]

    def normalised(self, inverse: Tensor) -> Tensor:
        """Return inverse depths on a scale from 1 (near) to 0 (far)."""
        return (inverse - 1 / self.far) / (1 / self.near - 1 / self.far)

    def project(self, points: Tensor) -> Tensor:
        """Return screen x, y and inverse depth, (…, 3), of points (…, 3); depths are at least CLIP."""
        seen = (points - self.origin.to(points)) @ self.to_camera.to(points).T
        inverse = 1 / seen[..., 2:].clamp_min(CLIP)
        return torch.cat([self.zoom * seen[..., :2] * inverse, inverse], -1)


class SignedDistance(torch.autograd.Function):
    """Distance (f, p) on the screen from pixels (p, 2) to the edges of triangles (f, 3, 2), positive inside.

    The foot of the perpendicular lies on the nearest edge a b at q = (1 − t) a + t b. By the envelope theorem t may be
    held: ∂|p − q| / ∂a = −(1 − t) (p − q) / |p − q|, and with t for b.
    """

    @staticmethod
    def forward(ctx: Any, corners: Tensor, pixels: Tensor) -> Tensor:
        squares, places, sides = [], [], []
        for edge in range(3):
            a, b = corners[:, edge], corners[:, (edge + 1) % 3]
            length = (b - a).norm(dim=1, keepdim=True)
            along = (b - a) / length
            across = torch.stack([-along[:, 1], along[:, 0]], 1)
            foot = (along @ pixels.T).sub_((a * along).sum(1, keepdim=True))
            side = (across @ pixels.T).sub_((a * across).sum(1, keepdim=True))  # positive to the left of a → b
            place = foot.clamp_min(0).minimum(length)
            squares.append(foot.sub_(place).square_().addcmul_(side, side))
            places.append(place.div_(length))
            sides.append(side)
        second = squares[1] < squares[0]
        squared = squares[0].minimum(squares[1])
        third = squares[2] < squared
        t = torch.where(third, places[2], torch.where(second, places[1], places[0]))
        low, high = (pick(pick(*sides[:2]), sides[2]) for pick in (torch.minimum, torch.maximum))
        sign = ((low > 0) | (high < 0)).to(squared).mul_(2).sub_(1)
        distance = squared.minimum(squares[2]).sqrt_()
        ctx.save_for_backward(corners, pixels, second, third, t, sign / distance.clamp_min(SMALLEST))
        return distance.mul_(sign)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        corners, pixels, second, third, t, scale = ctx.saved_tensors
        scale = slope * scale
        result = torch.zeros_like(corners)
        # Σ w (q − p) over pixels, w for a being (1 − t) scale, needs only the sums of w, w t and w p.
        for edge, mine in enumerate((~(second | third), second & ~third, third)):
            weight = scale * mine
            to_b = weight * t
            to_a = weight.sub_(to_b)
            for corner, share in ((edge, to_a), ((edge + 1) % 3, to_b)):
                a, b = corners[:, edge], corners[:, (edge + 1) % 3]
                at_b = (share * t).sum(1, keepdim=True)
                result[:, corner] += a * (share.sum(1, keepdim=True) - at_b) + b * at_b - share @ pixels
        return result, None


def inverse_depth(corners: Tensor, pixels: Tensor) -> Tensor:
    """Return the inverse depth (f, p) of triangles (f, 3, 3: x, y, inverse depth), an affine function on the screen.

    Outside a triangle it goes on as its plane does, up to its nearest and its farthest corner, so that it jumps where a
    triangle turns over, seen edge-on: a small jump of the picture that no derivative knows. (SoftRas clips
    barycentric coordinates instead.)
    """
    first = corners[:, 0]
    (ux, uy, uw), (vx, vy, vw) = (corners[:, 1] - first).unbind(1), (corners[:, 2] - first).unbind(1)
    area = ux * vy - uy * vx
    area = torch.where(area.abs() > FLAT, area, FLAT)
    slope = torch.stack([uw * vy - vw * uy, vw * ux - uw * vx], 1) / area[:, None]
    constant = first[:, 2] - (slope * first[:, :2]).sum(1)
    depth = slope @ pixels.T + constant[:, None]
    return depth.maximum(corners[..., 2].amin(1)[:, None]).minimum(corners[..., 2].amax(1)[:, None])


@dataclass(frozen=True)
class Layer:
    """What one surface shows at p pixels."""

    log_weight: Tensor  # (p,) of all its triangles together, SoftRas
    color: Tensor  # (p, 3)
    depth: Tensor  # (p,) normalised inverse depth: 1 near, 0 far
    clear: Tensor  # (p,) probability that none of its triangles covers the pixel, GenDR


@dataclass(frozen=True)
class Softness(ABC):
    """How triangles become probabilities, and probabilities a picture.

    Distances are in half widths of the picture, squared for `sigma`; `gamma` is in normalised inverse depth.
    """

    sigma: float
    gamma: float

    def log_weights(self, distance: Tensor, depth: Tensor) -> Tensor:
        """Return log(D exp(z / γ)) with D = sigmoid(± d² / σ) (Liu et al. 2019, eqs. 1 and 3)."""
        return logsigmoid(distance * distance.abs() / self.sigma) + depth / self.gamma

    @abstractmethod
    def clear(self, distance: Tensor) -> Tensor:
        """Return the probability (p,) that no triangle of distances (f, p) covers the pixel."""

    @abstractmethod
    def blend(self, layers: list[Layer], background: Tensor) -> Tensor:
        """Return colours (p, 3) of layers before a background (3,)."""


@dataclass(frozen=True)
class SoftRas(Softness):
    """Triangles share a pixel by a softmax over depth, the background taking part with a constant.

    Source: Liu et al. 2019 (Soft Rasterizer), eqs. 1 to 4; ε from their code.
    """

    epsilon: float = 1e-3

    def clear(self, distance: Tensor) -> Tensor:
        return torch.zeros_like(distance[0])

    def blend(self, layers: list[Layer], background: Tensor) -> Tensor:
        weights = [layer.log_weight for layer in layers]
        weights.append(torch.full_like(weights[0], self.epsilon / self.gamma))
        colors = [layer.color for layer in layers]
        colors.append(background.expand_as(colors[0]))
        return (torch.stack(weights).softmax(0)[..., None] * torch.stack(colors)).sum(0)


@dataclass(frozen=True)
class GenDR(Softness):
    """A triangle covers a pixel with probability F(± d / τ) or F(± (d / τ)²), independently of all others.

    Source: Petersen et al. 2022 (GenDR): distributions F, the probabilistic T-conorm 1 − Π (1 − D). Ours: surfaces
    share what is covered by how probably each covers the pixel and no other does from before it (the same T-norm),
    depths being compared by a sigmoid of width γ. With heavy tails, SoftRas' softmax over depth gives a pixel to the
    nearest triangle however far away on the screen; it serves within a surface, with a narrow σ, for depth and colour.
    """

    distribution: Callable[[Tensor], Tensor]
    tau: float
    squared: bool = False

    def clear(self, distance: Tensor) -> Tensor:
        x = distance / self.tau
        x = x * x.abs() if self.squared else x
        return self.distribution(-x).clamp_min(SMALLEST).log().sum(0).exp()

    def blend(self, layers: list[Layer], background: Tensor) -> Tensor:
        depth = torch.stack([layer.depth for layer in layers])
        covered = 1 - torch.stack([layer.clear for layer in layers])
        nearer = ((depth[None] - depth[:, None]) / self.gamma).sigmoid()  # [s, k]: k lies before s
        others = 1 - torch.eye(len(layers)).to(depth)[..., None]
        visible = covered * (1 - covered * nearer * others).prod(1)
        shares = visible / visible.sum(0).clamp_min(SMALLEST)
        color = (shares[..., None] * torch.stack([layer.color for layer in layers])).sum(0)
        clear = (1 - covered).prod(0)[:, None]
        return (1 - clear) * color + clear * background


def gaussian(x: Tensor) -> Tensor:
    """Return the standard normal distribution function."""
    return torch.special.ndtr(x)


def cauchy(x: Tensor) -> Tensor:
    """Return the standard Cauchy distribution function ½ + atan(x) / π, without cancellation in its tail."""
    return torch.atan2(torch.ones_like(x), -x) / math.pi


def uniform(x: Tensor) -> Tensor:
    """Return the distribution function of the uniform distribution on [−1, 1]."""
    return (0.5 + 0.5 * x).clamp(0, 1)


# Ours: at 32 pixels across, a pixel is 0.06 half widths and outlines are blurred over one to three of them. SoftRas'
# own γ = 1e-4 would widen outlines before far backgrounds by √(σ Δz / γ), many times its blur; γ = 0.05 lets hidden
# surfaces through by exp(−Δz / γ). GenDR's heavy-tailed Cauchy needs squared distances: hundreds of tails add up.
SOFTNESSES: dict[str, Softness] = {
    "softras": SoftRas(sigma=1e-3, gamma=0.05),
    "gendr_gaussian": GenDR(1e-4, 5e-3, gaussian, tau=0.1),
    "gendr_cauchy": GenDR(1e-4, 5e-3, cauchy, tau=0.03, squared=True),
    "gendr_uniform": GenDR(1e-4, 5e-3, uniform, tau=0.2),
}


class SoftRasterizer:
    """Soft pictures of a scene whose moving surfaces depend on parameters; what stays is rasterized once."""

    def __init__(self, camera: Camera, width: int, height: int, softness: Softness, towards_light: Vector) -> None:
        """One sample in the centre of each pixel; `towards_light` is the direction to a distant light."""
        self.camera, self.softness, self.shape = camera, softness, (height, width, 3)
        self.light = normalize(torch.tensor(towards_light, device=camera.origin.device), dim=0)
        self.background = camera.origin.new_tensor(BACKGROUND)
        longer = max(width, height)
        x = (2 * torch.arange(width) + 1 - width) / longer
        y = (height - 1 - 2 * torch.arange(height)) / longer
        self.pixels = (
            torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], -1).reshape(-1, 2).to(camera.origin)
        )
        self.constant: dict[int, tuple[Tensor, Layer | None]] = {}  # number → vertices and what they show

    def __call__(self, surfaces: list[Surface]) -> Tensor:
        """Return the picture (height, width, 3); a surface whose vertices are the very same tensor is not redone."""
        layers = []
        for number, surface in enumerate(surfaces):
            known, layer = self.constant.get(number, (None, None))
            if known is not surface.vertices:
                layer = self._layer(surface)
                if not surface.vertices.requires_grad:
                    self.constant[number] = surface.vertices, layer
            if layer:
                layers.append(layer)
        if not layers:
            return self.background.expand(self.shape)
        return self.softness.blend(layers, self.background).view(self.shape)

    def _layer(self, surface: Surface) -> Layer | None:
        """Return what a surface shows, nothing where all of it is behind the camera."""
        world = surface.vertices[surface.faces]
        normals = torch.linalg.cross(world[:, 1] - world[:, 0], world[:, 2] - world[:, 0])
        kept = (self.camera.depth(world.detach()) > CLIP).all(1) & (normals.detach().norm(dim=1) > FLAT)
        if not kept.any():
            return None
        lit = (normalize(normals[kept], dim=1) @ self.light.to(world)).clamp_min(0)
        shades = (AMBIENT + (1 - AMBIENT) * lit)[:, None] * torch.tensor(surface.color).to(world)
        corners, pixels = self.camera.project(world[kept]), self.pixels.to(world)
        distance = SignedDistance.apply(corners[..., :2], pixels)
        depth = self.camera.normalised(inverse_depth(corners, pixels))
        log_weights = self.softness.log_weights(distance, depth)
        largest = log_weights.detach().amax(0)
        weights = (log_weights - largest).clamp_min(LEAST).exp()
        total = weights.sum(0)
        shares = weights / total
        return Layer(largest + total.log(), shares.T @ shades, (shares * depth).sum(0), self.softness.clear(distance))
