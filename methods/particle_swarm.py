"""Particle swarm: members fly between their own best point and the swarm's."""

from __future__ import annotations

from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Count, Positive


class ParticleSwarm(Portfolio):
    """Forty particles with inertia and two attractors, in the coordinates of the task.

    Source: Kennedy & Eberhart 1995, constants of the Standard PSO 2011 (Zambrano-Bigiarini et al. 2013); library:
    Nevergrad.
    """

    look = Look("Particle swarm", "#b07cd6", "P")
    kind = "population"

    def setup(self, sigma: Positive = 1.0, batch: Count = 20) -> None:
        """Spread the first swarm with standard deviation `sigma`; half a swarm is in flight at once."""
        from nevergrad.optimization import registry

        self.start_portfolio(registry["RealSpacePSO"], sigma, batch)
