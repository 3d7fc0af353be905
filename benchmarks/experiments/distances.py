"""How far draws are from the truth: sliced Wasserstein distance, Fréchet distance, precision and recall."""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 3  # of precision and recall, as in Kynkäänniemi et al. 2019


class Sliced:
    """Sliced 2-Wasserstein distance of n draws to a law, whose quantiles along fixed directions come from many draws.

    The root of the mean over directions of W₂², which in one dimension is the mean squared difference of quantiles
    (Rabin et al. 2012; Bonneel et al. 2015).
    """

    def __init__(self, reference: Tensor, n: int, directions: int, generator: torch.Generator) -> None:
        """Take many draws (m, d), the number of those to come, and how many directions to look along."""
        rays = torch.randn(reference.shape[1], directions, generator=generator, dtype=torch.float64)
        self.rays = (rays / rays.norm(dim=0)).to(reference)
        ranks = (torch.arange(n, dtype=torch.float64) + 0.5) / n * len(reference)
        self.quantiles = (reference @ self.rays).sort(0).values[ranks.long().to(reference.device)]

    def __call__(self, x: Tensor) -> float:
        """Return the distance of draws (n, d)."""
        return float(((x @ self.rays).sort(0).values - self.quantiles).square().mean().sqrt())


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (d,) and covariance (d, d) of draws (n, d), in double precision."""
    return x.double().mean(0), torch.cov(x.double().T)


def frechet(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    """Return ‖μ₁ − μ₂‖² + tr(C₁ + C₂ − 2 (C₁ C₂)^½) of two pairs of mean and covariance (Dowson & Landau 1982)."""
    (mean, cov), (other_mean, other_cov) = first, second
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    inner = torch.linalg.eigvalsh(root @ other_cov @ root).clamp_min(0).sqrt().sum()
    return float((mean - other_mean).square().sum() + cov.trace() + other_cov.trace() - 2 * inner)


def precision_recall(x: Tensor, truth: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Return the shares of draws (n, d) within reach of true ones and the reverse (Kynkäänniemi et al. 2019).

    Within reach of a set is what lies nearer to one of its points than that point's k-th neighbour in the set does.
    """
    across = torch.cdist(x, truth)
    within_truth, within_x = (torch.cdist(a, a).kthvalue(neighbours + 1, dim=1).values for a in (truth, x))
    precision = (across <= within_truth[None, :]).any(1).double().mean()
    recall = (across <= within_x[:, None]).any(0).double().mean()
    return float(precision), float(recall)
