"""One point whose discrete values are changed, kept where that does not raise the loss: what the two controls share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from methods._work import Work
from methods.base import Evaluation, Method, Space


class Flips(Method):
    """A point and its loss; numbers that are not discrete stay where they start."""

    kind = "control"
    per_coordinate = Work(launches=6, numbers=4, kept=3)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        return None if space.discrete else "nothing is discrete here: there is nothing to flip"

    def start_flips(self) -> None:
        """Begin at the start."""
        self.z = self.space.start.clone()
        self.levels = [int(value.index(self.z[None])) for value in self.space.discrete]
        self.tried = list(self.levels)
        self.loss = float("nan")  # of the start, once it is known

    def ask(self) -> Tensor:
        if self.loss != self.loss:
            return self.z[None].clone()
        self.tried = self.change(list(self.levels))
        return self._placed(self.tried)[None]

    @abstractmethod
    def change(self, levels: list[int]) -> list[int]:
        """Return which level every discrete value is to be tried at, given those of now."""

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        loss = float(evaluation.loss[0])
        if not loss > self.loss:  # the first has no loss to beat; equal ones are kept, as on a plateau they should be
            self.z, self.levels, self.loss = z[0].clone(), list(self.tried), loss

    def incumbent(self) -> Tensor:
        return self.z.clone()

    def other(self, index: int, level: int) -> int:
        """Return a level of a value that is not this one, drawn evenly."""
        drawn = int(
            torch.randint(self.space.discrete[index].levels - 1, (), generator=self.generator, device=self.z.device)
        )
        return drawn + (drawn >= level)

    def _placed(self, levels: list[int]) -> Tensor:
        """Return z (dim,) with these levels; what keeps its level keeps its coordinates."""
        z = self.z.clone()
        for value, before, after in zip(self.space.discrete, self.levels, levels, strict=True):
            if before != after:
                z[value.coordinates] = torch.tensor(value.code(after), dtype=z.dtype, device=z.device)
        return z
