"""The search that tunes every method: what is tried next, and what is chosen, from what was tried so far.

A pure function of the rows of grid.csv, so that a search goes on after a kill and every choice can be derived again.

First round, at a share of the budget: the defaults, then the method's own grid, then cells around the best one so far,
until CELLS were tried: beyond an edge of an axis where the best lies at one, else halfway, geometrically, to its
neighbours. Second round, at the full budget and on another replicate: the best two and the best of those with clearly
smaller steps, for a short run likes larger steps than a long one. The lowest of the three is chosen. So every method
spends the same number of evaluations. Of equal cells that moved, small steps come first; of those that never left the
start, large ones, as only these can leave a plateau.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

CELLS = 18  # of the first round
FINALISTS = 3
FACTOR = 2.0  # between values where an axis has one only
STEPS = ("lr", "sigma", "step", "reach", "radius")  # parameters that are lengths
SMALLER = 0.55  # clearly smaller steps: at most this times the best's

Choice = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """A cell that was tried: its parameters and how it ended, over its replicates."""

    choice: Choice
    failed: int  # replicates without a final loss
    loss: float  # median over the others; NaN where there are none
    start: float  # median loss of the starts

    @property
    def key(self) -> tuple[float, float]:
        """Return what is compared: failures first, then the loss with four digits; what is equal then is a tie."""
        return self.failed, math.inf if math.isnan(self.loss) else digits(self.loss)

    @property
    def moved(self) -> bool:
        """Tell whether it ended lower than it started."""
        return not math.isnan(self.loss) and digits(self.loss) < digits(self.start)

    @property
    def size(self) -> float:
        """Return the product of its lengths."""
        return math.prod(self.choice[name] for name in STEPS if _is_positive(self.choice.get(name)))

    @property
    def order(self) -> tuple[float, ...]:
        """Return what the first round sorts by."""
        return *self.key, self.size if self.moved else -self.size


def digits(loss: float) -> float:
    """Return a loss with four digits."""
    return float(f"{loss:.3e}")


def grid(axes: Mapping[str, Sequence[Any]]) -> list[Choice]:
    """Return the cells of a grid, axis by axis."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def text_of(choice: Choice) -> str:
    """Return a cell's parameters as JSON."""
    return json.dumps(choice, sort_keys=True)


def next_choice(
    axes: Mapping[str, Sequence[Any]], defaults: Choice, tried: Sequence[Trial], allowed: Callable[[Choice], bool]
) -> Choice | None:
    """Return the cell that the first round tries next; None where it is over.

    Args:
        axes: Parameter → values, the method's grid.
        defaults: The method's defaults of these parameters.
        tried: What was tried, in order.
        allowed: Whether the method takes these parameters.
    """
    if not axes or len(tried) >= CELLS:
        return None
    seen = {text_of(trial.choice) for trial in tried}
    candidates = [defaults, *grid(axes)]
    for trial in sorted(tried, key=lambda trial: trial.order):  # the second best's, where the best's are all tried
        candidates += around(trial.choice, axes, [other.choice for other in tried])
    return next((choice for choice in candidates if text_of(choice) not in seen and allowed(choice)), None)


def around(best: Choice, axes: Mapping[str, Sequence[Any]], tried: Iterable[Choice]) -> list[Choice]:
    """Return cells that differ from the best in one parameter: beyond an edge first, then across the widest gap."""
    tried = list(tried)
    beyond, between = [], []
    for name in axes:
        value = best[name]
        if not _is_positive(value):
            continue
        known = sorted({item for item in (*axes[name], *(choice[name] for choice in tried)) if _is_positive(item)})
        own = sorted(item for item in axes[name] if _is_positive(item)) or [value]
        place = known.index(value)
        lower, higher = known[:place], known[place + 1 :]
        if not higher:
            beyond.append((value / own[-1], {**best, name: _like(value, value * _factor(known[-2:]))}))
        if not lower:
            beyond.append((own[0] / value, {**best, name: _like(value, value / _factor(known[:2]))}))
        for near in (*higher[:1], *lower[-1:]):
            gap = abs(math.log(near / value))
            between.append((gap, {**best, name: _like(value, math.sqrt(value * near))}))
    beyond.sort(key=lambda pair: pair[0])  # the axis that went least far beyond its grid
    return [*(choice for _, choice in beyond), *(choice for _, choice in sorted(between, key=lambda pair: -pair[0]))]


def finalists(tried: Sequence[Trial]) -> list[Choice]:
    """Return the cells of the second round: the best two, and the best with clearly smaller steps or the third."""
    ordered = sorted(tried, key=lambda trial: trial.order)
    first, rest = ordered[: FINALISTS - 1], ordered[FINALISTS - 1 :]
    smaller = [trial for trial in rest if trial.moved and trial.size <= SMALLER * first[0].size]
    return [trial.choice for trial in [*first, *(smaller or rest)[:1]]]


def chosen(first: Sequence[Trial], second: Sequence[Trial]) -> Choice | None:
    """Return what is chosen, or None: all failed or none left the start. Of equal finalists smaller steps stand."""
    good = [trial for trial in second or first if trial.moved]
    return min(good, key=lambda trial: trial.order).choice if good else None


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _factor(pair: Sequence[float]) -> float:
    return pair[1] / pair[0] if len(pair) == 2 else FACTOR


def _like(value: float, wanted: float) -> float:
    """Return `wanted` with three digits, whole where `value` is."""
    return max(1, round(wanted)) if isinstance(value, int) else float(f"{wanted:.3g}")
