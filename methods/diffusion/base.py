"""The contract of a diffusion sampler, and how noise levels can be spaced.

Coordinates are y = x + v n: the signal keeps its size, v is the noise level, λ = −log v half the log of the
signal-to-noise ratio. A variance-preserving process (DDPM) is the same one seen as y / √(1 + v²), so nothing here
depends on the schedule of a training but for the spacings `time` and `quadratic`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from methods._look import Look

Denoise = Callable[[Tensor, float | Tensor], Tensor]  # y (n, dim), noise level v (one for all or (n,)) → E[x | y]
Normal = Callable[[], Tensor]  # → standard normal numbers (n, dim), new ones at every call

BETA_MIN, BETA_MAX = 0.1, 20.0  # of the linear schedule of Song et al. 2021 (VP-SDE), DDPM's in the limit
TIME_MIN = 1e-3


@dataclass(frozen=True)
class Told:
    """What a sampler says of itself: how it is drawn, where it comes from, whether it needs no random numbers."""

    look: Look = Look()
    kind: Literal["published", "ours", "smoothed"] = "published"
    deterministic: bool = True


class Sampler(ABC):
    """Takes values at the first noise level to draws from the law, asking the denoiser once or more per level."""

    linear: ClassVar[bool] = True  # its steps are the same whatever the values, but for the denoiser's answers
    evaluations_per_level: int = 1

    def __init__(self, **params: Any) -> None:
        self.setup(**params)

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Take the sampler's parameters: the keyword arguments and their defaults."""

    @classmethod
    def told(cls, **params: Any) -> Told:
        """Return what is to be said of it with these parameters of its `setup`, those left out at their defaults."""
        return Told()

    @classmethod
    def unsupported(cls, dim: int) -> str | None:
        """Return the reason why it cannot sample in so many dimensions, if there is one."""
        return None

    def levels(self, budget: int) -> int:
        """Return how many noise levels a budget of evaluations of the denoiser pays, never a part of one."""
        return budget // self.evaluations_per_level

    @abstractmethod
    def run(self, denoise: Denoise, y: Tensor, levels: Sequence[float], normal: Normal) -> Iterator[Tensor]:
        """Yield the values (n, dim) after every step, the draws last.

        Args:
            denoise: the denoiser, which is charged per call.
            y: values at the first level.
            levels: falling noise levels; from the last one on a single denoising leads to the draws.
            normal: where random numbers come from.
        """


def level_of_time(t: float) -> float:
    """Return v at time t in (0, 1] of the linear schedule: log α = −(β₀ t + (β₁ − β₀) t² / 2) / 2, v = √(α⁻² − 1)."""
    return math.sqrt(math.expm1(BETA_MIN * t + 0.5 * (BETA_MAX - BETA_MIN) * t * t))


def time_of_level(v: float) -> float:
    """Return the inverse of `level_of_time`."""
    slope = BETA_MAX - BETA_MIN
    return (math.sqrt(BETA_MIN**2 + 2 * slope * math.log1p(v * v)) - BETA_MIN) / slope


LEVEL_MAX, LEVEL_MIN = level_of_time(1.0), level_of_time(TIME_MIN)  # 152 and 0.0105


def _between(first: float, last: float, count: int) -> list[float]:
    return [first + (last - first) * step / (count - 1) for step in range(count)]


def _power(rho: float) -> Callable[[int], list[float]]:
    """Karras et al. 2022, Eq. 5: levels evenly spaced in v^(1/ρ)."""
    return lambda n: [u**rho for u in _between(LEVEL_MAX ** (1 / rho), LEVEL_MIN ** (1 / rho), n)]


SPACINGS: dict[str, Callable[[int], list[float]]] = {
    "time": lambda n: [level_of_time(t) for t in _between(1.0, TIME_MIN, n)],
    "quadratic": lambda n: [level_of_time(u * u) for u in _between(1.0, math.sqrt(TIME_MIN), n)],
    "log_snr": lambda n: [math.exp(u) for u in _between(math.log(LEVEL_MAX), math.log(LEVEL_MIN), n)],
    "power_3": _power(3.0),
    "karras": _power(7.0),
}


def spaced(spacing: str, n: int) -> list[float]:
    """Return n ≥ 2 noise levels from LEVEL_MAX down to LEVEL_MIN."""
    return SPACINGS[spacing](n)
