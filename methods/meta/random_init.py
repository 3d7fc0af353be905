"""Random initialisation: the inner loop of the meta-learners with nothing learned."""

from __future__ import annotations

from torch import Tensor

from methods._look import Look
from methods._ranges import Positive
from methods.meta.base import Update
from methods.meta.overfit import Overfit


class RandomInit(Overfit):
    """Plain gradient steps from the model's usual random initialisation: what meta-learning has to beat."""

    look = Look("Random initialisation", "#5b7083", "p", emphasis=1)
    grid = {"inner_rate": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}

    def setup(self, inner_rate: Positive = 0.1) -> None:
        """Every weight has the step size `inner_rate`."""
        self.inner_rate = inner_rate

    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        return lambda weights, gradient, step: weights - self.inner_rate * gradient
