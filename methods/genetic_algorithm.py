"""A genetic algorithm: tournaments, crossover and mutation in a population of real vectors."""

from __future__ import annotations

import numpy as np

from methods._look import Look
from methods._population import Population
from methods._ranges import Positive, Ranked


class GeneticAlgorithm(Population):
    """Binary tournament, simulated binary crossover (SBX), polynomial mutation, the best of old and new survive.

    Source: Holland 1975; real-coded after Deb & Agrawal 1995. Library: pymoo, with its defaults. Its operators work in
    a box: the task's own, or start ± 10 σ where there is none. The incumbent is the best member.
    """

    look = Look("Genetic algorithm", "#54278f", "s")
    kind = "population"

    def setup(self, sigma: Positive = 1.0, population: Ranked = 30) -> None:
        """Spread the first population around the start with standard deviation `sigma`."""
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.core.problem import Problem

        start, space = self.start(), self.space
        lower = start - 10 * sigma if space.lower is None else space.lower.double().cpu().numpy()
        upper = start + 10 * sigma if space.upper is None else space.upper.double().cpu().numpy()
        size = min(population, space.max_batch)
        spread = np.random.default_rng(self.seed).standard_normal((size, space.dim))
        spread[0] = 0  # the start itself is a member
        first = (start + sigma * spread).clip(lower, upper)
        self.start_algorithm(GA(pop_size=size, sampling=first), Problem(n_var=space.dim, n_obj=1, xl=lower, xu=upper))
