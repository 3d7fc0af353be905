"""A sphere is bent, vertex by vertex, until it looks from four sides like the head of a hare."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.contract.problem import Gradient, Problem
from benchmarks.meshes import _antialiased
from benchmarks.meshes._raster import ZOOM, render
from benchmarks.rendering._shapes import icosphere
from methods._ranges import NonNegative, Pixels
from methods._work import Work

STEP = 0.05  # z = 1.0 in radii: root mean square over the coordinates, whatever λ
VIEWS = 4
TILT = 0.35  # of the views, in turn from above and from below, radians
JITTER = 0.25  # of a start, natural steps
REACH = 1.25  # half the width of the box by the target's largest coordinate
# The target's radius in direction d is the sum of height · exp(sharpness · (d · axis − 1)) over these and SKULL.
SKULL = 0.72
BUMPS = (  # axis (x towards the viewer of the face, z up), height, sharpness
    ((0.05, 0.36, 1.0), 0.95, 30.0),  # ears
    ((0.05, -0.36, 1.0), 0.95, 30.0),
    ((1.0, 0.0, -0.28), 0.42, 9.0),  # muzzle
    ((1.0, 0.33, -0.42), 0.12, 25.0),  # cheeks
    ((1.0, -0.33, -0.42), 0.12, 25.0),
    ((1.0, 0.42, 0.32), -0.16, 60.0),  # eyes
    ((1.0, -0.42, 0.32), -0.16, 60.0),
    ((-1.0, 0.0, -0.1), 0.12, 4.0),  # back of the head
)


class MultiView(Problem):
    """Mean squared error of four pictures of a mesh; unknown are all of its vertices, 3 × 642 = 1,926.

    The renderer is hard: each pixel shows the nearest triangle at its centre, shaded flat, so a picture changes by
    jumps where edges move. Views stand evenly around, in turn a little above and below.

    With λ > 0 a vertex is not its own coordinate: x = x₀ + s (I + λL)⁻¹ z with L the mesh's combinatorial Laplacian,
    the preconditioner of Large Steps, under which a step in one coordinate moves a neighbourhood; s keeps the root
    mean square of a random step what it is for λ = 0. The target has the sphere's triangles, so it can be reached.

    The gradient `antialiased` is that of another renderer, which no black box has: a differentiable rasterizer whose
    edges are blended (`_antialiased.py`), on both sides of the error. With it and λ > 0, Adam is Large Steps: the bound
    for all who see nothing but pictures. The loss that comes with it is the hard one.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads): vertices of a sphere to a head seen from several views, not released; "
        "preconditioner: Nicolet et al. 2021 (Large Steps in Inverse Rendering of Geometry); the oracle's gradient: "
        "after Laine et al. 2020. Ours: the head (a hare, made of bumps on a sphere), pictures, views, light, a step "
        "of .05 radii"
    )
    gradient = "biased"
    gradient_passes = 16.0
    has_picture = True

    def setup(
        self, subdivisions: Annotated[int, Ge(1), Le(6)] = 3, size: Pixels = 48, smoothing: NonNegative = 0.0
    ) -> None:
        """Bend an icosphere (3 subdivisions: 642 vertices) on pictures of size² pixels; `smoothing` is λ."""
        sphere, faces = icosphere(subdivisions)
        self.size, self.smoothing, self.dim = size, smoothing, sphere.numel()
        self.sphere, self.faces = sphere.to(self.device), faces.to(self.device)
        self.views = around(VIEWS).to(self.device)
        system = torch.eye(len(sphere), dtype=torch.float64) + smoothing * laplacian(faces, len(sphere))
        inverse = torch.linalg.inv(system)
        scale = STEP * (len(sphere) / inverse.square().sum()) ** 0.5
        self.spread = (scale * inverse).float().to(self.device)  # (v, v)
        goal = hare(sphere)
        self.reference = (system @ (goal - sphere).double() / scale).float().flatten().to(self.device)
        self.target = self.side_by_side(goal[None].to(self.device))[0]
        self.antialiased_target = self.antialiased(self.reference[None])[0]
        far = REACH * float(self.reference.abs().max())
        self.lower = torch.full((self.dim,), -far, device=self.device)
        self.upper = -self.lower
        self.bytes_per_candidate = 400 * len(faces) * VIEWS + 200 * VIEWS * size**2

    @property
    def work(self) -> Work:
        """Every triangle is set up for every view, every pixel of its bounding box is looked at."""
        covered = 4 * math.pi * (ZOOM * self.size) ** 2  # both sides, twice for bounding boxes
        return Work(launches=8, numbers=VIEWS * (60 * len(self.faces) + 60 * covered), host=0)

    def start(self, seed: int) -> Tensor:
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return JITTER * jitter.to(self.device)

    def vertices(self, z: Tensor) -> Tensor:
        """Return the vertices (n, v, 3) of z (n, dim)."""
        return self.sphere.to(z) + self.spread.to(z) @ z.unflatten(1, (-1, 3))

    def observe(self, z: Tensor, seed: int) -> Tensor:
        """Return the four views side by side, (n, size, 4 · size)."""
        return self.side_by_side(self.vertices(z))

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed - self.target).square().mean((1, 2))

    def antialiased(self, z: Tensor) -> Tensor:
        """Return the views (n, views, size, size) by the renderer that can be differentiated."""
        return _antialiased.render(self.vertices(z), self.faces, self.views.to(z), self.size)

    def estimators(self) -> dict[str, Gradient]:
        return {"antialiased": self.loss_and_grad}

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) of hard pictures and gradients (n, dim) of antialiased ones, a candidate at a time."""
        gradients = []
        for row in z.detach():
            with torch.enable_grad():
                row = row[None].requires_grad_(True)
                error = (self.antialiased(row)[0] - self.antialiased_target).square().mean()
                gradients += torch.autograd.grad(error, row)
        with torch.no_grad():
            return self.loss(z.detach(), seed), torch.cat(gradients)

    def oracle_gradient(self, z: Tensor) -> Tensor | None:
        """Return None: the gradient is that of another renderer."""
        return None

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss, and the root mean squared distance of coordinates from the target's, in natural steps."""
        error = (self.vertices(z[None]) - self.vertices(self.reference[None])).square().mean().sqrt() / STEP
        return {"loss": float(self.loss(z[None], 0)[0]), "parameter_error": float(error)}

    def image(self, z: Tensor) -> Tensor:
        """Return the four views, brightened by gamma 2.2."""
        return self.observe(z[None], 0)[0] ** (1 / 2.2)

    def target_image(self) -> Tensor:
        return self.target ** (1 / 2.2)

    def side_by_side(self, vertices: Tensor) -> Tensor:
        """Return pictures (n, size, 4 · size) of vertices (n, v, 3)."""
        views = render(vertices, self.faces, self.views.to(vertices), self.size)
        return views.transpose(1, 2).flatten(2)


def around(count: int) -> Tensor:
    """Return frames (count, 3, 3) of viewers evenly around: rows right, up, towards the viewer."""
    frames = []
    for number in range(count):
        turn, tilt = 2 * math.pi * number / count + 0.3, TILT * (-1) ** number
        towards = torch.tensor([math.cos(turn) * math.cos(tilt), math.sin(turn) * math.cos(tilt), math.sin(tilt)])
        right = torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), towards)
        right = right / right.norm()
        frames.append(torch.stack([right, torch.linalg.cross(towards, right), towards]))
    return torch.stack(frames)


def laplacian(faces: Tensor, count: int) -> Tensor:
    """Return the combinatorial Laplacian (v, v): a vertex's number of neighbours, −1 for each of them."""
    matrix = torch.zeros(count, count, dtype=torch.float64)
    for one, two in ((0, 1), (1, 2), (2, 0)):
        matrix[faces[:, one], faces[:, two]] = -1
        matrix[faces[:, two], faces[:, one]] = -1
    return matrix - torch.diag(matrix.sum(1))


def hare(sphere: Tensor) -> Tensor:
    """Return the target's vertices (v, 3): those of the unit sphere, moved along their directions."""
    radius = torch.full((len(sphere),), SKULL)
    for axis, height, sharpness in BUMPS:
        direction = torch.tensor(axis) / torch.tensor(axis).norm()
        radius = radius + height * torch.exp(sharpness * (sphere @ direction - 1))
    moved = radius[:, None] * sphere
    return moved - torch.tensor([0.0, 0.0, 0.25])
