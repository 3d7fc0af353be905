"""The named parameters of a program: what they may be in YAML, and how each lies in z."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError, shown
from benchmarks.contract.parameters import is_number
from methods._discrete import Discrete

NATURAL = 8.0  # natural steps along a range; ours
JITTER = 0.25  # of a replicate's start: natural steps, or whole numbers; it changes no discrete value
KINDS = ("range", "integers", "choices", "switch")
Kind = Literal["range", "integers", "choices", "switch"]


@dataclass(frozen=True)
class Value:
    """One parameter: linear or logarithmic on a range, a whole number, one of several words, one of two."""

    name: str
    kind: Kind
    options: tuple[Any, ...]  # ends of a range, all whole numbers, all words
    start: Any
    first: int  # its first coordinate
    logarithmic: bool = False

    @property
    def discrete(self) -> Discrete | None:
        """Return how it is decoded, None where it is continuous."""
        levels = len(self.options)
        if self.kind == "range":
            return None
        if self.kind == "integers":
            return Discrete(self.first, levels, step=min(1.0, NATURAL / (levels - 1)))
        return Discrete(self.first, levels, self.kind == "choices", low=-0.5 if self.kind == "switch" else 0.0)

    @property
    def coordinates(self) -> slice:
        return self.discrete.coordinates if self.discrete else slice(self.first, self.first + 1)

    def box(self) -> tuple[float, float]:
        """Return the ends of its coordinates."""
        if self.kind == "range":
            return 0.0, NATURAL
        if self.kind == "integers":
            step = self.discrete.step
            return -step / 2, (len(self.options) - 0.5) * step
        return (-1.0, 2.0) if self.kind == "choices" else (-1.5, 1.5)

    def decode(self, z: Tensor) -> Any:
        """Return the value at z (dim,)."""
        if self.discrete:
            return self.options[int(self.discrete.index(z[None]))]
        low, high = self.options
        share = min(1.0, max(0.0, float(z[self.first]) / NATURAL))
        return low * (high / low) ** share if self.logarithmic else low + (high - low) * share

    def encode(self, value: Any) -> list[float]:
        """Return the coordinates of a value."""
        if self.discrete:
            return self.discrete.code(self.options.index(value))
        low, high = self.options
        return [
            NATURAL
            * (math.log(value / low) / math.log(high / low) if self.logarithmic else (value - low) / (high - low))
        ]

    def error(self, z: Tensor, target: Any) -> float:
        """Return how far z (dim,) is from a value: natural steps; 1 for a wrong word."""
        if self.kind in ("choices", "switch"):
            return float(self.decode(z) != target)
        here = self.encode(self.decode(z))[0]
        return abs(here - self.encode(target)[0])

    def jitter(self) -> float:
        return JITTER * (self.discrete.step if self.discrete else 1.0)


def written(value: Any) -> str:
    """Return a value as a command gets it: numbers with nine digits and a point, words as they are."""
    return value if isinstance(value, str) else f"{value:.9g}"


def read_values(entries: Mapping[str, Any], owner: str) -> list[Value]:
    """Return the parameters of a description; raises UsageError that names file and key."""
    values: list[Value] = []
    place = 0
    for name, entry in entries.items():
        values.append(_read(name, entry, f"{owner}: parameters.{name}", place))
        place = values[-1].coordinates.stop
    return values


def check_value(value: Value, given: Any, where: str) -> Any:
    """Return a given value if the parameter can have it."""
    if value.kind == "range":
        if not is_number(given) or not value.options[0] <= given <= value.options[1]:
            raise UsageError(f"{where}: is {shown(given)}, must be a number in {list(value.options)}")
        return float(given)
    if given not in value.options or isinstance(given, bool):
        raise UsageError(f"{where}: is {shown(given)}, must be one of {shown(list(value.options))}")
    return given


def _read(name: str, entry: Any, where: str, place: int) -> Value:
    if not isinstance(name, str) or not name.isidentifier() or name in ("here",):
        raise UsageError(f"{where}: a name is letters, digits and _, and not 'here'; choose another")
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where}: is {shown(entry)}, expected e.g. {{range: [0, 1], start: 0.5}}")
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise UsageError(f"{where}: has {kinds or 'no kind'}, give it exactly one of {', '.join(KINDS)}")
    kind: Kind = kinds[0]
    known = {kind, "start", *(("scale",) if kind == "range" else ())}
    for key in entry:
        if key not in known:
            raise UsageError(f"{where}.{key}: unknown key; known: {', '.join(sorted(known))}")
    logarithmic = entry.get("scale", "linear") == "log"
    if entry.get("scale", "linear") not in ("linear", "log"):
        raise UsageError(f"{where}.scale: is {shown(entry['scale'])}, must be linear or log")
    options = _options(kind, entry[kind], f"{where}.{kind}")
    if logarithmic and options[0] <= 0:
        raise UsageError(f"{where}.range: begins at {options[0]:g}; a log scale needs a positive number there")
    value = Value(name, kind, options, None, place, logarithmic)
    if "start" not in entry:
        raise UsageError(f"{where}.start: is missing; say where the search begins")
    return Value(name, kind, options, check_value(value, entry["start"], f"{where}.start"), place, logarithmic)


def _options(kind: Kind, given: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(given, list):
        raise UsageError(f"{where}: is {shown(given)}, expected a list")
    if kind in ("range", "integers"):
        numbers = len(given) == 2 and all(map(is_number, given)) and given[0] < given[1]
        if not numbers or (kind == "integers" and not all(isinstance(end, int) for end in given)):
            what = "two whole numbers" if kind == "integers" else "two numbers"
            raise UsageError(f"{where}: is {shown(given)}, expected {what} [low, high], the lower first")
        if kind == "integers" and given[1] - given[0] > 10_000:
            raise UsageError(f"{where}: are more than 10,000 whole numbers; use range")
        return tuple(map(float, given)) if kind == "range" else tuple(range(given[0], given[1] + 1))
    words = all(isinstance(word, str) or is_number(word) for word in given) and len(set(map(str, given))) == len(given)
    if not words or len(given) < 2 or (kind == "switch" and len(given) != 2):
        count = "two" if kind == "switch" else "two or more"
        raise UsageError(
            f"{where}: is {shown(given)}, expected {count} different words or numbers (words like off in quotes)"
        )
    return tuple(given)


def place(values: list[Value], chosen: Mapping[str, Any]) -> Tensor:
    """Return z (dim,) of a value for every parameter."""
    return torch.tensor([number for value in values for number in value.encode(chosen[value.name])])


def metrics_of(values: list[Value], z: Tensor, target: Mapping[str, Any]) -> dict[str, float]:
    """Return the RMS error of z (dim,) in natural steps, and the share of wrong ones where some are discrete."""
    errors = [value.error(z, target[value.name]) for value in values]
    wrong = [value.decode(z) != target[value.name] for value in values if value.discrete]
    metrics = {"parameter_error": math.sqrt(sum(error**2 for error in errors) / len(errors))}
    return metrics | ({"wrong_discrete": sum(wrong) / len(wrong)} if wrong else {})
