"""Adapter for the algorithms of pymoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from methods._replay import Replay
from methods._work import Work

if TYPE_CHECKING:
    from pymoo.core.algorithm import Algorithm
    from pymoo.core.problem import Problem


class Population(Replay):
    """One of pymoo's algorithms, driven by ask and tell without its stopping criteria."""

    library = "pymoo"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
    per_coordinate = Work(launches=25, numbers=0, host=60, kept=200)

    def start_algorithm(self, algorithm: Algorithm, problem: Problem) -> None:
        """Set `algorithm` up for `problem`, which describes the space and never evaluates anything."""
        from pymoo.core.termination import NoTermination

        self.problem = problem
        self.algorithm = algorithm
        self.algorithm.setup(problem, termination=NoTermination(), seed=self.seed % 2**32)

    def propose(self) -> np.ndarray:
        self.asked = self.algorithm.ask()
        return np.atleast_2d(self.asked.get("X")).astype(float)

    def learn(self, losses: list[float]) -> None:
        from pymoo.core.evaluator import Evaluator
        from pymoo.problems.static import StaticProblem

        answered = StaticProblem(self.problem, F=np.array(losses)[:, None])
        Evaluator(skip_already_evaluated=False).eval(answered, self.asked)
        self.algorithm.tell(infills=self.asked)

    def recommend(self) -> np.ndarray | None:
        members = self.algorithm.pop
        if not self.told:
            return None
        return members[int(members.get("F").argmin())].X.astype(float)
