"""Mixtures of Gaussians with full covariances: density, score and denoiser of their noisy versions in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Mixture:
    """Σ_k w_k N(μ_k, C_k) with C_k = U_k diag(e_k) U_kᵀ; with noise of level v the covariances are C_k + v² I."""

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        """Take weights (K,) up to a factor, means (K, d) and covariances (K, d, d)."""
        self.log_weights = (weights / weights.sum()).log()
        self.means = means
        self.variances, self.axes = torch.linalg.eigh(covariances)  # (K, d), (K, d, d): column j is axis j
        self.k, self.dim = means.shape
        self._to_axes = self.axes.permute(1, 0, 2).reshape(self.dim, -1)  # (d, K d): one product for all components
        self._centres = torch.einsum("kd,kde->ke", means, self.axes)

    def _parts(self, y: Tensor, v: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return coordinates in every component's axes, variances along them, and log w_k N(y; μ_k, C_k + v² I)."""
        level = torch.as_tensor(v, dtype=y.dtype, device=y.device).reshape(-1, 1, 1)
        along = (y @ self._to_axes).view(-1, self.k, self.dim) - self._centres
        variances = self.variances + level**2
        exponents = (along**2 / variances).sum(2) + variances.log().sum(2) + self.dim * math.log(2 * math.pi)
        return along, variances, self.log_weights - exponents / 2

    def log_density(self, y: Tensor, v: float | Tensor) -> Tensor:
        """Return log p_v (n,) at y (n, d)."""
        return self._parts(y, v)[2].logsumexp(1)

    def denoise(self, y: Tensor, v: float | Tensor) -> Tensor:
        """Return E[x | y] = Σ_k r_k (μ_k + C_k (C_k + v² I)⁻¹ (y − μ_k)), r_k the posterior weights (n, d)."""
        along, variances, logs = self._parts(y, v)
        posterior = logs.softmax(1)
        shrunk = posterior[:, :, None] * (self.variances / variances) * along
        return posterior @ self.means + shrunk.reshape(len(y), -1) @ self._to_axes.T

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n draws (n, d)."""
        chosen = torch.multinomial(self.log_weights.exp().cpu(), n, True, generator=generator).to(self.means.device)
        noise = torch.randn(n, self.dim, generator=generator, dtype=self.means.dtype).to(self.means.device)
        scaled = noise * self.variances[chosen].sqrt()
        drawn = self.means[chosen]
        for component in range(self.k):  # the axes of every draw at once would be n d² numbers
            mask = chosen == component
            drawn[mask] += scaled[mask] @ self.axes[component].T
        return drawn
