"""NGOpt: Nevergrad's choice among its portfolio, made from dimension and budget."""

from __future__ import annotations

from methods._portfolio import Portfolio
from methods._ranges import Positive
from methods._work import Work


class NgOpt(Portfolio):
    """Picks CMA-ES, (1+1), quadratic models and others by rules that were tuned on many benchmarks.

    Source: Meunier et al. 2022 (Black-box optimization revisited); library: Nevergrad. One candidate at a time, for
    which its rules are strongest, except where they would end with Powell's method: Nevergrad runs that in a thread of
    its own, which can keep a finished process alive, so it is told of two workers and picks CMA-ES or DE instead.
    """

    per_coordinate = Work(launches=240, numbers=0, host=50, kept=100)

    def setup(self, sigma: Positive = 1.0) -> None:
        """Mutate with standard deviation `sigma`."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["NGOpt"], sigma, batch=1)
        if "Powell" in self.optimizer.optim.name:
            self.start_portfolio(registry["NGOpt"], sigma, batch=2)
