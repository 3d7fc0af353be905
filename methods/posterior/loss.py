"""PRDPT's gradient of the smoothed loss as a guide."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.posterior.base import Smoothed


class Loss(Smoothed):
    """g = ∇ E[log p(m | D + r τ)] = E[(ℓ(τ) − ℓ̄) τ] / r with ℓ the log-likelihood of one evaluation."""

    look = Look("Loss gradient", "#e5762e", "o")

    def setup(self, scale: Positive = 0.3) -> None:
        """Take the correction's scale."""
        self.scale = scale

    def slope(self, answer: Tensor, radius: float) -> Tensor:
        offsets, seen = self.around(answer, radius)
        losses = self.problem.log_likelihood(seen)
        return ((losses - losses.mean(0))[..., None] * offsets).mean(0) / radius
