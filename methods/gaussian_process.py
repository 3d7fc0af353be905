"""Bayesian optimization: a Gaussian process as a model of the loss, and the place where it expects most improvement."""

from __future__ import annotations

from typing import Any

from methods._look import Look
from methods._ranges import Count, Positive
from methods._trials import MOST, Trials
from methods._work import Work
from methods.base import Space


class GaussianProcess(Trials):
    """Matérn-5/2 process with a length per coordinate, fitted anew after each trial; expected improvement is climbed.

    Source: Jones, Schonlau & Welch 1998 (expected improvement), Snoek, Larochelle & Adams 2012 (this kernel, a length
    per coordinate); its logarithm after Ament et al. 2023. Library: Optuna. Solving for n trials takes n³ operations,
    several times per trial.
    """

    look = Look("Gaussian process", "#d2b48c", "h")
    kind = "model"

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if space.dim > MOST:
            return f"a Gaussian process costs n³ operations for n trials, and in more than {MOST} dimensions needs many"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, most: int = 100, **_params: Any) -> Work:
        return cls.work_of_trials(space, launches=20000, most=most)

    def setup(self, reach: Positive = 16.0, startup: Count = 10, noisy: bool = True, most: Count = 100) -> None:
        """Search start ± `reach`: `startup` uniform trials, then one at a time; `noisy`: fit a noise level, too.

        Ends after `most` trials: 100 take ten seconds on one core, 200 half a minute.
        """
        from optuna.samplers import GPSampler

        sampler = GPSampler(seed=self.seed % 2**32, n_startup_trials=startup, deterministic_objective=not noisy)
        self.start_study(sampler, reach, most)
