"""Ranges of parameters, stated where they belong: in the annotation of a `setup` argument.

`lr: Positive = 0.1` is checked by `benchmarks.contract.parameters.check` before anything runs. NaN and infinity lie in
none of these ranges. The ends are no advice: beyond them numbers of single precision overflow or vanish, or no index
reaches. A range that one argument alone has is written there: `dim: Annotated[int, Ge(2)]`.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval, Le

Positive = Annotated[float, Ge(1e-12), Le(1e12)]
NonNegative = Annotated[float, Ge(0), Le(1e12)]
Share = Annotated[float, Interval(gt=0, le=1)]  # a part of a whole, not none of it
Decay = Annotated[float, Interval(ge=0, lt=1)]  # of a moving average
Count = Annotated[int, Ge(1), Le(2147483647)]
AnyCount = Annotated[int, Ge(0), Le(2147483647)]
Ranked = Annotated[int, Ge(2), Le(2147483647)]  # ranking takes two
Octaves = Annotated[int, Ge(0), Le(64)]  # of a positional encoding: 2 to this power is a number of single precision
Pixels = Annotated[int, Ge(4), Le(65536)]  # along the side of a rendered picture
