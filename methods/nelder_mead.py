"""The simplex method of Nelder and Mead: direct search for a handful of dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from methods._look import Look
from methods._population import Population
from methods._ranges import Positive
from methods._work import Work
from methods.base import Space, Stopped

MOST = 100  # dimensions
CORNER = 20.0  # pymoo's first edges are 1/20 of the start's coordinates: with this start they are 1
CLASSIC = 1.0, 2.0, 0.5, 0.5  # reflection, expansion, contraction, shrinking; Gao & Han's are for dim > 1
SHRUNK = 1e-9  # edges, in units of the first ones


class NelderMead(Population):
    """Reflect, expand, contract and shrink a simplex of dim + 1 points; one candidate at a time.

    Source: Nelder & Mead 1965, coefficients by dimension after Gao & Han 2012. Library: pymoo, which works here in
    y = (z − start)/σ + 20, so that the simplex starts with edges σ and without a box. The incumbent is the best corner.
    """

    look = Look("Nelder–Mead", "#3f007d", "v")
    kind = "simplex"
    deterministic = True
    per_coordinate = Work(launches=150, numbers=0, host=100, kept=300)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if space.dim > MOST:
            return f"a simplex search is for at most {MOST} dimensions"
        if space.max_batch < space.dim + 1:
            return f"the first simplex is a batch of {space.dim + 1}, at most {space.max_batch} fit into memory"
        return super().unsupported(space, **params)

    def setup(self, sigma: Positive = 1.0) -> None:
        """Start with a right-angled simplex of edge `sigma`."""
        from pymoo.algorithms.soo.nonconvex.nelder import NelderMead as Simplex
        from pymoo.algorithms.soo.nonconvex.nelder import adaptive_params
        from pymoo.core.problem import Problem

        self.sigma = sigma
        coefficients = adaptive_params if self.space.dim > 1 else lambda _: CLASSIC
        simplex = Simplex(x0=np.full(self.space.dim, CORNER), func_params=coefficients)
        self.start_algorithm(simplex, Problem(n_var=self.space.dim, n_obj=1))

    def propose(self) -> np.ndarray:
        if len(self.told) > 1 and np.ptp(self.algorithm.pop.get("X"), axis=0).max() < SHRUNK:
            raise Stopped("the simplex has shrunk to a point")
        return self._from_library(super().propose())

    def recommend(self) -> np.ndarray | None:
        best = super().recommend()
        return None if best is None else self._from_library(best)

    def _from_library(self, y: np.ndarray) -> np.ndarray:
        return self.start() + self.sigma * (y - CORNER)
