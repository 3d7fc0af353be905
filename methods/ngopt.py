"""NGOpt: Nevergrad's choice among its portfolio, made from dimension, budget and batch."""

from __future__ import annotations

from methods._portfolio import Portfolio


class NgOpt(Portfolio):
    """Picks and chains CMA-ES, (1+1), DE, local searches and others by rules tuned on many benchmarks.

    Source: Meunier et al. 2022 (black-box optimization revisited); library: Nevergrad. Two workers, not one: for one
    it may pick optimizers that run in threads of their own, which keep a process alive and cannot be repeated exactly.
    """

    def setup(self, sigma: float = 1.0, batch: int = 2) -> None:
        """Mutate with standard deviation `sigma`; `batch` candidates are in flight at once."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["NGOpt"], sigma, batch)
