"""Differential evolution: mutate by differences between members of the population."""

from __future__ import annotations

from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Count, Positive


class DifferentialEvolution(Portfolio):
    """Curr-to-best mutation and crossover in a population of 30, spread around the start.

    Source: Storn & Price 1997; library: Nevergrad.
    """

    look = Look("Differential evolution", "#c8b400", "^")
    kind = "population"

    def setup(self, sigma: Positive = 1.0, batch: Count = 15) -> None:
        """Spread the first population with standard deviation `sigma`; half a population is in flight at once."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["DE"], sigma, batch)
