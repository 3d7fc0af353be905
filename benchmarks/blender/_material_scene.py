"""A ball with a procedural material: a pattern, turned, stretched and bent, decides between two colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.blender import _stage

PATTERNS = ("bands", "rings", "cells")
NAMES = (
    *("pattern", "metal", "roughness", "scale", "distortion", "turn", "balance", "softness"),
    *("red", "green", "blue", "other_red", "other_green", "other_blue"),
)
SIDE, SAMPLES = 96, 4
CELLS = 3.0  # as many times finer than bands: about as many of them lie across the ball
MOST = 8.0  # of distortion


def build() -> Callable[[np.ndarray], None]:
    """Build the scene; return what makes the material of these values, in the order of `NAMES`.

    `pattern` and `metal` count from 0; `turn` is an angle around the line of sight. The pattern's height, 0 to 1, is
    stretched such that `balance` comes to lie halfway between the colours and `softness` is all that lies between them.
    """
    import bpy

    scene = _stage.empty(SIDE, SIDE, SAMPLES, bounces=2, sky=(0.5, 0.6, 0.75), strength=0.6)
    # Flat faces, finer than pixels: Blender adds up smooth normals in an order that differs from process to process.
    bpy.ops.mesh.primitive_uv_sphere_add(segments=256, ring_count=128)
    material = _stage.paint("ball", (1, 1, 1), 0.5)
    bpy.context.object.data.materials.append(material)
    _stage.plane((0, 0, -1), _stage.paint("floor", (0.35, 0.35, 0.35), 0.9))
    _stage.lamp(scene, "AREA", 350, 2, (3, -3, 4))
    _stage.camera(scene, (0, -4.2, 1.2), (0, 0, -0.05), lens=58)
    tree = material.node_tree
    surface = tree.nodes["Principled BSDF"]
    place, heights = _patterns(tree)
    between = tree.nodes.new("ShaderNodeMapRange")
    mix = tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    tree.links.new(between.outputs["Result"], mix.inputs["Factor"])
    colours = [socket for socket in mix.inputs if socket.type == "RGBA"]
    (mixed,) = (socket for socket in mix.outputs if socket.type == "RGBA")
    tree.links.new(mixed, surface.inputs["Base Color"])

    def apply(values: np.ndarray) -> None:
        pattern, metal, roughness, scale, distortion, turn, balance, softness, *six = map(float, values)
        node, socket = heights[round(pattern)]
        tree.links.new(node.outputs[socket], between.inputs["Value"])
        cells = PATTERNS[round(pattern)] == "cells"
        node.inputs["Scale"].default_value = scale * (CELLS if cells else 1.0)
        if cells:
            node.inputs["Randomness"].default_value = distortion / MOST
        else:
            node.inputs["Distortion"].default_value = distortion
        place.inputs["Rotation"].default_value = (0, turn, 0)
        between.inputs["From Min"].default_value = balance - softness / 2
        between.inputs["From Max"].default_value = balance + softness / 2
        surface.inputs["Metallic"].default_value = metal
        surface.inputs["Roughness"].default_value = roughness
        for colour, three in zip(colours, (six[:3], six[3:]), strict=True):
            colour.default_value = (*three, 1)

    return apply


def _patterns(tree: Any) -> tuple[Any, list[tuple[Any, str]]]:
    """Return the node that turns space, and a node and its output for each pattern, in their order."""
    where, place = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    tree.links.new(where.outputs["Object"], place.inputs["Vector"])
    found = []
    for name in PATTERNS:
        node = tree.nodes.new("ShaderNodeTexVoronoi" if name == "cells" else "ShaderNodeTexWave")
        if name == "cells":
            node.feature = "SMOOTH_F1"
        else:
            node.wave_type = name.upper()
            node.bands_direction, node.rings_direction = "Z", "Y"  # rings around the line of sight
            node.inputs["Detail"].default_value = 0
            node.inputs["Phase Offset"].default_value = math.pi / 2
        tree.links.new(place.outputs["Vector"], node.inputs["Vector"])
        found.append((node, "Distance" if name == "cells" else "Fac"))
    return place, found
