"""TBPSA: an evolution strategy for noisy losses whose population grows when progress stalls."""

from __future__ import annotations

from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Count, Positive


class Tbpsa(Portfolio):
    """Test-based population-size adaptation; the mean of the population is recommended, not a lucky sample.

    Source: Hellwig & Beyer 2016 (pcCMSA-ES, whose population-size test it takes); library: Nevergrad, whose first
    population of 4·dim is limited to a twentieth of the budget: it would otherwise be random search in high dimension.
    """

    look = Look("TBPSA", "#f5c04a", "X")
    kind = "population"

    def setup(self, sigma: Positive = 1.0, batch: Count = 16) -> None:
        """Sample with standard deviation `sigma`, adapted from there, `batch` candidates at a time."""
        from nevergrad.optimization.optimizerlib import ParametrizedTBPSA

        parents = max(1, min(self.space.dim, self.space.budget // 80))
        self.start_portfolio(ParametrizedTBPSA(naive=False, initial_popsize=parents), sigma, batch)
