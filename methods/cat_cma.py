"""CatCMA with margin: one Gaussian for numbers and whole numbers, and a categorical distribution for every choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._discrete import continuous
from methods._look import Look
from methods._ranges import Positive, Ranked
from methods._replay import Replay
from methods._work import Work
from methods.base import Space

MOST = 1000  # dimensions: its covariance is full, and an update costs dim³
TRUST = 0.5  # probability that goes to the start's choice at first; the rest is spread evenly


class CatCma(Replay):
    """Natural gradients on the joint distribution of numbers, whole numbers and choices, each with its margin.

    Source: Hamano et al. 2024 (CatCMA) and 2025 (with margin); library: cmaes. Switches are choices of two, as the
    library advises. Ours: choices begin half at the start's, half uniform, where the library begins uniform. The
    incumbent is the mean with the most probable choices.
    """

    look = Look("CatCMA with margin", "#65a30d", "*")
    kind = "distribution"
    library = "cmaes"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if not space.discrete:
            return "nothing is discrete here: without choices and whole numbers it is cma_es"
        if space.dim > MOST:
            return f"{space.dim} dimensions: it has a full covariance, for at most {MOST}"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, **params: Any) -> Work:
        """Sampling takes O(dim²) per evaluation, eigenvectors O(dim³) per population."""
        return Work(launches=100, numbers=0, host=(3 * space.dim + 100) * space.dim, kept=6 * space.dim**2)

    def setup(self, sigma: Positive = 1.0, population: Ranked | None = None) -> None:
        """Start with standard deviation `sigma`; `population` None is 4 + ⌊3 ln(number of values)⌋."""
        import cmaes

        space = self.space
        self.free = continuous(space.dim, space.discrete)
        self.whole = [value for value in space.discrete if not value.chosen and value.levels > 2]
        self.choices = [value for value in space.discrete if value.chosen or value.levels == 2]
        start = self.start()
        numbers = [*self.free, *(value.first for value in self.whole)]
        values = len(numbers) + len(self.choices)
        self.optimizer = cmaes.CatCMAwM(
            x_space=self._box()[self.free] if self.free else None,
            z_space=[[value.code(i)[0] for i in range(value.levels)] for value in self.whole] or None,
            c_space=[value.levels for value in self.choices] or None,
            population_size=min(population or 4 + int(3 * np.log(values)), space.max_batch),
            mean=start[numbers] if numbers else None,
            sigma=sigma,
            cov=np.eye(len(numbers)) if numbers else None,
            cat_param=self._first_probabilities() if self.choices else None,
            seed=self.seed % 2**32,
        )

    def propose(self) -> np.ndarray:
        self.asked = [self.optimizer.ask() for _ in range(self.optimizer.population_size)]
        return np.stack([self._place(one.x, one.z, one.c) for one in self.asked])

    def learn(self, losses: list[float]) -> None:
        self.optimizer.tell(list(zip(self.asked, losses, strict=True)))

    def recommend(self) -> np.ndarray | None:
        if not self.told:
            return None
        # The library shows its distribution to nobody; the version is pinned.
        mean = self.optimizer._mean if self.free or self.whole else np.empty(0)
        chances = self.optimizer._q if self.choices else None
        return self._place(mean[: len(self.free)], mean[len(self.free) :], chances)

    def _box(self) -> np.ndarray:
        """Return the ends (dim, 2) of all coordinates, infinite where there is no box."""
        ends = np.tile([-np.inf, np.inf], (self.space.dim, 1))
        for column, end in enumerate((self.space.lower, self.space.upper)):
            if end is not None:
                ends[:, column] = end.double().cpu().numpy()
        return ends

    def _first_probabilities(self) -> np.ndarray:
        """Return the probabilities (choices, most levels) to begin with; a row of fewer levels ends in zeros."""
        chances = np.zeros((len(self.choices), max(value.levels for value in self.choices)))
        for row, value in zip(chances, self.choices, strict=True):
            row[: value.levels] = (1 - TRUST) / value.levels
            row[int(value.index(self.space.start[None]))] += TRUST
        return chances

    def _place(self, x: np.ndarray | None, whole: np.ndarray | None, chances: np.ndarray | None) -> np.ndarray:
        """Return z (dim,) of numbers, whole numbers and choices, the latter as scores (choices, levels)."""
        z = np.zeros(self.space.dim)
        z[self.free] = x if x is not None else []
        for value, number in zip(self.whole, whole if whole is not None else [], strict=True):
            z[value.first] = number
        for value, row in zip(self.choices, chances if chances is not None else [], strict=True):
            z[value.coordinates] = value.code(int(row[: value.levels].argmax()))
        return z
