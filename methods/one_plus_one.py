"""The (1+1) evolution strategy: keep the better of parent and mutant."""

from __future__ import annotations

from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Count, Positive
from methods._work import Work


class OnePlusOne(Portfolio):
    """Gaussian mutation with the one-fifth success rule for the step size.

    Source: Rechenberg 1973, Schumer & Steiglitz 1968; library: Nevergrad. Serial by nature: one candidate at a time.
    """

    look = Look("(1+1)-ES", "#b8860b", "s")
    kind = "single point"
    per_coordinate = Work(launches=130, numbers=0, host=30, kept=10)

    def setup(self, sigma: Positive = 1.0, batch: Count = 1) -> None:
        """Mutate with standard deviation `sigma`, adapted from there."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["OnePlusOne"], sigma, batch)
