"""A sphere outside the picture is found from its shadow, which is at first lost in the larger one of a card."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

STEP = 0.5  # scene units, the paper's σ: z = 1.0
START, TARGET = (-0.5, 2.5), (-1.5, 1.0)  # (y, z) of the sphere's centre
LOWEST, HIGHEST = (-1.8, 0.3), (0.0, 3.0)  # bounds of (y, z): above the floor, below the card, above the picture
ACROSS, RADIUS = -2.0, 0.6  # x of the sphere's centre
FLOOR, CARD = -3.0, 1.0  # heights
LIGHT = (-5.0, 6.0, 0.0)
EDGE = 1.9  # z at which the card's shadow begins on the floor; the target's shadow ends there


class Shadows(Scene):
    """Height y and depth z of a sphere, two unknowns. Within the card's shadow the sphere throws none of its own."""

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2023 (PRDPT), SHADOWS: y and z of a sphere that is seen only through its shadow, from "
        "(-.5, 2.5) to (-1.5, 1), σ .5, depth 6, 32 samples per pixel, 256×192 pixels. Ours: y is the height and the "
        "floor is at -3; the sphere (radius .6, black, so that it reflects nothing), camera, a small light at the "
        "left, a weak second one at the right whose shadow of the sphere misses the picture; a black card under the "
        "light, in whose shadow the sphere starts. Without the card, a shadow that does not overlap the target's "
        "still has a size that changes with the height, hence a slope. Bounds of y and z, .15 to 1.3 beyond start "
        "and target; the jitter of a quarter σ; the smaller pictures by default"
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
        self.scale = STEP
        self.reference, self.begin = torch.tensor(TARGET) / STEP, torch.tensor(START) / STEP
        self.lower = torch.tensor(LOWEST, device=self.device) / STEP
        self.upper = torch.tensor(HIGHEST, device=self.device) / STEP
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        import mitsuba as mi

        black = shapes.diffuse(0.0, 0.0, 0.0)  # lights, card and sphere reflect nothing: no detour of light moves
        edge = LIGHT[2] + (EDGE - LIGHT[2]) * (LIGHT[1] - CARD) / (LIGHT[1] - FLOOR)
        card = mi.ScalarTransform4f().translate([0, CARD, edge + 4]).rotate([1, 0, 0], -90).scale([8, 4, 1])
        fill = shapes.panel((8, 1, 2), (-1, FLOOR, 2), 1.0, 8.0) | {"bsdf": black}
        fill["emitter"]["sampling_weight"] = 0.25  # it is weak: less noise
        return {
            "sensor": shapes.camera((4.0, 0.5, 1.8), (0.6, FLOOR, 1.8), 48),
            "floor": shapes.floor(9.0, shapes.diffuse(0.7, 0.65, 0.55), FLOOR),
            "light": shapes.panel(LIGHT, (-1, FLOOR, 1.5), 0.25, 1400.0) | {"bsdf": black},
            "fill": fill,
            "card": {"type": "rectangle", "to_world": card, "bsdf": black},
            "mover": {"type": "sphere", "bsdf": black},
        }

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        center = torch.stack([torch.full_like(z[0], ACROSS), *(z * STEP)])
        return {"mover.to_world": shapes.placed(center, RADIUS)}
