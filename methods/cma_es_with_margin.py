"""CMA-ES with margin: whole numbers keep a least probability of changing, so that none of them freezes."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._look import Look
from methods._ranges import Positive, Ranked
from methods._replay import Replay
from methods._work import Work
from methods.base import Space

MOST = 1000  # dimensions: its covariance is full, and an update costs dim³


class CmaEsWithMargin(Replay):
    """CMA-ES that lifts the probability of leaving the present whole number to at least 1 / (λ · dim).

    Source: Hamano et al. 2022 (CMA-ES with margin); library: cmaes. Rounded coordinates and switches have the margin;
    the scores of choices stay continuous, since the method knows no categories. The incumbent is the mean.
    """

    look = Look("CMA-ES with margin", "#0f766e", "h")
    kind = "distribution"
    library = "cmaes"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if all(value.chosen for value in space.discrete):
            return "nothing is rounded here: without whole numbers it is cma_es"
        if not 2 <= space.dim <= MOST:
            return f"{space.dim} dimensions: it has a full covariance, for 2 to {MOST}"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, **params: Any) -> Work:
        """Sampling takes O(dim²) per evaluation, eigenvectors O(dim³) per population."""
        return Work(launches=60, numbers=0, host=(3 * space.dim + 100) * space.dim, kept=6 * space.dim**2)

    def setup(self, sigma: Positive = 1.0, population: Ranked | None = None) -> None:
        """Start with standard deviation `sigma`; `population` None is 4 + ⌊3 ln dim⌋."""
        import cmaes

        space = self.space
        bounds = np.tile([-np.inf, np.inf], (space.dim, 1))
        for column, end in enumerate((space.lower, space.upper)):
            if end is not None:
                bounds[:, column] = end.double().cpu().numpy()
        steps = np.zeros(space.dim)  # 0: continuous
        for value in space.discrete:
            if not value.chosen:
                bounds[value.first] = value.low, value.low + (value.levels - 1) * value.step
                steps[value.first] = value.step
        self.optimizer = cmaes.CMAwM(
            np.clip(self.start(), bounds[:, 0], bounds[:, 1]),
            sigma,
            bounds,
            steps,
            seed=self.seed % 2**32,
            population_size=min(population or 4 + int(3 * np.log(space.dim)), space.max_batch),
        )

    def propose(self) -> np.ndarray:
        pairs = [self.optimizer.ask() for _ in range(self.optimizer.population_size)]
        self.asked = [raw for _, raw in pairs]
        return np.stack([decoded for decoded, _ in pairs])

    def learn(self, losses: list[float]) -> None:
        self.optimizer.tell(list(zip(self.asked, losses, strict=True)))

    def recommend(self) -> np.ndarray | None:
        return self.optimizer.mean if self.told else None
