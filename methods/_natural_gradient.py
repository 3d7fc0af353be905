"""Natural evolution strategies on the device: EvoTorch's distributions, sampled and updated by ask and tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from methods._foreign import missing
from methods._work import Work
from methods.base import Evaluation, Method, Space


class NaturalGradient(Method):
    """Follow the natural gradient of the expected utility with respect to a Gaussian's parameters.

    Source: Wierstra et al. 2014, with its utilities and rates. EvoTorch's algorithms call the task themselves, but
    the distributions underneath them do not: the state is their parameters.
    """

    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
    per_coordinate = Work(launches=12, numbers=10, kept=6)
    parameters: dict[str, Tensor]

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        return missing("evotorch")

    def start_search(self, build: Callable[..., Any], sigma: Tensor, rate: float, population: int | None) -> None:
        """Start N(start, sigma²) of class `build`; `rate` is that of sigma (the mean's is 1)."""
        self.build = build
        self.rate = rate
        self.parameters = {"mu": self.space.start.clone(), "sigma": sigma}
        self.population = min(population or self.usual_population(self.space), self.space.max_batch)

    @staticmethod
    def usual_population(space: Space) -> int:
        """Return 4 + ⌊3 ln dim⌋ (Wierstra et al. 2014, table 1)."""
        return 4 + math.floor(3 * math.log(space.dim))

    def ask(self) -> Tensor:
        samples = self.space.start.new_empty(self.population, self.space.dim)
        # filled in place: without `out` EvoTorch also draws from the global state
        return self.build(self.parameters).sample(out=samples, generator=self.generator)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        old = self.build(self.parameters)
        gradients = old.compute_gradients(z, evaluation.loss, objective_sense="min", ranking_method="nes")
        self.parameters = old.update_parameters(gradients, learning_rates={"mu": 1.0, "sigma": self.rate}).parameters

    def incumbent(self) -> Tensor:
        """Return the mean."""
        return self.parameters["mu"].clone()
