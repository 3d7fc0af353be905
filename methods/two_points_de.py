"""Differential evolution with two-point crossover, which keeps neighbouring coordinates together."""

from __future__ import annotations

from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Count, Positive


class TwoPointsDe(Portfolio):
    """As differential evolution, but a child takes one contiguous stretch of coordinates from the mutant.

    Source: Storn & Price 1997, two-point crossover after Holland 1975; library: Nevergrad.
    """

    look = Look("Two-points DE", "#7d6608", "D")
    kind = "population"

    def setup(self, sigma: Positive = 1.0, batch: Count = 15) -> None:
        """Spread the first population with standard deviation `sigma`; half a population is in flight at once."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["TwoPointsDE"], sigma, batch)
