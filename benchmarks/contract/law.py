"""The contract of a law to sample from: a denoiser, and draws of the truth that samples are compared with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from benchmarks.contract.parameters import check


class Law(ABC):
    """A distribution over vectors, seen through its denoiser.

    Noisy values are y = x + v n with n ~ N(0, I): the noise level v grows, the signal is not scaled (the "variance
    exploding" coordinates; a variance-preserving process is the same one seen as y / √(1 + v²)). The score of y is
    (denoise(y, v) − y) / v². A subclass implements `setup` (which sets `dim`) and the abstract methods.
    """

    source: ClassVar[str] = ""  # where the law comes from, and what we chose ourselves
    scores: ClassVar[Literal["exact", "network"]] = "exact"
    has_features: ClassVar[bool] = False  # whether `features` are those of a network: then there is a Fréchet distance

    dim: int
    dtype: torch.dtype = torch.float64

    def __init__(self, device: str = "cpu", **params: Any) -> None:
        self.device = torch.device(device)
        self.setup(**check(type(self).setup, params, type(self).__module__.removeprefix("benchmarks.")))

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Build the law. Its keyword arguments and defaults are the law's parameters."""

    @abstractmethod
    def denoise(self, y: Tensor, v: float | Tensor) -> Tensor:
        """Return E[x | y] (n, dim) of noisy values (n, dim) at a noise level, one for all or (n,)."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n true draws (n, dim); random numbers come from a generator on the CPU."""

    def features(self, x: Tensor) -> Tensor:
        """Return what distances between draws (n, dim) are measured in, (n, …)."""
        return x
