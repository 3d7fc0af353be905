"""A blue sphere has to move to its reference position, from over it, from beside it, or from behind a board."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from benchmarks.rendering._soft_raster import Surface
from methods._ranges import Count, Pixels

Case = Literal["overlap", "apart", "occluded"]
STEP = 0.3  # scene units: z = 1.0
RADIUS = 0.5
TARGET = 0.65  # x of the sphere's centre
STARTS: dict[Case, float] = {"overlap": 0.2, "apart": -0.65, "occluded": -0.5}
FARTHEST = 0.95  # at which the sphere is still wholly in the picture
BOARD = ((-1.45, 0.2), 0.62, 0.8)  # from x to x, half its height, z
CAMERA = 30.0  # far, so that the sphere's outline is the same everywhere
BLUE, ORANGE = (0.1, 0.25, 0.7), (0.8, 0.4, 0.1)


class Sphere(Scene):
    """The sphere's x, one unknown. Beside its target or hidden, it can move a little without a change of the loss.

    Case `overlap` is the control: start and target overlap, and the loss has a slope at the start.
    """

    provenance = "ours"
    source = (
        "ours after the three cases of the motivating picture in Fischer's doctoral overview (its Fig. 4; PRDPT): a "
        "blue sphere overlaps its target, does not, or is occluded. No numbers are given there. Ours: one unknown, "
        "the shift towards the target, so that loss and smoothed loss can be drawn as curves; σ .3 for a sphere of "
        "radius .5 and the jitter of a quarter σ, the same in all cases; starts .45, 1.3 and 1.15 from the target "
        "(.3, one σ, from touching it; wholly behind the board, up to .2 from its edge), bounds, scene and picture. "
        "The light comes from the viewer and the background is dark: towards its outline the sphere fades, which "
        "keeps the pixel grid and its noise out of the loss of a sphere that is seen to move without overlapping"
    )
    towards_light = (0.0, 0.0, 1.0)

    def setup(
        self,
        case: Case = "apart",
        width: Pixels = 48,
        height: Pixels = 24,
        spp: Count = 16,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """Start over, beside or hidden from the target; see `Scene.build` for the other parameters."""
        self.case: Case = case
        self.scale = STEP
        self.reference, self.begin = torch.tensor([TARGET / STEP]), torch.tensor([STARTS[case] / STEP])
        self.upper = torch.tensor([FARTHEST / STEP], device=self.device)
        self.lower = -self.upper
        vertices, self.faces = shapes.icosphere(2)
        self.ball = (vertices * RADIUS).to(self.device)
        (left, right), half, depth = BOARD
        corners = [(left, -half, depth), (right, -half, depth), (right, half, depth), (left, half, depth)]
        self.board = torch.tensor(corners, device=self.device), torch.tensor([[0, 1, 2], [0, 2, 3]])
        self.build(width, height, spp, random_numbers, comparison)

    def describe(self) -> dict[str, Any]:
        black = shapes.diffuse(0.0, 0.0, 0.0)
        scene = {
            "sensor": shapes.camera((0, 0, CAMERA), (0, 0, 0), 5.6),
            "light": shapes.panel((0, 0, CAMERA + 1), (0, 0, 0), 1.0, 900.0) | {"bsdf": black},
            # never sampled as a light, the sky is met by chance: less noise
            "sky": {"type": "constant", "sampling_weight": 0.0, "radiance": {"type": "rgb", "value": 0.05}},
            "mover": {"type": "sphere", "bsdf": shapes.diffuse(*BLUE)},
        }
        if self.case == "occluded":
            vertices, faces = self.board
            scene["board"] = shapes.mesh("board", vertices.cpu(), faces, shapes.diffuse(*ORANGE))
        return scene

    def center(self, z: Tensor) -> Tensor:
        """Return where the sphere is (3,)."""
        return torch.stack([z[0] * STEP, torch.zeros_like(z[0]), torch.zeros_like(z[0])])

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        return {"mover.to_world": shapes.placed(self.center(z), RADIUS)}

    def surfaces(self, z: Tensor) -> list[Surface]:
        fixed = [Surface(*self.board, ORANGE)] if self.case == "occluded" else []
        return [*fixed, Surface(self.ball + self.center(z), self.faces, BLUE)]
