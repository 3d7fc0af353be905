"""How many pairs a gradient's step affords, and of how many samples: learned from past steps, which leaves it unbiased.

The variance of a gradient from K antithetic pairs of n samples per pixel is (P + R/n) / K, its cost is 2 K (n + o) rays
per pixel, o being what a render costs besides its rays. With many pairs the best n is √(R o / P). A step that may cost
B has n = B / (2 K) − o for every whole K, and the K of least variance is chosen. R is known from repeated visits of the
same pixel within a pair, of which there are thousands; P is what the variance between the pairs has beyond them.
"""

from __future__ import annotations

import numpy as np

from benchmarks.contract.errors import UsageError
from methods._ray_allocation import Array

PAIRS = 2  # at least, or nothing varies between them
SAMPLES = 1.25  # at least: no pixel is left out (that variance is not R's), and a quarter of them is visited twice
FORGET = 0.1  # of what was learned at every step


def per_visit(samples: float) -> float:
    """Return E[1/count] where every pixel is visited ⌊n⌋ or ⌈n⌉ times, n ≥ 1 in the mean."""
    fewest = np.floor(samples)
    more = samples - fewest
    return float((1 - more) / fewest + more / (fewest + 1))


def variance_of_a_ray(values: Array, pixels: Array, intensity: float) -> float:
    """Return Σ_p V_p, V_p the variance of `values` (rays,) within pixel p, from pixels (rays,) that were met twice.

    With intensity l below 2 only a share l − 1 of the pixels is: each stands for 1 / (l − 1), which is unbiased.
    """
    counts = np.bincount(pixels)
    means = np.bincount(pixels, values) / np.maximum(counts, 1)
    squares = np.bincount(pixels, (values - means[pixels]) ** 2)
    twice = counts > 1
    return float((squares[twice] / (counts[twice] - 1)).sum()) / min(1.0, intensity - 1)


class Budget:
    """Chooses pairs and samples of the coming step, and learns P and R from those that are past."""

    def __init__(self, cost: float, overhead: float) -> None:
        """Spend `cost` on a step, in rays per pixel, of which every render costs `overhead` besides its rays.

        Raises UsageError where that does not pay for two pairs.
        """
        self.cost, self.overhead = cost, overhead
        self.most = int(cost / (2 * (SAMPLES + overhead)) + 1e-9)
        if self.most < PAIRS:
            needed = 2 * PAIRS * (SAMPLES + overhead)
            raise UsageError(f"rays: a budget of {cost:g} buys fewer than two pairs; give {needed:g} or more")
        self.perturbation = self.ray = 0.0  # weighted sums of estimates of P and of R
        self.choice = round(np.sqrt(PAIRS * self.most))  # until something is known

    def samples(self, pairs: int) -> float:
        """Return n that spends the whole budget on so many pairs."""
        return self.cost / (2 * pairs) - self.overhead

    def choose(self) -> tuple[int, float]:
        """Return pairs K and samples per pixel n."""
        if self.ray > 0 or self.perturbation > 0:
            perturbation = max(0.0, self.perturbation)
            options = range(PAIRS, self.most + 1)
            variances = [(perturbation + self.ray * per_visit(self.samples(pairs))) / pairs for pairs in options]
            self.choice = options[int(np.argmin(variances))]
        return self.choice, self.samples(self.choice)

    def learn(self, gradients: Array, rays: Array, samples: float) -> None:
        """Take gradients (K, dim) of single pairs and the estimate of R in each (K,), all of n samples per pixel."""
        freedom = len(gradients) - 1
        ray = float(rays.mean())
        perturbation = float(gradients.var(0, ddof=1).sum()) - ray * per_visit(samples)
        self.perturbation = (1 - FORGET) * self.perturbation + freedom * perturbation
        self.ray = (1 - FORGET) * self.ray + freedom * ray
