"""Seventy-five coloured cubes lie mixed on a table until they are sorted as the picture shows them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.rendering import _losses
from benchmarks.rendering import _shapes as shapes
from benchmarks.rendering._scene import Comparison, RandomNumbers, Scene
from methods._ranges import Count, Pixels

SIGMA = 1.0  # scene units: z = 1.0 is the edge of a cube
EACH = 15  # cubes of one colour
SQUARE = [(-0.5, -0.5), (-0.5, 0.5), (0.5, 0.5), (0.5, -0.5)]
CUBES = {  # colour → reflectance and height; heights differ so that of two cubes in one place one is on top
    "red": ((0.70, 0.06, 0.05), 1.00),
    "yellow": ((0.70, 0.60, 0.05), 1.02),
    "green": ((0.07, 0.45, 0.10), 1.04),
    "blue": ((0.06, 0.20, 0.70), 1.06),
    "violet": ((0.55, 0.06, 0.55), 1.08),
}
GAP = 0.15  # between cubes and table: an edge that touches a surface is no silhouette to projective sampling
BLOCKS = torch.tensor([(-6.0, -4.3), (6.0, -4.3), (0.0, 0.0), (-6.0, 4.3), (6.0, 4.3)])  # centres (x, z), by colour
TABLE = torch.tensor([9.2, 7.0])  # half extents of the rectangle that holds the centres
JITTER = 0.25  # natural steps


def grid(columns: int, rows: int, across: float, along: float) -> Tensor:
    """Return the points (columns · rows, 2) of a grid around the origin with these distances."""
    x = (torch.arange(columns) - (columns - 1) / 2) * across
    z = (torch.arange(rows) - (rows - 1) / 2) * along
    return torch.cartesian_prod(x, z)


SLOTS = grid(10, 8, 1.9, 1.75)  # where cubes may lie at the start: no two touch


class Sort(Scene):
    """Positions (x, z) of 5 × 15 cubes, 150 unknowns; cubes of one colour are interchangeable.

    The parameter error is that of the best assignment within each colour. A cube that is neither on its own colour nor
    on another one's place costs the same everywhere, so the squared error of pictures has nothing to say about where to
    carry it; `loss` chooses what is compared. Measured at 48×36 pixels, 8 samples per pixel, as share of the moves of
    one cube by one edge straight to its assigned place that lower the loss, from the start (halfway, with 95 % of the
    way gone), and as rank correlation of loss and parameter error over 60 starts:

    * squared error: 64 % (61 %, 93 %), correlation .36;
    * `pyramid`: 74 % (62 %, 88 %), .39;
    * `transport`: 87 % (82 %, 91 %), .94, for 0.2 to 0.4 ms besides some 4 ms of rendering.

    Hence `transport` by default; `Scene.validate` reports the squared error besides. Along the straight path from start
    to target every loss falls; what differs is how evenly (linear correlation with the parameter error .73, .80 and
    .98). With `transport` the start has a slope, by design: a *control*, not a plateau.
    """

    provenance = "ours"
    source = (
        "after Fischer & Ritschel 2023 (PRDPT), SORT: x and y of 75 coloured cubes to be sorted by colour; no other "
        "setting of it is known. Ours: five colours, blocks of 5 × 3, start (75 of 80 places on a grid drawn at "
        "random, jitter of ¼ edge), table, camera, light, cubes that do not turn, may overlap and hover by 0.15 edges "
        "(edges that touch the table would be hidden from projective sampling), σ = one edge, 48×36 pixels, 8 samples "
        "per pixel, depth 3, and the loss"
    )
    depth = 3

    def setup(
        self,
        width: Pixels = 48,
        height: Pixels = 36,
        spp: Count = 8,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
        loss: Literal["mse", "pyramid", "transport"] = "transport",
    ) -> None:
        """See `Scene.build` for the other parameters.

        Args:
            width: Pixels.
            height: Pixels.
            spp: Samples per pixel.
            random_numbers: `common` or `fresh`.
            comparison: `unbiased` is an estimate of the squared error: only with `loss` "mse".
            loss: Squared error; its sum over coarser and coarser pictures; or how far colours have to be carried
                (`_losses.transport`).
        """
        if loss != "mse" and comparison == "unbiased":
            raise UsageError(
                f"rendering.sort: comparison 'unbiased' estimates the squared error: it needs loss 'mse', not {loss!r}"
            )
        self.image_loss = {"mse": super().compare, "pyramid": _losses.pyramid, "transport": _losses.transport}[loss]
        self.scale = SIGMA
        self.reference = (BLOCKS[:, None] + grid(5, 3, 1.2, 1.2)).flatten() / SIGMA
        self.begin = self.start(0)
        self.upper = TABLE.repeat(EACH * len(CUBES)).to(self.device) / SIGMA
        self.lower = -self.upper
        self.solids = {name: shapes.prism(SQUARE, height) for name, (_, height) in CUBES.items()}
        self.build(width, height, spp, random_numbers, comparison)

    def start(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(SLOTS), generator=generator)[: EACH * len(CUBES)]
        jitter = 2 * torch.rand(2 * len(chosen), generator=generator) - 1
        return (SLOTS[chosen].flatten() / SIGMA + JITTER * jitter).to(self.device)

    def describe(self) -> dict[str, Any]:
        described = {
            "sensor": shapes.camera((0.0, 24.0, 7.0), (0.0, 0.0, 0.35), 49),
            "table": shapes.floor(40.0, shapes.diffuse(0.5, 0.5, 0.5)),
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.4}},
            "light": shapes.panel((-8.0, 20.0, 4.0), (0.0, 0.0, 0.0), 3.0, 14.0),
        }
        for name, (vertices, faces) in self.solids.items():  # one mesh per colour: every mesh is an update per picture
            copies = faces + len(vertices) * torch.arange(EACH)[:, None, None]
            described[name] = shapes.mesh(
                name, vertices.repeat(EACH, 1), copies.view(-1, 3), shapes.diffuse(*CUBES[name][0])
            )
        return described

    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        x, y = (z * SIGMA).view(len(CUBES), EACH, 2).unbind(2)
        places = torch.stack([x, torch.full_like(x, GAP), y], 2)
        return {
            f"{name}.vertex_positions": (vertices.to(z) + place[:, None]).flatten()
            for (name, (vertices, _)), place in zip(self.solids.items(), places, strict=True)
        }

    def compare(self, pictures: Tensor, target: Tensor) -> Tensor:
        return self.image_loss(pictures, target)

    def offset(self, z: Tensor) -> Tensor:
        """Return the ways (150,) from the places that the cubes of each colour share at the least squared cost."""
        here, aims = (SIGMA * item.detach().view(len(CUBES), EACH, 2) for item in (z, self.reference))
        offsets = []
        for cubes, places in zip(here, aims, strict=True):
            squares = (cubes[:, None] - places).double().square().sum(2)
            _, chosen = linear_sum_assignment(squares.cpu().numpy())
            offsets.append(cubes - places[torch.from_numpy(chosen).to(places.device)])
        return torch.cat(offsets).flatten()
