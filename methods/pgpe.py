"""PGPE: policy gradients with parameter-based exploration, followed with ClipUp."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from methods._foreign import missing
from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Evaluation, Method, Schedule, Space, scheduled


class Pgpe(Method):
    """Score-function gradients of the mean and the standard deviations of a separable Gaussian, antithetic pairs.

    Source: Sehnke et al. 2010, centred ranks after Salimans et al. 2017, ClipUp after Toklu, Liskowski & Srivastava
    2020, whose rules set speed and rate from the radius σ√dim. Library: EvoTorch's functional interface. Ours: speed
    and rate of the mean fall together over the budget, as the rates of the other descents do.
    """

    look = Look("PGPE", "#014f45", ">")
    kind = "gradient estimator"
    grid = {"sigma": (0.1, 0.3, 1.0, 3.0), "speed": (1 / 15, 1 / 5)}
    per_coordinate = Work(launches=10, numbers=8, kept=8)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        return missing("evotorch")

    def setup(
        self, sigma: Positive = 1.0, speed: Positive = 1 / 15, batch: Count = 16, schedule: Schedule = "linear"
    ) -> None:
        """Start with standard deviation `sigma`; one step moves the mean by at most `speed` · σ√dim."""
        from evotorch.algorithms.functional import pgpe

        fastest = self.fastest = speed * sigma * math.sqrt(self.space.dim)
        self.schedule, self.used = schedule, 0
        self.batch = max(2, min(batch, self.space.max_batch) // 2 * 2)
        self.search = pgpe(
            center_init=self.space.start,
            center_learning_rate=fastest / 2,
            stdev_learning_rate=0.1,
            stdev_init=sigma,
            objective_sense="min",
            ranking_method="centered",
            optimizer="clipup",
            optimizer_config={"max_speed": fastest},
        )

    def ask(self) -> Tensor:
        from evotorch.distributions import SymmetricSeparableGaussian

        distribution = SymmetricSeparableGaussian({"mu": self.incumbent(), "sigma": self.search.stdev})
        samples = self.space.start.new_empty(self.batch, self.space.dim)
        return distribution.sample(out=samples, generator=self.generator)  # pgpe_ask draws from the global state

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        from evotorch.algorithms.functional import pgpe_tell

        fastest = self.space.start.new_tensor(self.fastest * scheduled(self.schedule, self.used, self.space.budget))
        slower = self.search.optimizer_state._replace(center_learning_rate=fastest / 2, max_speed=fastest)
        self.search = pgpe_tell(self.search._replace(optimizer_state=slower), z, evaluation.loss)
        self.used += len(z)

    def incumbent(self) -> Tensor:
        """Return the mean."""
        return self.search.optimizer_state.center.clone()

    def state_dict(self) -> dict[str, Any]:
        optimizer = self.search.optimizer_state
        return {
            "generator": self.generator.get_state(),
            "center": optimizer.center.clone(),
            "velocity": optimizer.velocity.clone(),
            "stdev": self.search.stdev.clone(),
            "used": self.used,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.set_state(state["generator"].cpu())
        self.used = state["used"]
        optimizer = self.search.optimizer_state
        optimizer = optimizer._replace(center=state["center"], velocity=state["velocity"])
        self.search = self.search._replace(optimizer_state=optimizer, stdev=state["stdev"])
