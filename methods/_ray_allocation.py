"""Where rays are worth most for a gradient: intensities per pixel, pixels drawn by them, and their memory.

A gradient of the smoothed picture is a sum over pixels, g = Σ_p E[c_p] with, for one ray f_p,
c_p = s(u)/2 ⟨a_p, f_p(θ + u) − f_p(θ − u)⟩, a_p = ∂C/∂Q_p and s(u) = u/σ². Pixel p is visited with intensity l_p, Σ l_p
being the rays of one render, and each of its rays weighs 1/l_p: unbiased for every l_p > 0 (Horvitz & Thompson 1952).
Given u its variance is Σ_p V_p / l_p, V_p = Var[c_p], least for l_p ∝ √V_p, where it is less than with an even spread
by P Σ V / (Σ √V)².
"""

from __future__ import annotations

import numpy as np

FLOOR = 0.3  # of the rays are spread evenly: a pixel that seemed dead may not be
HORIZON = 16.0  # rays per pixel that the memory reaches back

Array = np.ndarray


def intensities(deviation: Array, rays: float, floor: float = FLOOR) -> Array:
    """Return l_p (P,) ∝ the deviation (P,) of a ray's contribution, a share `floor` of the rays spread evenly."""
    total = float(deviation.sum())
    shares = deviation / total if total > 0 else np.full(len(deviation), 1 / len(deviation))
    return rays * ((1 - floor) * shares + floor / len(deviation))


def visits(intensity: Array, offset: float) -> Array:
    """Return pixels (about Σ l,), p in the mean l_p times and never more than one more or less: systematic sampling.

    `offset` is uniform in [0, 1).
    """
    ends = np.cumsum(intensity)
    count = int(np.floor(ends[-1] - offset)) + 1
    return np.minimum(np.searchsorted(ends, offset + np.arange(count)), len(ends) - 1)


def gain(variance: Array, intensity: Array) -> float:
    """Return Σ V / l̄ over Σ V_p / l_p: how much less variance than with the same rays spread evenly."""
    even = float(intensity.sum()) / len(intensity)
    return float((variance / even).sum() / (variance / intensity).sum())


class Memory:
    """Running mean of squared contributions per pixel, over a horizon counted in rays per pixel."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = height, width
        self.squares = np.zeros(height * width)
        self.weight = 0.0  # rays per pixel behind the mean

    def deviation(self) -> Array:
        """Return √E[c²] (P,), smeared over 3² pixels: a neighbour of a pixel that matters may matter soon."""
        padded = np.pad(self.squares.reshape(self.shape), 1, mode="edge")
        height, width = self.shape
        parts = [padded[row : row + height, column : column + width] for row in range(3) for column in range(3)]
        return np.sqrt(np.mean(parts, axis=0)).ravel()

    def add(self, pixels: Array, squares: Array, intensity: Array) -> None:
        """Take the squared contributions (rays,) of rays through pixels (rays,) that were visited by `intensity`."""
        seen = np.bincount(pixels, squares / intensity[pixels], len(self.squares))  # unbiased for E[c²] per pixel
        rays = len(pixels) / len(self.squares)
        share = rays / (min(self.weight, HORIZON) + rays)
        self.squares += share * (seen - self.squares)
        self.weight += rays


def best_samples(perturbation: float, ray: float, overhead: float) -> float:
    """Return the samples per pixel n that make a gradient from many pairs best for its cost.

    With K pairs the variance is (P + R/n) / K, P the perturbations' and R that of one ray per pixel, and the cost is
    K (n + o), o being what a render costs besides its rays, in rays per pixel: n = √(R o / P).
    """
    return float(np.sqrt(ray * overhead / perturbation)) if perturbation > 0 else np.inf


def worth(perturbation: float, ray: float, samples: float, overhead: float = 0.0) -> float:
    """Return variance × cost of one pair with n samples per pixel: (P + R/n) (n + o)."""
    return (perturbation + ray / samples) * (samples + overhead)
