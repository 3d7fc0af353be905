"""NGOpt: Nevergrad's choice among its portfolio, made from dimension and budget."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from methods._discrete import continuous
from methods._look import Look
from methods._portfolio import Portfolio
from methods._ranges import Positive
from methods._work import Work
from methods.base import Space

PER_VALUE = {"array": 0, "native": 700, "deterministic": 180}  # launches for each discrete value


class NgOpt(Portfolio):
    """Picks CMA-ES, (1+1), quadratic models and others by rules that were tuned on many benchmarks.

    Source: Meunier et al. 2022 (Black-box optimization revisited); library: Nevergrad. One candidate at a time, for
    which its rules are strongest, except where they would end with Powell's method: Nevergrad runs that in a thread of
    its own, which can keep a finished process alive, so it is told of two workers and picks CMA-ES or DE instead.

    In a space with discrete values it can be told of them in its own words: `TransitionChoice` where they have an
    order, `Choice` where they have none, drawn by its weights or, deterministically, the one with the largest.
    """

    look = Look("NGOpt", "#e69f00", "o")
    kind = "portfolio"
    per_coordinate = Work(launches=240, numbers=0, host=50, kept=100)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if params.get("words", "array") != "array" and not space.discrete:
            return "nothing is discrete here: Nevergrad has no other words for this space than an array"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, words: str = "array", **params: Any) -> Work:
        """In its own words every discrete value is a tree of objects, walked many times a candidate: up to 3.5 ms."""
        own = super().work(space, **params)
        return own + Work(launches=PER_VALUE[words] * len(space.discrete), numbers=0)

    def setup(
        self,
        sigma: Positive = 1.0,
        words: Literal["array", "native", "deterministic"] = "array",
    ) -> None:
        """Mutate with standard deviation `sigma`; describe the space as one array, or in Nevergrad's own words."""
        from nevergrad.optimization import registry

        self.words = words
        self.start_portfolio(registry["NGOpt"], sigma, batch=1)
        if "Powell" in self.optimizer.optim.name:
            self.start_portfolio(registry["NGOpt"], sigma, batch=2)

    def parametrization(self, sigma: float) -> Any:
        if self.words == "array":
            return super().parametrization(sigma)
        import nevergrad

        self.free = continuous(self.space.dim, self.space.discrete)
        parts: list[Any] = []
        if self.free:
            parts.append(nevergrad.p.Array(init=self.start()[self.free]).set_mutation(sigma=sigma))
        for value in self.space.discrete:
            if value.chosen or value.levels == 2:
                part = nevergrad.p.Choice(value.levels, deterministic=self.words == "deterministic")
            else:
                part = nevergrad.p.TransitionChoice(value.levels)
            part.value = int(value.index(self.space.start[None]))
            parts.append(part)
        return nevergrad.p.Tuple(*parts)

    def place(self, value: Any) -> np.ndarray:
        if self.words == "array":
            return value
        z, indices = np.zeros(self.space.dim), list(value)
        if self.free:
            z[self.free] = indices.pop(0)
        for part, index in zip(self.space.discrete, indices, strict=True):
            z[part.coordinates] = part.code(index)
        return z
