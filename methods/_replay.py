"""Ask-tell adapter for optimizers whose state is a web of Python objects that cannot be stored safely."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from methods._foreign import Sandbox, missing
from methods.base import Evaluation, Method, Space


class Replay(Method):
    """A foreign optimizer, stored as the list of losses it was told.

    Restoring runs ask and tell again with these losses. Given its seed the optimizer is deterministic, so it proposes
    the same candidates again: nothing is pickled, no candidate is stored, killed and resumed equals uninterrupted.

    Losses are passed on in units of the mean magnitude of the first ones told: tolerances and confidence bounds inside
    the libraries are absolute numbers.
    """

    library: ClassVar[str]  # the package to be installed

    def __init__(self, space: Space, seed: int, **params: Any) -> None:
        self.sandbox = Sandbox(seed)
        self.told: list[list[float]] = []
        with self.sandbox:
            super().__init__(space, seed, **params)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        return missing(cls.library)

    @abstractmethod
    def propose(self) -> np.ndarray:
        """Return the library's next candidates (n, dim)."""

    @abstractmethod
    def learn(self, losses: list[float]) -> None:
        """Tell the library the losses of the last proposal."""

    @abstractmethod
    def recommend(self) -> np.ndarray | None:
        """Return the library's recommendation (dim,), None as long as it has none."""

    def ask(self) -> Tensor:
        with self.sandbox:
            return self._tensor(self.propose())

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        self._learn(evaluation.loss.tolist())

    def incumbent(self) -> Tensor:
        """Return the library's recommendation; the start before it has one."""
        with copy(self.sandbox):  # a look must not move the random state on
            best = self.recommend()
        return self.space.start.clone() if best is None else self._tensor(best)

    def state_dict(self) -> dict[str, Any]:
        return {"told": [list(losses) for losses in self.told]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for losses in state["told"]:
            with self.sandbox:
                self.propose()
            self._learn(losses)

    def _learn(self, losses: list[float]) -> None:
        self.told.append(losses)
        unit = sum(map(abs, self.told[0])) / len(self.told[0]) or 1.0
        with self.sandbox:
            self.learn([loss / unit for loss in losses])

    def start(self) -> np.ndarray:
        """Return the start (dim,) in double precision."""
        return self.space.start.double().cpu().numpy()

    def _tensor(self, values: np.ndarray) -> Tensor:
        # rounded on this side: a device moves half as many bytes, and the values are the same on every device
        return torch.from_numpy(np.asarray(values)).to(self.space.start.dtype).to(self.space.device)
