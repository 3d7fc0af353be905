"""Adapter for Optuna's samplers: one trial at a time, in a window around the start, up to a number of trials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from methods._replay import Replay
from methods._work import Work
from methods.base import Space, Stopped

MOST = 20  # dimensions


class Trials(Replay):
    """A sampler of Optuna (Akiba et al. 2019) over the box start ± reach, cut to the task's own where it has one.

    The first trial is the start. A trial is modelled on all before it, so the time of a run grows at least with the
    square of its length: after `most` trials the method ends. The incumbent is the best trial, for want of an iterate;
    under noise that is a lucky one. A loss that is no number counts as infinite.
    """

    library = "optuna"
    grid = {"reach": (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if space.dim > MOST:
            return f"a model of all trials is for at most {MOST} dimensions"
        return super().unsupported(space, **params)

    @staticmethod
    def work_of_trials(space: Space, launches: float, most: int) -> Work:
        """Return the work per evaluation granted: a trial's, most of it in Python, up to `most` of them."""
        share = min(1.0, most / space.budget)
        return Work(share * launches, numbers=0, host=space.dim, kept=most * space.dim)

    def start_study(self, sampler: Any, reach: float, most: int) -> None:
        """Open a study with this sampler of Optuna's."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space, start, self.most = self.space, self.start(), most
        low, high = start - reach, start + reach
        if space.lower is not None and space.upper is not None:
            low, high = (np.clip(end, space.lower.cpu().numpy(), space.upper.cpu().numpy()) for end in (low, high))
        ends = zip(low.tolist(), high.tolist(), strict=True)
        self.window = {f"z{i}": optuna.distributions.FloatDistribution(*pair) for i, pair in enumerate(ends)}
        self.study = optuna.create_study(sampler=sampler)
        self.study.enqueue_trial(dict(zip(self.window, start.tolist(), strict=True)))

    def propose(self) -> np.ndarray:
        if len(self.told) >= self.most:
            raise Stopped(f"{self.most} trials were made; the time for the next one grows with their number")
        self.trial = self.study.ask(self.window)
        return self._vector(self.trial.params)[None]

    def learn(self, losses: list[float]) -> None:
        (loss,) = losses
        self.study.tell(self.trial, math.inf if math.isnan(loss) else loss)

    def recommend(self) -> np.ndarray | None:
        return self._vector(self.study.best_params) if self.told else None

    def _vector(self, params: dict[str, float]) -> np.ndarray:
        return np.array([params[name] for name in self.window])
