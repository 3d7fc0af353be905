"""A spotlight behind a glass ball is found from the caustic that the ball throws on the floor."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

IOR = 1.504
STEP = 0.5  # scene units: z = 1.0
CENTER, RADIUS = (0.0, 2.5, 0.0), 1.0  # of the ball; the floor is at 0
HEIGHT = 11.5  # of the light
TARGET = (-2.6, -2.0)  # natural steps; the start is on the vertical axis through the ball
REACH = 3.25  # farthest the light may go from there along x and z, natural steps
CUTOFF, FALLOFF = 2.8, 1.0  # half angles in degrees: the beam ends; it begins to fade
AWAY, ELEVATION = 40.0, math.radians(50)  # camera: so far that one floor area fills as many pixels everywhere
CERTIFIED_SPP = 512


class Caustic(Scene):
    """The light's x and z, two unknowns; it stays aimed at the ball, so that the beam always hits it.

    The beam is narrow and the caustic small: until it overlaps that of the target, the loss is the energy of two
    pictures, and moving the light does not change it. That energy depends on how much the spot is stretched and
    defocused, with a slope off the ball's axis only; hence the start on the axis, and no third unknown: a change of
    the light's distance would be seen in the size of its caustic anywhere.

    Paths are traced from the light. Paths from the camera never meet a light without extent through glass, so `prb`
    sees a black picture and its gradient is zero, near the target too: no evidence about the plateau.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2023 (PRDPT), CAUSTIC: position of a light behind a glass sphere, index of refraction "
        "1.504; no other setting of it is known. Ours: two unknowns of the position's three, at fixed height; a "
        "spotlight aimed at the ball, its half angles 2.8° and 1°, nothing else that shines; ball (radius 1, its "
        "centre 2.5 over the floor), light (9 over the centre), camera, start on the axis, target 3.3 natural steps "
        "away, bounds of 3.25, natural step .5, jitter of a tenth of it; light tracing, depth 4 (light, into the ball, "
        "out of it, floor: no further reflections); 32×24 pixels, 8 samples per pixel"
    )
    integrator = "ptracer"
    differentiable = ("prb",)
    depth = 4
    jitter = 0.1

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 24,
        spp: Count = 8,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        self.scale = STEP
        self.reference, self.begin = torch.tensor(TARGET), torch.zeros(2)
        self.upper = torch.full((2,), REACH, device=self.device)
        self.lower = -self.upper
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        glass = {"type": "dielectric", "int_ior": IOR, "ext_ior": 1.0}
        camera = (0.0, AWAY * math.sin(ELEVATION), AWAY * math.cos(ELEVATION))
        return {
            "sensor": shapes.camera(camera, (0, 0, 0), 2.2),
            "floor": shapes.floor(4.0, shapes.diffuse(0.8, 0.8, 0.8)),
            "ball": {"type": "sphere", "center": list(CENTER), "radius": RADIUS, "bsdf": glass},
            "light": {
                "type": "spot",
                "cutoff_angle": CUTOFF,
                "beam_width": FALLOFF,
                "intensity": {"type": "rgb", "value": 40.0},
            },
        }

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        origin = torch.stack([z[0] * STEP, torch.full_like(z[0], HEIGHT), z[1] * STEP])
        ahead = normalize(z.new_tensor(CENTER) - origin, dim=0)
        side = normalize(torch.linalg.cross(z.new_tensor([0.0, 0.0, 1.0]), ahead), dim=0)
        frame = torch.stack([side, torch.linalg.cross(ahead, side), ahead, origin], 1)
        return {"light.to_world": torch.cat([frame, z.new_tensor([[0.0, 0.0, 0.0, 1.0]])])}

    @torch.no_grad()
    def precise_loss(self, z: Tensor, seed: int) -> Tensor:
        """Return losses (n,) from pictures with 512 samples per pixel, the target rendered with the same seed.

        A photon is in one pixel or the next: differences at small steps are noisier than where pixels gather light.
        """
        return self.compare(self._pictures(z, CERTIFIED_SPP, seed), self._reference_picture(CERTIFIED_SPP, seed))
