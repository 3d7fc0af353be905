"""Handwritten digits as a mixture of Gaussians: 64 dimensions and a low-dimensional support, yet exact scores."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.contract.law import Law
from benchmarks.sampling._digits import digits
from benchmarks.sampling._mixture import Mixture

SHARE, ROUND = 0.95, 1e-3  # of a class' covariance; variance added in every direction, for pixels that are never inked


class DigitMixture(Law):
    """One Gaussian per class of scikit-learn's 1,797 digits of 8² pixels in [−1, 1], with its mean and covariance."""

    source = "ours, fitted to the digits of scikit-learn (Alpaydin & Kaynak 1998)"

    def setup(self) -> None:
        """It has no parameters."""
        self.dim = 64
        pixels, classes = digits()
        groups = [pixels[classes == label].to(self.device, self.dtype) for label in range(10)]
        noise = ROUND * torch.eye(self.dim, dtype=self.dtype, device=self.device)
        self.mixture = Mixture(
            torch.tensor([len(group) for group in groups], dtype=self.dtype, device=self.device),
            torch.stack([group.mean(0) for group in groups]),
            torch.stack([SHARE * torch.cov(group.T) + noise for group in groups]),
        )

    def denoise(self, y: Tensor, v: float | Tensor) -> Tensor:
        return self.mixture.denoise(y, v)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return self.mixture.draw(n, generator)
