"""Antialiased pictures of a mesh, differentiable by its vertices: what the hard rasterizer shows, averaged over pixels.

Rows and columns are four times as many, each pair of neighbours that show different triangles is blended according to
where the nearer one's edge passes between their centres, and blocks of 4 × 4 are averaged. So an edge that moves
changes the picture steadily, and its derivative is there for automatic differentiation.

Source: Laine et al. 2020 (Modular Primitives for High-Performance Differentiable Rendering), the antialiasing there.
Ours: all edges are blended, not silhouettes alone, for flat shading jumps at each of them; the finer grid, without
which triangles as small as pixels would be missed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks.meshes._raster import CONTENT_BITS, Seen, nearest, project

FINER = 4  # times as many rows and columns


def render(vertices: Tensor, faces: Tensor, views: Tensor, size: int) -> Tensor:
    """Return pictures (n, views, size, size) of vertices (n, v, 3); for the arguments see `_raster.render`."""
    fine = FINER * size
    seen = project(vertices, faces, views, fine)
    numbers = torch.arange(1, len(faces) + 1, device=faces.device).expand(len(seen.shade), -1)
    with torch.no_grad():
        buffer = nearest(seen, numbers, fine)
    shades = torch.cat([torch.zeros_like(seen.shade[:, :1]), seen.shade], 1)  # nothing is black
    hard = shades.gather(1, (buffer % 2**CONTENT_BITS).flatten(1)).view(buffer.shape)
    blended = hard + sum(_blend(hard, buffer, seen, axis) for axis in (1, 2))
    return avg_pool2d(blended, FINER).unflatten(0, (len(vertices), len(views)))


def _blend(hard: Tensor, buffer: Tensor, seen: Seen, axis: int) -> Tensor:
    """Return what is added to pictures (pictures, fine, fine) along rows (axis 2) or columns (axis 1).

    Between the centres of two pixels the nearer one's triangle ends after a share t of the way: the nearer shows
    ½ − t of the farther where t < ½, the farther shows t − ½ of the nearer otherwise.
    """
    fine = buffer.shape[-1]
    owner, flat = (buffer % 2**CONTENT_BITS).flatten(), buffer.flatten()
    place = torch.arange(len(flat), device=flat.device).view(buffer.shape).narrow(axis, 0, fine - 1).flatten()
    other = place + (1 if axis == 2 else fine)
    differ = owner[place] != owner[other]
    place, other = place[differ], other[differ]
    ahead = flat[place] > flat[other]
    near, far = torch.where(ahead, place, other), torch.where(ahead, other, place)
    corners = seen.xy[near // fine**2, owner[near] - 1]  # (p, 3, 2)
    sides = corners.roll(-1, 1) - corners
    before, beyond = (_signed(sides, _centre(pixel, fine).to(corners)[:, None] - corners) for pixel in (near, far))
    leaves = beyond < 0
    share = before / (before - beyond).where(leaves, 1.0)
    t, edge = share.where(leaves, torch.inf).min(1)
    # An edge that runs along the way rather than across it is the other axis' business; with none, another triangle is
    # in the way.
    across = sides.detach().abs()[torch.arange(len(edge), device=edge.device), edge]
    steep = across[:, 1] >= across[:, 0] if axis == 2 else across[:, 1] < across[:, 0]
    kept = steep & leaves.any(1)
    near, far, weight = near[kept], far[kept], t[kept] - 0.5
    colors = hard.flatten()
    amount = weight * (colors[near] - colors[far])
    return torch.zeros_like(colors).index_add(0, torch.where(weight < 0, near, far), amount).view(buffer.shape)


def _centre(pixel: Tensor, fine: int) -> Tensor:
    """Return the centres (p, 2) of pixels (p,) that are counted through all pictures, from the lower left."""
    return torch.stack([pixel % fine + 0.5, fine - pixel // fine % fine - 0.5], 1)


def _signed(sides: Tensor, offset: Tensor) -> Tensor:
    """Return how far to the left of each side (p, 3, 2) the offsets from its begin lie, (p, 3), times its length."""
    return sides[..., 0] * offset[..., 1] - sides[..., 1] * offset[..., 0]
