"""Building blocks of the scenes: meshes as tensors, and Mitsuba's dictionaries for materials, lights and cameras."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Vector = tuple[float, float, float]


def diffuse(red: float, green: float, blue: float) -> dict[str, Any]:
    """Return a two-sided diffuse material."""
    color = {"type": "rgb", "value": [red, green, blue]}
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": color}}


def camera(origin: Vector, target: Vector, fov: float, up: Vector = (0.0, 1.0, 0.0)) -> dict[str, Any]:
    """Return a pinhole camera; `fov` in degrees, across the wider side."""
    import mitsuba as mi

    look = mi.ScalarTransform4f().look_at(origin=list(origin), target=list(target), up=list(up))
    return {"type": "perspective", "fov": fov, "fov_axis": "larger", "to_world": look}


def floor(half: float, bsdf: dict[str, Any], height: float = 0.0) -> dict[str, Any]:
    """Return a horizontal square facing up."""
    import mitsuba as mi

    place = mi.ScalarTransform4f().translate([0, height, 0]).rotate([1, 0, 0], -90).scale(half)
    return {"type": "rectangle", "to_world": place, "bsdf": bsdf}


def panel(position: Vector, target: Vector, half: float, radiance: float) -> dict[str, Any]:
    """Return a square area light at `position` that shines towards `target`."""
    import mitsuba as mi

    up = [0, 0, 1] if abs(position[1] - target[1]) > abs(position[2] - target[2]) else [0, 1, 0]
    place = mi.ScalarTransform4f().look_at(origin=list(position), target=list(target), up=up).scale(half)
    light = {"type": "area", "radiance": {"type": "rgb", "value": radiance}}
    return {"type": "rectangle", "to_world": place, "emitter": light}


def mesh(name: str, vertices: Tensor, faces: Tensor, bsdf: dict[str, Any]) -> Any:
    """Return a mesh of Mitsuba with flat faces from vertices (v, 3) and faces (f, 3).

    It goes through a file: dr.freeze replays stale positions of a mesh that was built in Python (Mitsuba 3.9.1).
    """
    import mitsuba as mi

    built = mi.Mesh(name, len(vertices), len(faces))
    handles = mi.traverse(built)
    handles["vertex_positions"] = type(handles["vertex_positions"])(vertices.numpy().ravel().astype(np.float32))
    handles["faces"] = type(handles["faces"])(faces.numpy().ravel().astype(np.uint32))
    handles.update()
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, f"{name}.ply"))
        built.write_ply(file)
        return mi.load_dict({"type": "ply", "filename": file, "face_normals": True, "bsdf": bsdf})


def placed(center: Tensor, radius: float) -> Tensor:
    """Return the transform (4, 4) of the unit sphere to `center` (3,), differentiable in it."""
    place = torch.diag(torch.tensor([radius, radius, radius, 1.0])).to(center)
    return torch.cat([place[:, :3], torch.cat([center, center.new_ones(1)])[:, None]], 1)


def rotation_y(angle: Tensor) -> Tensor:
    """Return the rotation (3, 3) about the vertical axis by `angle` (), in radians."""
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos]).view(3, 3)


def _grid_faces(rows: int, columns: int, around: bool) -> Tensor:
    """Return the triangles of a grid of points; `around`: its last column meets the first."""
    r, c = torch.meshgrid(torch.arange(rows - 1), torch.arange(columns if around else columns - 1), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    d, e = a + columns, b + columns
    return torch.stack([torch.stack([a, d, b], -1), torch.stack([b, d, e], -1)]).view(-1, 3)


def prism(outline: list[tuple[float, float]], height: float) -> tuple[Tensor, Tensor]:
    """Return vertices and faces of an upright prism on y = 0, open below.

    Args:
        outline: Corners (x, z) so that the face winds upwards, the first of which sees all others.
        height: Along y.
    """
    count = len(outline)
    x, z = torch.tensor(outline).unbind(1)
    low, high = torch.stack([x, 0 * x, z], 1), torch.stack([x, 0 * x + height, z], 1)
    here = torch.arange(count)
    after = (here + 1) % count
    sides = [torch.stack([here, after, after + count], 1), torch.stack([here, after + count, here + count], 1)]
    fan = torch.arange(1, count - 1)
    return torch.cat([low, high]), torch.cat([*sides, torch.stack([0 * fan, fan, fan + 1], 1) + count])


def plane(half: float, cells: int) -> tuple[Tensor, Tensor]:
    """Return vertices and faces of a horizontal square on y = 0 that faces up, cut into cells."""
    axis = torch.linspace(-half, half, cells + 1)
    z, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x, torch.zeros_like(x), z], -1).view(-1, 3), _grid_faces(cells + 1, cells + 1, around=False)


def icosphere(subdivisions: int) -> tuple[Tensor, Tensor]:
    """Return vertices and faces of a unit sphere: an icosahedron, each triangle cut into four `subdivisions` times."""
    golden = (1 + math.sqrt(5)) / 2
    corners = torch.tensor([(0.0, a, b) for a in (-1.0, 1.0) for b in (-golden, golden)])
    points = torch.cat([corners.roll(turn, 1) for turn in range(3)])
    triples = torch.combinations(torch.arange(12), 3)
    faces = triples[((points[triples] - points[triples.roll(1, 1)]).norm(dim=2) < 2.1).all(1)]  # edges are 2 long
    for _ in range(subdivisions):
        pairs = faces[:, [[0, 1], [1, 2], [2, 0]]].transpose(0, 1).reshape(-1, 2).sort(1).values
        edges, index = pairs.unique(dim=0, return_inverse=True)
        (i, j, k), (a, b, c) = faces.unbind(1), (index + len(points)).chunk(3)
        points = torch.cat([points, points[edges].mean(1)])
        faces = torch.cat([torch.stack(corner, 1) for corner in ((i, a, c), (a, j, b), (c, b, k), (a, b, c))])
    points = points / points.norm(dim=1, keepdim=True)
    first, second, third = points[faces].unbind(1)
    inwards = (torch.linalg.cross(first, second) * third).sum(1) < 0
    return points, torch.where(inwards[:, None], faces.flip(1), faces)


def torus(major: float, minor: float, start: float, stop: float, rows: int = 17, columns: int = 10):
    """Return vertices and faces of a bent tube around the z axis in the xy plane, from `start` to `stop` degrees."""
    angle = torch.linspace(math.radians(start), math.radians(stop), rows)[:, None]
    ring = 2 * math.pi * torch.arange(columns) / columns
    radius = major + minor * ring.cos()
    points = torch.stack([radius * angle.cos(), radius * angle.sin(), (minor * ring.sin()).expand(rows, -1)], -1)
    return points.view(-1, 3), _grid_faces(rows, columns, around=True)


def cup(radius: float, height: float, thickness: float, columns: int = 48) -> tuple[Tensor, Tensor]:
    """Return vertices and faces of an upright open cylinder with a wall and a bottom, standing on y = 0."""
    inner = radius - thickness
    profile = torch.tensor([(0, 0), (radius, 0), (radius, height), (inner, height), (inner, thickness), (0, thickness)])
    around = 2 * math.pi * torch.arange(columns) / columns
    x, y = profile[:, :1], profile[:, 1:]
    points = torch.stack([x * around.cos(), y.expand(-1, columns), x * around.sin()], -1)
    return points.reshape(-1, 3).float(), _grid_faces(len(profile), columns, around=True)
