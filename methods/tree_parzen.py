"""Tree-structured Parzen estimator: sample where good trials are dense and bad ones are not."""

from __future__ import annotations

from typing import Any

from methods._look import Look
from methods._ranges import Count, Positive
from methods._trials import Trials
from methods._work import Work
from methods.base import Space


class TreeParzen(Trials):
    """Of candidates from a density l(z) of the best trials, take the one with the largest l(z)/g(z), g of the others.

    Source: Bergstra et al. 2011, *Algorithms for hyper-parameter optimization*; joint densities of all coordinates
    (`multivariate`) after Falkner, Klein & Hutter 2018. Library: Optuna.
    """

    look = Look("Tree-structured Parzen", "#9a3412", "p")
    kind = "model"

    @classmethod
    def work(cls, space: Space, most: int = 1000, **_params: Any) -> Work:
        return cls.work_of_trials(space, launches=3000, most=most)

    def setup(
        self,
        reach: Positive = 16.0,
        candidates: Count = 24,
        startup: Count = 10,
        multivariate: bool = True,
        most: Count = 1000,
    ) -> None:
        """Search start ± `reach`: `startup` uniform trials, then the best of `candidates` draws from l each time.

        Ends after `most` trials: 1,000 take a quarter of a minute in 2-D, and twice as many four times as long.
        """
        from optuna.samplers import TPESampler

        sampler = TPESampler(
            seed=self.seed % 2**32, n_startup_trials=startup, n_ei_candidates=candidates, multivariate=multivariate
        )
        self.start_study(sampler, reach, most)
