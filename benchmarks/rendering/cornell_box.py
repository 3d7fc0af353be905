"""Where a lamp hangs and a box stands in a Cornell box that is seen as a whole."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

PLACE_STEP, TURN_STEP = 0.3, math.radians(30)  # z = 1.0
LAMP_HALF, BOX_HALF, BOX_HEIGHT = 0.25, 0.3, 0.9  # the room is 2 × 2 × 2, from -1 to 1, its floor at 0
TARGET = (0.45, 1.75, -0.3, -0.4, -0.35, math.radians(25))  # lamp x, y, z; box x, z, about y
BEGIN = (-0.5, 1.35, 0.45, 0.45, 0.4, math.radians(-25))
RADIANCE = 15.0  # of the lamp
WHITE = (0.73, 0.73, 0.73)
RED, GREEN, BLUE = (0.63, 0.06, 0.05), (0.14, 0.45, 0.09), (0.2, 0.4, 0.85)


class CornellBox(Scene):
    """Position of a lamp (3) and of a box (2), and the box's angle (1): light, shadow, colour bleeding, all in sight.

    No plateau but a *control* of low dimension: light reaches everything. `prb` sees the shading that a moving lamp
    changes and misses the edges of box and shadow.
    """

    exposure = 2.0
    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads) show the position of box and light in a Cornell box, without numbers. "
        "Ours: room, lamp, box, camera, start and target, natural steps (.3 of a half room, 30°), bounds and jitter"
    )

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 32,
        spp: Count = 8,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = torch.tensor([PLACE_STEP] * 5 + [TURN_STEP])
        self.reference = torch.tensor(TARGET) / self.scale
        self.begin = torch.tensor(BEGIN) / self.scale
        lamp, box = 1 - LAMP_HALF - 0.01, 1 - 2**0.5 * BOX_HALF - 0.01
        self.lower = torch.tensor([-lamp, 1.1, -lamp, -box, -box, -math.radians(45)]) / self.scale
        self.upper = torch.tensor([lamp, 1.98, lamp, box, box, math.radians(45)]) / self.scale
        corners = [(-BOX_HALF, -BOX_HALF), (-BOX_HALF, BOX_HALF), (BOX_HALF, BOX_HALF), (BOX_HALF, -BOX_HALF)]
        self.box, self.box_faces = shapes.prism(corners, BOX_HEIGHT)
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        import mitsuba as mi

        place, white = mi.ScalarTransform4f, shapes.diffuse(*WHITE)

        def wall(shift: list[float], axis: list[float], degrees: float, bsdf: dict[str, Any]) -> dict[str, Any]:
            return {"type": "rectangle", "to_world": place().translate(shift).rotate(axis, degrees), "bsdf": bsdf}

        lamp = {"type": "area", "radiance": {"type": "rgb", "value": RADIANCE}}
        return {
            "sensor": shapes.camera((0.0, 1.0, 4.4), (0.0, 1.0, 0.0), 34),
            "floor": shapes.floor(1.0, white),
            "ceiling": wall([0, 2, 0], [1, 0, 0], 90, white),
            "back": wall([0, 1, -1], [0, 1, 0], 0, white),
            "left": wall([-1, 1, 0], [0, 1, 0], 90, shapes.diffuse(*RED)),
            "right": wall([1, 1, 0], [0, 1, 0], -90, shapes.diffuse(*GREEN)),
            "lamp": {"type": "rectangle", "to_world": place().translate([0, 1.5, 0]), "emitter": lamp},
            "box": shapes.mesh("box", self.box, self.box_faces, shapes.diffuse(*BLUE)),
        }

    def compare(self, pictures: Tensor, target: Tensor) -> Tensor:
        """Return the mean squared error (n,) of x / (1 + x): else the lamp, 15 where walls are ½, would be all."""
        return super().compare(pictures / (1 + pictures), target / (1 + target))

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        values = z * self.scale.to(z)
        # Mitsuba's rectangle lies in its xy plane and faces z, which becomes -y here.
        down = torch.tensor([[LAMP_HALF, 0, 0, 0], [0, 0, -1.0, 0], [0, LAMP_HALF, 0, 0], [0, 0, 0, 1.0]])
        rows, last = torch.tensor([0, 1, 2]), torch.tensor([3, 3, 3])
        shift = torch.zeros(4, 4).index_put((rows, last), values[:3])
        turn = shapes.rotation_y(values[5])
        spot = torch.stack([values[3], torch.zeros(()), values[4]])
        return {"lamp.to_world": down + shift, "box.vertex_positions": (self.box @ turn.T + spot).flatten()}
