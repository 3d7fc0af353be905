"""The parameters of a task or method are the keyword arguments of its `setup`: names, defaults and types."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness.errors import UsageError, unknown


def defaults(setup: Callable[..., None]) -> dict[str, Any]:
    """Return parameter → default value."""
    parameters = list(inspect.signature(setup).parameters.values())[1:]
    return {parameter.name: parameter.default for parameter in parameters}


def check(setup: Callable[..., None], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return defaults overlaid with `given`.

    Raises:
        UsageError: for an unknown name or a value of the wrong type; names owner, key and the nearest valid one.
    """
    known = defaults(setup)
    hints = typing.get_type_hints(setup)
    for key, value in given.items():
        if key not in known:
            raise unknown(f"parameter of {owner}:", key, known)
        if not _fits(value, hints[key]):
            expected = str(hints[key]).replace("typing.", "").removeprefix("<class '").removesuffix("'>")
            raise UsageError(f"{owner}: parameter {key!r} is {value!r}, expected {expected}")
    missing = [key for key, value in known.items() if value is inspect.Parameter.empty and key not in given]
    if missing:
        raise UsageError(f"{owner}: parameter {missing[0]!r} has no default, give it a value")
    return {**known, **given}


def at_least(lowest: float, owner: str, **given: float) -> None:
    """Raise UsageError, naming owner and key, for a given value below `lowest` (or NaN)."""
    for key, value in given.items():
        if not value >= lowest:
            raise UsageError(f"{owner}: parameter {key!r} is {value!r}, must be at least {lowest}")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is None or hint is type(None):
        return value is None
    if origin in (tuple, list):
        return isinstance(value, tuple | list)
    return isinstance(value, hint) if isinstance(hint, type) else True
