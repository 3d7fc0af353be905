"""Adapter for one optimizer of Nevergrad's portfolio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from methods._replay import Replay
from methods._work import Work


class Portfolio(Replay):
    """A named optimizer of Nevergrad (Rapin & Teytaud 2018), started at the start with step size σ.

    Nevergrad is serial: a batch of B is B asks, then B tells, announced to it as B workers. Boxes are left to the
    runner's projection, since Nevergrad rescales the step size where it knows of bounds.
    """

    library = "nevergrad"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
    per_coordinate = Work(launches=60, numbers=0, host=30, kept=100)

    def start_portfolio(self, build: Callable[..., Any], sigma: float, batch: int) -> None:
        """Build the optimizer (a class of Nevergrad's or one of its configured ones) for the budget of the space."""
        space = self.parametrization(sigma)
        space.random_state = np.random.RandomState(self.seed % 2**32)
        self.batch = min(batch, self.space.max_batch)
        self.optimizer = build(space, budget=self.space.budget, num_workers=self.batch)

    def parametrization(self, sigma: float) -> Any:
        """Return Nevergrad's description of the space, mutated with step size σ; here: one array, z itself."""
        import nevergrad

        return nevergrad.p.Array(init=self.start()).set_mutation(sigma=sigma)

    def place(self, value: Any) -> np.ndarray:
        """Return z (dim,) of what Nevergrad proposes in its own description."""
        return value

    def propose(self) -> np.ndarray:
        self.candidates = [self.optimizer.ask() for _ in range(self.batch)]
        return np.stack([self.place(candidate.value) for candidate in self.candidates])

    def learn(self, losses: list[float]) -> None:
        for candidate, loss in zip(self.candidates, losses, strict=True):
            self.optimizer.tell(candidate, loss)

    def recommend(self) -> np.ndarray | None:
        if not self.told:
            return None
        generator = self.optimizer.parametrization.random_state
        state = generator.get_state()
        best = self.place(self.optimizer.recommend().value)
        generator.set_state(state)
        return best
