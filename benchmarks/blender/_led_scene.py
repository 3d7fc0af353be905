"""Twelve displays of four seven-segment digits above a glossy floor: a mesh of 336 faces, each lit or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.blender import _stage

DISPLAYS, DIGITS, SEGMENTS = 12, 4, 7
COUNT = DISPLAYS * DIGITS * SEGMENTS
COLUMNS = 3  # of displays
WIDTH, HEIGHT, SAMPLES = 96, 72, 4
# Centre and whether it lies: top, upper right, lower right, bottom, lower left, upper left, middle; half sizes below.
PLACES = ((0, 1, 1), (0.5, 0.5, 0), (0.5, -0.5, 0), (0, -1, 1), (-0.5, -0.5, 0), (-0.5, 0.5, 0), (0, 0, 1))
LONG, THIN, SPREAD = 0.40, 0.11, 0.9
COLOUR, LIT, DARK = (1.0, 0.12, 0.04), 2.0, 0.04  # radiance of a lit segment above that of a dark one


def build() -> Callable[[np.ndarray], None]:
    """Build the scene; return what sets the segments (336,) to 0 or 1."""
    import bpy

    scene = _stage.empty(WIDTH, HEIGHT, SAMPLES, bounces=3, sky=(0.01, 0.01, 0.015))
    mesh = bpy.data.meshes.new("segments")
    mesh.from_pydata(*_faces())
    lit = mesh.attributes.new("lit", "FLOAT", "FACE")
    mesh.materials.append(_glow())
    scene.collection.objects.link(bpy.data.objects.new("segments", mesh))
    _stage.plane((0, 0.3, 0), _stage.paint("wall", (0.05, 0.05, 0.06), 0.6), upright=True)
    _stage.plane((0, 0, -6.6), _stage.paint("floor", (0.25, 0.25, 0.25), 0.15))
    _stage.camera(scene, (2.5, -22, 1.5), (0, 0, -0.8), lens=42)

    def apply(values: np.ndarray) -> None:
        lit.data.foreach_set("value", values.astype(np.float32))
        mesh.update()

    return apply


def _faces() -> tuple[list[tuple[float, float, float]], list[Any], list[tuple[int, ...]]]:
    """Return vertices, no edges and the faces, in the order of the segments."""
    vertices, faces = [], []
    for number in range(DISPLAYS * DIGITS):
        display, digit = divmod(number, DIGITS)
        row, column = divmod(display, COLUMNS)
        x, z = 5.6 * (column - 1) + 1.25 * (digit - 1.5), 3.0 * (1.5 - row)
        for across, up, lying in PLACES:
            half, tall = (LONG, THIN) if lying else (THIN, LONG)
            centre, middle = x + SPREAD * across, z + SPREAD * up
            first = len(vertices)
            corners = ((-half, -tall), (half, -tall), (half, tall), (-half, tall))
            vertices += [(centre + right, 0.0, middle + above) for right, above in corners]
            faces.append((first, first + 1, first + 2, first + 3))
    return vertices, [], faces


def _glow() -> Any:
    """Return a material that shines with 0.04 + 2 · lit, and is found by chance alone.

    Cycles would sample each of the 336 faces as a lamp: three times the time for light that hardly reaches a floor.
    """
    import bpy

    material = bpy.data.materials.new("glow")
    material.use_nodes = True
    material.cycles.emission_sampling = "NONE"
    tree = material.node_tree
    tree.nodes.clear()
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    shine = tree.nodes.new("ShaderNodeEmission")
    read = tree.nodes.new("ShaderNodeAttribute")
    strength = tree.nodes.new("ShaderNodeMath")
    read.attribute_name = "lit"
    strength.operation = "MULTIPLY_ADD"
    strength.inputs[1].default_value, strength.inputs[2].default_value = LIT, DARK
    shine.inputs["Color"].default_value = (*COLOUR, 1)
    tree.links.new(read.outputs["Fac"], strength.inputs[0])
    tree.links.new(strength.outputs[0], shine.inputs["Strength"])
    tree.links.new(shine.outputs[0], output.inputs["Surface"])
    return material
