"""A sphere hidden behind another of the same size: how near it is to the viewer is seen only once it is in front."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from benchmarks.rendering._soft_raster import Surface
from methods._ranges import Count, Pixels

RADIUS = 0.75  # of both spheres
STEP = 0.75  # scene units: z = 1.0
START, TARGET = -1.75, 1.75  # along the view axis, towards the viewer; the other sphere is at 0
FARTHEST, NEAREST = -4.5, 3.0
CAMERA = 7.0
LIGHT = (-4.0, 5.0, 9.0)
BLUE, ORANGE = (0.1, 0.25, 0.7), (0.8, 0.4, 0.1)


class Occlusion(Scene):
    """One unknown. Behind, the sphere is hidden from the viewer, whatever its depth; in front, it grows as it nears."""

    provenance = "ours"
    source = (
        "ours after Fischer & Ritschel 2023 (PRDPT), OCCLUSION, of which is known: two spheres of radius .75, one of "
        "them hidden behind the other at the start, its position along the view axis is sought. Ours: start 1.75 "
        "behind and target 1.75 in front of the other sphere (behind it, nothing could tell one depth from another), "
        "σ .75, a radius; depth 6, camera, light, colours, bounds, the jitter of a quarter σ. Nothing but the spheres "
        "reflects light, so that a hidden sphere shows neither as a shadow nor as a reflection"
    )
    towards_light = LIGHT

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 24,
        spp: Count = 16,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = STEP
        self.reference, self.begin = torch.tensor([TARGET / STEP]), torch.tensor([START / STEP])
        self.lower = torch.tensor([FARTHEST / STEP], device=self.device)
        self.upper = torch.tensor([NEAREST / STEP], device=self.device)
        vertices, self.faces = shapes.icosphere(2)
        self.ball = (vertices * RADIUS).to(self.device)
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        return {
            "sensor": shapes.camera((0, 0, CAMERA), (0, 0, 0), 38),
            "light": shapes.panel(LIGHT, (0, 0, 0), 1.0, 100.0) | {"bsdf": shapes.diffuse(0.0, 0.0, 0.0)},
            # seldom sampled as a light, the sky is met by chance often enough: less noise
            "sky": {"type": "constant", "sampling_weight": 0.1, "radiance": {"type": "rgb", "value": 0.2}},
            "occluder": {"type": "sphere", "radius": RADIUS, "bsdf": shapes.diffuse(*ORANGE)},
            "mover": {"type": "sphere", "bsdf": shapes.diffuse(*BLUE)},
        }

    def center(self, z: Tensor) -> Tensor:
        """Return where the sphere is (3,)."""
        return torch.stack([torch.zeros_like(z[0]), torch.zeros_like(z[0]), z[0] * STEP])

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        return {"mover.to_world": shapes.placed(self.center(z), RADIUS)}

    def surfaces(self, z: Tensor) -> list[Surface]:
        return [Surface(self.ball, self.faces, ORANGE), Surface(self.ball + self.center(z), self.faces, BLUE)]
