"""A torch behind a glass ball: where it stands is seen only from the caustic that the ball throws on the floor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene

IOR = 1.504
BALL = torch.tensor([0.0, 1.6, 0.0])  # centre
RADIUS = 0.5
STEP = 0.5


class Caustic(Scene):
    provenance = "paper"
    source = "x"
    integrator = "ptracer"
    differentiable = ("prb",)

    def setup(
        self,
        width: int = 32,
        height: int = 32,
        spp: int = 16,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = STEP
        self.reference = torch.tensor([-0.7, 3.6, 0.5]) / STEP
        self.begin = torch.tensor([0.7, 3.6, -0.4]) / STEP
        self.lower = torch.tensor([-1.2, 3.0, -1.2]) / STEP
        self.upper = torch.tensor([1.2, 4.5, 1.2]) / STEP
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        import mitsuba as mi

        glass = {"type": "dielectric", "int_ior": IOR, "ext_ior": 1.0}
        return {
            "sensor": shapes.camera((0, 3.2, 4.2), (0, 0, 0), 38),
            "floor": shapes.floor(4.0, shapes.diffuse(0.8, 0.8, 0.8)),
            "ball": {"type": "sphere", "center": BALL.tolist(), "radius": RADIUS, "bsdf": glass},
            "light": {
                "type": "spot",
                "cutoff_angle": 8.0,
                "beam_width": 6.0,
                "intensity": {"type": "rgb", "value": 30.0},
                "to_world": mi.ScalarTransform4f().look_at(origin=[0, 4, 0], target=BALL.tolist(), up=[0, 0, 1]),
            },
        }

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        origin = z * STEP
        ahead = torch.nn.functional.normalize(BALL - origin, dim=0)
        left = torch.nn.functional.normalize(torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), ahead), dim=0)
        up = torch.linalg.cross(ahead, left)
        m = torch.cat([torch.stack([left, up, ahead, origin], 1), torch.tensor([[0.0, 0, 0, 1]])])
        return {"light.to_world": m}
