"""The one place that counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Budget:
    """Evaluations granted, evaluations and gradients used; cost = evaluations + grad_cost · gradients."""

    evaluations: int
    grad_cost: float = 0.0
    n_evals: int = 0
    n_grads: int = 0

    def __post_init__(self) -> None:
        if self.evaluations < 1:
            raise ValueError(f"a budget needs at least one evaluation, got {self.evaluations}")

    @property
    def cost(self) -> float:
        """Evaluations charged so far."""
        return self.n_evals + self.grad_cost * self.n_grads

    def price(self, n: int, with_gradient: bool) -> float:
        """Return what n candidates would be charged."""
        return n * (1 + self.grad_cost * with_gradient)

    def affords(self, n: int, with_gradient: bool) -> bool:
        """Tell whether n candidates fit whole: there are no partial batches."""
        return self.cost + self.price(n, with_gradient) <= self.evaluations

    def charge(self, n: int, with_gradient: bool) -> None:
        """Count n candidates; raises ValueError where they do not fit."""
        if not self.affords(n, with_gradient):
            raise ValueError(f"{n} candidates do not fit into what is left of {self.evaluations} evaluations")
        self.n_evals += n
        self.n_grads += n * with_gradient
