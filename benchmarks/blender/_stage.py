"""What the scenes have in common, in Blender's own words: an empty scene, a camera, materials, a floor, Cycles."""

from __future__ import annotations

import math
from typing import Any

Colour = tuple[float, float, float]
Place = tuple[float, float, float]


def empty(width: int, height: int, samples: int, bounces: int, sky: Colour, strength: float = 1.0) -> Any:
    """Return Blender's scene with nothing in it but a sky, rendered by Cycles on one core with the same random numbers.

    What is not changed between two pictures is kept by Cycles (persistent data).
    """
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value, background.inputs["Strength"].default_value = (*sky, 1), strength
    render, cycles = scene.render, scene.cycles
    render.engine, render.resolution_x, render.resolution_y = "CYCLES", width, height
    render.threads_mode, render.threads, render.use_persistent_data = "FIXED", 1, True
    cycles.device, cycles.samples, cycles.seed, cycles.max_bounces = "CPU", samples, 0, bounces
    cycles.use_denoising = cycles.use_adaptive_sampling = cycles.use_auto_tile = False
    return scene


def look_at(thing: Any, place: Place, target: Place) -> None:
    """Put a lamp or a camera somewhere and turn it towards a point."""
    from mathutils import Vector

    thing.location = place
    thing.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def camera(scene: Any, place: Place, target: Place, lens: float) -> None:
    """Look from a place at a point, through a lens of so many millimetres."""
    import bpy

    data = bpy.data.cameras.new("camera")
    data.lens = lens
    scene.camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(scene.camera)
    look_at(scene.camera, place, target)


def lamp(scene: Any, kind: str, energy: float, size: float, place: Place) -> None:
    """Hang up a SUN (`size`: its angle) or an AREA lamp (watts, its side) that shines at the origin."""
    import bpy

    data = bpy.data.lights.new("lamp", kind)
    data.energy = energy
    setattr(data, "angle" if kind == "SUN" else "size", size)
    thing = bpy.data.objects.new("lamp", data)
    scene.collection.objects.link(thing)
    look_at(thing, place, (0, 0, 0))


def paint(name: str, colour: Colour, roughness: float) -> Any:
    """Return a plain material."""
    import bpy

    material = bpy.data.materials.new(name)
    material.use_nodes = True
    surface = material.node_tree.nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (*colour, 1)
    surface.inputs["Roughness"].default_value = roughness
    return material


def plane(place: Place, material: Any, upright: bool = False) -> None:
    """Put a square of 40 units there, lying or upright and facing the camera."""
    import bpy

    bpy.ops.mesh.primitive_plane_add(size=40, location=place, rotation=(math.pi / 2 if upright else 0, 0, 0))
    bpy.context.object.data.materials.append(material)
