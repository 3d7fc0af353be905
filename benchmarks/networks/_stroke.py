"""A stroke of a round pen along a B-spline, in black or white: no pixel is ever in between."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor

DEGREE = 3


def spline_matrix(points: int, samples: int) -> Tensor:
    """Return the matrix (samples, points) that turns control points into points of a clamped uniform cubic B-spline."""
    inner = np.linspace(0, 1, points - DEGREE + 1)
    knots = np.concatenate([[0.0] * DEGREE, inner, [1.0] * DEGREE])
    return torch.as_tensor(BSpline.design_matrix(np.linspace(0, 1, samples), knots, DEGREE).toarray()).float()


def squared_distance(line: Tensor, pixels: Tensor) -> Tensor:
    """Return squared distances (n, p) of pixels (p, 2) from polylines (n, samples, 2).

    The nearest point of the segment from a along d is a + t d with t = (p − a)·d / |d|², clipped to 0 … 1.
    """
    begin, along = line[:, :-1], line[:, 1:] - line[:, :-1]
    length = along.square().sum(-1, keepdim=True).clamp_min(1e-12)  # (n, s, 1)
    onto = along @ pixels.mT - (begin * along).sum(-1, keepdim=True)  # (p − a)·d, (n, s, p)
    t = (onto / length).clamp(0, 1)
    away = torch.baddbmm(begin.square().sum(-1, keepdim=True), begin, pixels.mT.expand(len(line), -1, -1), alpha=-2)
    away += (t * length - 2 * onto).mul_(t)  # |p − a|² − |p|² − 2 t (p − a)·d + t² |d|²
    return away.amin(1) + pixels.square().sum(-1)


def draw(control: Tensor, matrix: Tensor, pixels: Tensor, radius: float) -> Tensor:
    """Return pictures (n, p) of strokes with these control points (n, points, 2): 1 within `radius` of the curve."""
    return (squared_distance(matrix @ control, pixels) <= radius**2).to(control.dtype)
