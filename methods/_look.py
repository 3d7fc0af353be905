"""How methods and learners are called and drawn, the same in all figures of all suites: attributes of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "control",  # no information at all
    "oracle",  # reads the true gradient: a bound, not a rival
    "gradient estimator",
    "second order",
    "distribution",
    "population",
    "single point",
    "simplex",
    "portfolio",
    "model",
    "other",
]
SEARCH: tuple[Kind, ...] = ("control", "distribution", "population", "single point", "simplex", "portfolio", "model")


@dataclass(frozen=True)
class Look:
    """Name, colour and marker. What is left out is chosen such that nobody else in the suite looks the same."""

    name: str = ""
    color: str = ""  # #rrggbb
    marker: str = ""  # of matplotlib
    linestyle: str = "-"
    emphasis: int = 0  # 1: drawn strongly among many, 2: on top of all


Looks = Mapping[tuple[str, Any], Look]  # (parameter, value) → look of the variants that set it
