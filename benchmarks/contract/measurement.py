"""The contract of a measurement of a diffusion model's draws: a law, a black box, and noise of a known size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor

from benchmarks.contract.law import Law
from benchmarks.contract.parameters import check


class Measurement(ABC):
    """y = A(x) + σ n with x from a law, n ~ N(0, I), and A a black box that is constant almost everywhere.

    The posterior is p(x | y) ∝ p(x) exp(−‖A(x) − y‖² / (2 σ²)). A subclass implements `setup`, which sets `law` and
    `noise` (σ), and the abstract methods.
    """

    source: ClassVar[str] = ""  # where the measurement comes from, and what we chose ourselves

    law: Law
    noise: float

    def __init__(self, device: str = "cpu", **params: Any) -> None:
        self.device = torch.device(device)
        self.setup(**check(type(self).setup, params, type(self).__module__.removeprefix("benchmarks.")))

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Build law and black box. Its keyword arguments and defaults are the measurement's parameters."""

    @abstractmethod
    def observe(self, x: Tensor) -> Tensor:
        """Return A(x) (n, out) of draws (n, dim): the black box, charged by the row."""

    @abstractmethod
    def soft(self, x: Tensor, width: float) -> Tensor:
        """Return (n, out) with every step of A spread over about `width`, differentiable: for an oracle alone."""

    def log_likelihood(self, observed: Tensor, y: Tensor) -> Tensor:
        """Return log p(y | x) (…,) up to a constant, of A(x) (…, out)."""
        return -(observed - y).square().sum(-1) / (2 * self.noise**2)
