"""A hard rasterizer in torch: triangles of many meshes, seen from several sides, into depth-buffered pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LIGHT = (0.6, 0.55, 0.58)  # where it comes from, in the viewer's frame: right, up, towards the viewer
AMBIENT = 0.15
ZOOM = 0.34  # share of the picture that a unit of length takes
NEAREST = 8.0  # units in front of and behind the middle that are told apart
DEPTH_BITS, CONTENT_BITS = 30, 20
PAIRS = 2**21  # of triangles and pixels that are worked on at once


@dataclass(frozen=True)
class Seen:
    """Triangles as viewers see them, a picture for every mesh and viewer."""

    xy: Tensor  # (pictures, f, 3, 2) corners in pixels, from the lower left
    depth: Tensor  # (pictures, f, 3) of the corners, towards the viewer
    shade: Tensor  # (pictures, f) in [0, 1]
    front: Tensor  # (pictures, f) whether they face the viewer


def render(vertices: Tensor, faces: Tensor, views: Tensor, size: int) -> Tensor:
    """Return pictures (n, views, size, size) in [0, 1], black where there is nothing.

    Orthographic, flat Lambert shading, triangles that face away are left out; each pixel shows the triangle that is
    nearest at its centre. Nothing of it has a useful derivative at the edges.

    Args:
        vertices: (n, v, 3).
        faces: (f, 3), counter-clockwise as seen from outside.
        views: (views, 3, 3), each with rows right, up and towards the viewer.
        size: Pixels along a side.
    """
    seen = project(vertices, faces, views, size)
    most = 2**CONTENT_BITS - 1
    shown = nearest(seen, (seen.shade * most).long(), size) % 2**CONTENT_BITS
    return (shown.to(vertices.dtype) / most).unflatten(0, (len(vertices), len(views)))


def project(vertices: Tensor, faces: Tensor, views: Tensor, size: int) -> Seen:
    """Return the triangles of meshes (n, v, 3) before n · views viewers; for the arguments see `render`."""
    seen = torch.einsum("kij,nvj->nkvi", views, vertices).flatten(0, 1)  # (n · views, v, 3)
    corners = seen[:, faces]  # (n · views, f, 3, 3)
    normal = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
    light = torch.tensor(LIGHT, device=vertices.device, dtype=vertices.dtype)
    cosine = (normal @ light) / normal.norm(dim=-1).clamp_min(1e-12)
    shade = AMBIENT + (1 - AMBIENT) * cosine.clamp(0, 1)
    return Seen((corners[..., :2] * ZOOM + 0.5) * size, corners[..., 2], shade, normal[..., 2] > 0)


def nearest(seen: Seen, content: Tensor, size: int) -> Tensor:
    """Return which triangle is nearest at each pixel's centre, (pictures, size, size): 0 where there is none.

    Values order triangles by depth; their low CONTENT_BITS bits are the triangle's `content` (pictures, f).
    """
    # Pixels whose centres lie in a triangle's bounding box.
    low = (seen.xy.amin(2) - 0.5).ceil().clamp(0, size).long()
    high = (seen.xy.amax(2) - 0.5).floor().clamp(-1, size - 1).long()
    extent = (high - low + 1).clamp_min(0) * seen.front[..., None]
    count = extent.prod(-1)  # (pictures, f)
    buffer = torch.zeros(len(content) * size**2, dtype=torch.long, device=content.device)
    for first, last in chunks(count.sum(1).tolist()):
        part = slice(first, last)
        _draw(buffer[first * size**2 : last * size**2], seen.xy[part], seen.depth[part], content[part], low[part],
              extent[part], size)  # fmt: skip
    return buffer.view(len(content), size, size)


def chunks(counts: list[int]) -> list[tuple[int, int]]:
    """Return ranges of pictures that are drawn together, as many as have at most PAIRS pixels to look at."""
    found, first, total = [], 0, 0
    for at, count in enumerate(counts):
        if at > first and total + count > PAIRS:
            found.append((first, at))
            first, total = at, 0
        total += count
    return [*found, (first, len(counts))]


def _draw(buffer: Tensor, xy: Tensor, depth: Tensor, content: Tensor, low: Tensor, extent: Tensor, size: int) -> None:
    """Put the nearest of the triangles (pictures, f) into each pixel of `buffer`: depth in high bits, then content."""
    pictures, faces = content.shape
    count = extent.prod(-1).flatten()
    owner = torch.repeat_interleave(count)  # of every pair, (p,): triangle, counted through all pictures
    rank = torch.arange(len(owner), device=owner.device) - (count.cumsum(0) - count)[owner]
    width = extent[..., 0].flatten()[owner]
    left, bottom = low.flatten(0, 1)[owner].unbind(1)
    column, row = left + rank % width, bottom + rank // width
    px, py = column.to(xy) + 0.5, row.to(xy) + 0.5
    (ax, ay), (bx, by), (cx, cy) = (point.unbind(1) for point in xy.flatten(0, 1)[owner].unbind(1))
    # Barycentric coordinates times twice the area.
    one = (bx - px) * (cy - py) - (by - py) * (cx - px)
    two = (cx - px) * (ay - py) - (cy - py) * (ax - px)
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    three = area - one - two
    inside = (one >= 0) & (two >= 0) & (three >= 0) & (area > 0)
    owner, column, row = owner[inside], column[inside], row[inside]
    near = depth.flatten(0, 1)[owner]  # (p, 3)
    z = (one[inside] * near[:, 0] + two[inside] * near[:, 1] + three[inside] * near[:, 2]) / area[inside]
    order = ((z.clamp(-NEAREST, NEAREST) / NEAREST + 1) * (2**DEPTH_BITS - 1)).long() + 1
    key = order * 2**CONTENT_BITS + content.flatten()[owner]
    pixel = ((owner // faces) * size + size - 1 - row) * size + column
    buffer.scatter_reduce_(0, pixel, key, "amax")
