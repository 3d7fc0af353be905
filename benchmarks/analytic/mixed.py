"""A bowl of which parts are rounded, switched and chosen: discrete and mixed spaces in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.problem import Problem
from methods._discrete import Discrete, continuous
from methods._ranges import AnyCount

LEVELS = 9  # of a rounded value, 0 … 8
KINDS = 4  # of a chosen one
FAR = 4.0  # natural steps from a start to the optimum where there are distances
WRONG = 4.0  # price of a wrong switch or choice, that of a distance of two


class Mixed(Problem):
    """L(z) = 1/m (Σ (x_i − 4)² + Σ (n_j − 6)² + 4 · number of wrong switches and choices), m values in all.

    x is continuous; n is a whole number in 0 … 8, rounded from one coordinate; a switch is on where its coordinate is
    at least 0; a choice is the highest of four scores. Between two values of a discrete coordinate the loss is flat.
    """

    source = "ours: the sphere with whole numbers and categories, as in the papers on CMA-ES with margin and CatCMA"

    def setup(
        self, continuous: AnyCount = 2, rounded: AnyCount = 2, switches: AnyCount = 2, chosen: AnyCount = 2
    ) -> None:
        """Take so many values of each kind."""
        self.parts = continuous + rounded + switches + chosen
        if not self.parts:
            raise UsageError("analytic.mixed: 'continuous', 'rounded', 'switches' and 'chosen' are all 0; raise one")
        values, place = [], continuous
        for count, levels, kind in ((rounded, LEVELS, "n"), (switches, 2, "on"), (chosen, KINDS, "choice")):
            for _ in range(count):
                low = -0.5 if kind == "on" else 0.0
                values.append(Discrete(place, levels, kind == "choice", low))
                place = values[-1].coordinates.stop
        self.dim, self.discrete = place, tuple(values)
        self.reference = self._place(FAR, 6, 1, KINDS - 1)
        self.begin = self._place(0.0, 2, 0, 0)
        self.lower = torch.full((self.dim,), -4.0, device=self.device)
        self.upper = torch.full((self.dim,), float(LEVELS), device=self.device)

    def _place(self, x: float, n: int, on: int, choice: int) -> Tensor:
        """Return z (dim,) with equal values of each kind."""
        z = torch.full((self.dim,), x)
        for value in self.discrete:
            index = choice if value.chosen else on if value.levels == 2 else n
            z[value.coordinates] = torch.tensor(value.code(index))
        return z.to(self.device)

    def start(self, seed: int) -> Tensor:
        jitter = torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 0.5
        return self.begin + 0.8 * jitter.to(self.device)

    def loss(self, z: Tensor, seed: int) -> Tensor:
        free = continuous(self.dim, self.discrete)
        total = (z[:, free] - FAR).square().sum(1)
        for value in self.discrete:
            found, right = value.index(z), value.index(self.reference[None])
            ordered = not value.chosen and value.levels > 2
            total = total + ((found - right).square() if ordered else WRONG * (found != right))
        return total / self.parts

    def decoded(self, z: Tensor) -> dict[str, Any]:
        """Return x0, x1 … and the decoded index of every discrete value, named after its first coordinate."""
        free = {f"x{at}": float(z[at]) for at in continuous(self.dim, self.discrete)}
        return free | {f"index{value.first}": int(value.index(z[None])) for value in self.discrete}
