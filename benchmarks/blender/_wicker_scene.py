"""A basket: stakes stand in a circle, weavers go around them in rows, over and under."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from benchmarks.blender import _stage

NAMES = ("stakes", "rows", "weave", "bottom", "top", "height", "thickness", "twist", "bulge")
SIDE, SAMPLES = 96, 4
POINTS = 6  # of a stake
ABOVE = 1.06  # how far stakes rise above the basket's height
SWING = 1.3  # by how many thicknesses a weaver leaves the stakes' circle


def build() -> Callable[[np.ndarray], None]:
    """Build the scene; return what makes the basket of these values, in the order of `NAMES`.

    `weave` is the number of stakes that a weaver passes on one side; radii, height, thickness and bulge are lengths,
    the twist is an angle.
    """
    import bpy

    scene = _stage.empty(SIDE, SIDE, SAMPLES, bounces=2, sky=(0.6, 0.65, 0.75), strength=0.5)
    curve = bpy.data.curves.new("basket", "CURVE")
    curve.dimensions, curve.bevel_resolution, curve.resolution_u = "3D", 1, 1
    curve.materials.append(_stage.paint("weaver", (0.45, 0.24, 0.09), 0.6))
    curve.materials.append(_stage.paint("stake", (0.16, 0.07, 0.03), 0.6))
    scene.collection.objects.link(bpy.data.objects.new("basket", curve))
    _stage.plane((0, 0, 0), _stage.paint("floor", (0.55, 0.56, 0.6), 0.9))
    _stage.lamp(scene, "SUN", 3.0, 0.05, (2.5, -4.0, 6.0))
    _stage.camera(scene, (0, -4.6, 2.9), (0, 0, 0.5), lens=55)

    def apply(values: np.ndarray) -> None:
        curve.splines.clear()
        curve.bevel_depth = values[NAMES.index("thickness")]
        stakes, weavers = strands(values)
        for strand, material in [*((one, 1) for one in stakes), *((one, 0) for one in weavers)]:
            line = curve.splines.new("POLY")
            line.points.add(len(strand) - 1)
            line.use_cyclic_u, line.material_index = material == 0, material
            line.points.foreach_set("co", np.column_stack([strand, np.ones(len(strand))]).astype(np.float32).ravel())

    return apply


def strands(values: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the stakes, open, and the weavers, closed, as points (n, 3)."""
    stakes, rows, weave, bottom, top, height, thickness, twist, bulge = values
    count = round(stakes)

    def circle(share: float | np.ndarray) -> float | np.ndarray:
        return bottom + (top - bottom) * share + bulge * np.sin(math.pi * share)

    share = np.linspace(0, 1, POINTS)
    upright = []
    for stake in range(count):
        angle = 2 * math.pi * stake / count + twist * share
        upright.append(
            np.stack([circle(share) * np.cos(angle), circle(share) * np.sin(angle), ABOVE * height * share], 1)
        )
    around = []
    passed = np.arange(2 * count) / 2  # stakes, and halfway between two
    for row in range(round(rows)):
        up = (row + 0.5) / round(rows)
        side = np.cos(math.pi * (passed / round(weave) + row % 2))
        radius = circle(up) + SWING * thickness * side
        angle = 2 * math.pi * passed / count + twist * up
        around.append(np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(2 * count, height * up)], 1))
    return upright, around
