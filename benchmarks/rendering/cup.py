"""A mug turns about its vertical axis until its handle is where the picture shows it: hidden at first."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from benchmarks.rendering._soft_raster import Surface
from methods._ranges import Count, Pixels

SIGMA = math.radians(60)  # z = 1.0
TARGET = math.radians(-30)  # the handle is on the viewer's side; 0 is towards the right of the picture
START = math.radians(90)  # behind the body, hidden from 52° to 128°
RADIUS, HEIGHT = 0.8, 1.7
BLUE, GRAY = (0.1, 0.25, 0.7), (0.6, 0.6, 0.6)
LIGHT = (0.0, 4.0, 6.0)
FLOOR = 6.0  # half its width


class Cup(Scene):
    """The handle's angle, one unknown. At the start it is behind the body, and turning it a little changes nothing.

    A handle seen in the wrong place costs more than one that is hidden, so smoothing too widely makes hiding it the
    optimum: with σ = 60° the smoothed loss has no minimum at the target, with σ = 30° it slopes there from everywhere.
    """

    towards_light = LIGHT
    jitter = 0.15
    provenance = "paper"
    source = (
        "Fischer & Ritschel 2023 (PRDPT), CUP: rotation of a mug about its vertical axis, start ≈180° off, σ 60°, "
        "depth 6, 32 samples per pixel, 256×192 pixels. Ours: the mug's shape (a cylinder and part of a torus), camera "
        "and light, a start 120° off (from 180° off the smoothed loss of this mug does not slope to its target), the "
        "jitter of 9° at the start, and the smaller pictures by default"
    )

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 24,
        spp: Count = 16,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = SIGMA
        self.reference = torch.tensor([TARGET / SIGMA])
        self.begin = torch.tensor([START / SIGMA])
        self.handle, self.faces = shapes.torus(0.48, 0.13, start=-90, stop=90, rows=11, columns=8)
        self.body = shapes.cup(RADIUS, HEIGHT, thickness=0.08)
        self.ground = shapes.plane(FLOOR, cells=12)
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        blue = shapes.diffuse(*BLUE)
        return {
            "sensor": shapes.camera((0, 2.2, 5.5), (0, 0.75, 0), 38),
            "floor": shapes.floor(FLOOR, shapes.diffuse(*GRAY)),
            "light": shapes.panel(LIGHT, (0, 0, 0), 1.5, 18.0),
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.1}},
            "body": shapes.mesh("body", *self.body, blue),
            "handle": shapes.mesh("handle", self.handle, self.faces, blue),
        }

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        turn = shapes.rotation_y(z[0] * SIGMA)
        arm = torch.tensor(
            [RADIUS + 0.02, 0.5 * HEIGHT, 0.0]
        )  # touching surfaces would hide edges from projective sampling
        return {"handle.vertex_positions": ((self.handle + arm) @ turn.T).flatten()}

    def surfaces(self, z: Tensor) -> list[Surface]:
        handle = self.parameters(z)["handle.vertex_positions"].view(-1, 3)
        return [Surface(*self.ground, GRAY), Surface(*self.body, BLUE), Surface(handle, self.faces, BLUE)]

    def offset(self, z: Tensor) -> Tensor:
        """Return the angle in radians, a full turn being none."""
        return torch.remainder((z - self.reference) * SIGMA + math.pi, 2 * math.pi) - math.pi
