"""A corner of a room tells where the light is, what colour the unseen wall has, and how the box is turned."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

LIGHT_STEP, COLOR_STEP, TURN_STEP = 0.3, 0.2, math.radians(30)  # z = 1.0
LIGHT_HALF, LIGHT_HEIGHT = 0.25, 1.98  # the room is 2 × 2 × 2, from -1 to 1, its floor at 0
TARGET = (0.3, -0.2, 0.7, 0.1, 0.1, math.radians(20))  # light x, z; left wall red, green, blue; box about y
BEGIN = (-0.45, 0.45, 0.3, 0.6, 0.5, math.radians(-20))
BOX_HALF, BOX_HEIGHT = 0.3, 0.8
BOX_PLACE = (0.3, 0.0, 0.1)
WHITE = (0.73, 0.73, 0.73)


class GlobalIllumination(Scene):
    """Light position (2), colour of the left wall (3) and rotation of a box (1), seen in an inset of a Cornell box.

    Neither light nor left wall are in the picture: direct light, shadow and colour bleeding have to tell. This is no
    plateau but a *control*: light reaches everything, so the start has a slope in every coordinate. `prb` sees what
    colours and shading do, not the edges of shadow and box that move.
    """

    exposure = 2.0
    provenance = "paper"
    source = (
        "Fischer & Ritschel 2023 (PRDPT), GLOBAL ILLUMINATION: light position, left-wall colour and box rotation in a "
        "Cornell box of which only an inset is seen; depth 6. Ours, as the paper gives no numbers: room, box, camera, "
        "start and target, the light in the plane of the ceiling (2-D), all natural steps (.3 of a half room, .2 of "
        "reflectance, 30°), the bounds and the jitter"
    )

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 24,
        spp: Count = 8,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = torch.tensor([LIGHT_STEP] * 2 + [COLOR_STEP] * 3 + [TURN_STEP])
        self.reference = torch.tensor(TARGET) / self.scale
        self.begin = torch.tensor(BEGIN) / self.scale
        reach = 1 - LIGHT_HALF - 0.01
        self.lower = torch.tensor([-reach, -reach, 0.05, 0.05, 0.05, -math.radians(45)]) / self.scale
        self.upper = torch.tensor([reach, reach, 0.95, 0.95, 0.95, math.radians(45)]) / self.scale
        corners = [(-BOX_HALF, -BOX_HALF), (-BOX_HALF, BOX_HALF), (BOX_HALF, BOX_HALF), (BOX_HALF, -BOX_HALF)]
        self.box, self.box_faces = shapes.prism(corners, BOX_HEIGHT)
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        import mitsuba as mi

        place, white = mi.ScalarTransform4f, shapes.diffuse(*WHITE)
        left = {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(TARGET[2:5])}}
        light = {"type": "area", "radiance": {"type": "rgb", "value": 9.0}}
        return {
            "sensor": shapes.camera((0.0, 1.0, 3.9), (0.3, 0.5, -0.3), 24),
            "floor": shapes.floor(1.0, white),
            "ceiling": {
                "type": "rectangle",
                "to_world": place().translate([0, 2, 0]).rotate([1, 0, 0], 90),
                "bsdf": white,
            },
            "back": {"type": "rectangle", "to_world": place().translate([0, 1, -1]), "bsdf": white},
            "left": {
                "type": "rectangle",
                "to_world": place().translate([-1, 1, 0]).rotate([0, 1, 0], 90),
                "bsdf": left,
            },
            "right": {
                "type": "rectangle",
                "to_world": place().translate([1, 1, 0]).rotate([0, 1, 0], -90),
                "bsdf": shapes.diffuse(0.15, 0.5, 0.15),
            },
            "light": {"type": "rectangle", "to_world": place().translate([0, LIGHT_HEIGHT, 0]), "emitter": light},
            "box": shapes.mesh("box", self.box, self.box_faces, white),
        }

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        values = z * self.scale.to(z)
        turn = shapes.rotation_y(values[5])
        # Mitsuba's rectangle lies in its xy plane and faces z, which becomes -y here.
        down = torch.tensor([[LIGHT_HALF, 0, 0, 0], [0, 0, -1.0, LIGHT_HEIGHT], [0, LIGHT_HALF, 0, 0], [0, 0, 0, 1.0]])
        shift = torch.zeros(4, 4).index_put((torch.tensor([0, 2]), torch.tensor([3, 3])), values[:2])
        return {
            "light.to_world": down + shift,
            "left.bsdf.reflectance.value": values[2:5],
            "box.vertex_positions": ((self.box @ turn.T) + torch.tensor(BOX_PLACE)).flatten(),
        }
