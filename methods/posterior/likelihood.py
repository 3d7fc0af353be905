"""The gradient of the smoothed likelihood as a guide: right for any measurement, if evaluations are many."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.posterior.base import Smoothed


class Likelihood(Smoothed):
    """g = ∇ log E[p(m | D + r τ)] = Σ_k w_k τ_k / r, w_k ∝ p(m | D + r τ_k): what Bayes' rule asks for.

    With few evaluations one weight is nearly 1, and g is that offset over r.
    """

    look = Look("Likelihood gradient", "#1a9850", "^")

    def setup(self, scale: Positive = 1.0) -> None:
        """Take the correction's scale."""
        self.scale = scale

    def slope(self, answer: Tensor, radius: float) -> Tensor:
        offsets, seen = self.around(answer, radius)
        weights = self.problem.log_likelihood(seen).softmax(0)
        return (weights[..., None] * offsets).sum(0) / radius
