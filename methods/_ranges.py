"""Ranges of parameters, stated where they belong: in the annotation of a `setup` argument.

`lr: Positive = 0.1` is checked by `benchmarks.harness.parameters.check` before anything runs. NaN and infinity lie in
none of these ranges.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Interval

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Interval(gt=0, le=1)]  # a part of a whole, not none of it
Decay = Annotated[float, Interval(ge=0, lt=1)]  # of a moving average
Count = Annotated[int, Ge(1)]
AnyCount = Annotated[int, Ge(0)]
