"""Eight angular objects lie on a floor, each beside its place and turned away from how the picture shows it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

SIGMA = torch.tensor([1.0, 1.0, math.radians(60)])  # x, z and angle of z = 1.0: nearly the object's size of 1.2
OBJECTS = {  # reflectances
    "red": (0.75, 0.06, 0.05),
    "orange": (0.80, 0.35, 0.04),
    "yellow": (0.80, 0.70, 0.05),
    "green": (0.06, 0.50, 0.10),
    "cyan": (0.05, 0.60, 0.65),
    "blue": (0.06, 0.15, 0.75),
    "white": (0.90, 0.90, 0.90),
    "black": (0.03, 0.03, 0.03),
}
ELL = [(-0.1, 0.1), (-0.1, -0.6), (-0.6, -0.6), (-0.6, 0.6), (0.6, 0.6), (0.6, 0.1)]
GAP = 0.15  # between objects and floor: an edge that touches a surface is no silhouette to projective sampling
CELL = torch.tensor([2.4, 2.0])  # of a board of 4 × 4 cells: places on the black ones, starts on the white ones
BOUND = torch.tensor([4.7, 3.3, 2 * math.pi])  # |x|, |z| and |angle|: all of every object is in the picture
TURN = math.radians(120)


class Poses(Scene):
    """Place and angle of eight L-shaped objects, 24 unknowns: between a pose of its own and 75 cubes.

    Every object starts 2.4 natural steps from its place, so far that neither it nor its shadow overlaps any object of
    the target; three unknowns each, because an angle can be found only after the place, and none is determined by
    another object.

    A *control* by the letter: the squared error of a moving picture depends on how it meets the pixels. Measured at one
    start with 1,024 samples per pixel, as share of the loss per natural step: slopes along single coordinates have a
    root mean square of .020 (largest .085) from central differences with steps of .05, .011 (.044) with .1, .005 (.012)
    with .3, a pixel: they point nowhere. Beyond a pixel it is a plateau in every coordinate.
    """

    provenance = "ours"
    source = (
        "ours: a step between the 1 to 3 unknowns and the 150 of PRDPT's scenes; shapes, colours, board, camera, "
        "light, start (the next cell, turned by 120°, jitter of ¼ natural step), σ (1 for lengths, nearly an "
        "object's size; 60° for angles, as for the mug), 32×24 pixels, 8 samples per pixel, depth 3; objects hover "
        "by 0.15 (edges that touch the floor would be hidden from projective sampling), may overlap and differ in "
        "height by 0.01 (of two in one place one is on top)"
    )
    depth = 3

    def setup(
        self,
        width: Pixels = 32,
        height: Pixels = 24,
        spp: Count = 8,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """See `Scene.build` for the parameters."""
        number = torch.arange(len(OBJECTS))
        row, column = number // 2, 2 * (number % 2) + (number // 2) % 2
        aims = torch.stack([*self._cell(row, column), (2.4 * number) % (2 * math.pi) - math.pi], 1)
        starts = torch.stack([*self._cell(row, column ^ 1), aims[:, 2] + TURN * (1 - 2 * (number % 2))], 1)
        self.scale = SIGMA.repeat(len(number)).to(self.device)
        self.reference, self.begin = (aims / SIGMA).flatten(), (starts / SIGMA).flatten()
        self.upper = BOUND.repeat(len(number)).to(self.device) / self.scale
        self.lower = -self.upper
        self.solids = {name: shapes.prism(ELL, 0.4 + 0.01 * order) for order, name in enumerate(OBJECTS)}
        self.build(width, height, spp, random_numbers, comparison)

    def _cell(self, row: Tensor, column: Tensor) -> tuple[Tensor, Tensor]:
        """Return x and z of the cells' centres."""
        return (column - 1.5) * CELL[0], (row - 1.5) * CELL[1]

    def describe(self) -> dict[str, Any]:
        described = {  # from far away: an object looks nearly the same wherever it lies
            "sensor": shapes.camera((0.0, 60.0, 18.0), (0.0, 0.0, 0.0), 10.22),
            "floor": shapes.floor(60.0, shapes.diffuse(0.4, 0.4, 0.4)),
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.4}},
            "sun": shapes.panel((-16.0, 36.0, 10.0), (0.0, 0.0, 0.0), 4.0, 50.0),
        }
        for name, solid in self.solids.items():
            described[name] = shapes.mesh(name, *solid, shapes.diffuse(*OBJECTS[name]))
        return described

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        placed = {}
        for (name, (vertices, _)), pose in zip(self.solids.items(), (z * self.scale).view(-1, 3), strict=True):
            place = torch.stack([pose[0], torch.full_like(pose[0], GAP), pose[1]])
            placed[f"{name}.vertex_positions"] = (vertices.to(z) @ shapes.rotation_y(pose[2]).T + place).flatten()
        return placed

    def offset(self, z: Tensor) -> Tensor:
        """Return ways in scene units and angles in radians, a full turn being none, (24,)."""
        x, y, angle = ((z - self.reference) * self.scale).view(-1, 3).unbind(1)
        return torch.stack([x, y, torch.remainder(angle + math.pi, 2 * math.pi) - math.pi], 1).flatten()
