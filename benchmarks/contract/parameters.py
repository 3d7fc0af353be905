"""The parameters of a task or method are the keyword arguments of its `setup`: names, defaults, types and ranges."""

from __future__ import annotations

import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import annotated_types

from benchmarks.contract.errors import UsageError, shown, unknown

Setup = Callable[..., None] | inspect.Signature  # the latter where the source was read instead of imported

BOUNDS: dict[
    type, tuple[str, Callable[..., bool], str]
] = {  # kind of bound → what a value has to be, in words and in numbers
    annotated_types.Gt: ("more than {}", operator.gt, "gt"),
    annotated_types.Ge: ("at least {}", operator.ge, "ge"),
    annotated_types.Lt: ("less than {}", operator.lt, "lt"),
    annotated_types.Le: ("at most {}", operator.le, "le"),
}


def parameters(setup: Setup) -> list[inspect.Parameter]:
    """Return the parameters, `self` left out, with their annotations resolved."""
    if isinstance(setup, inspect.Signature):
        return list(setup.parameters.values())
    hints = typing.get_type_hints(setup, include_extras=True)
    found = list(inspect.signature(setup).parameters.values())[1:]
    return [parameter.replace(annotation=hints.get(parameter.name, object)) for parameter in found]


def defaults(setup: Setup) -> dict[str, Any]:
    """Return parameter → default value."""
    return {parameter.name: parameter.default for parameter in parameters(setup)}


def check(setup: Setup, given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return defaults overlaid with `given`.

    Raises:
        UsageError: for an unknown name, or a value of the wrong type or out of range; names owner, key and the way out.
    """
    known = {parameter.name: parameter for parameter in parameters(setup)}
    for key, value in given.items():
        if key not in known:
            raise unknown(f"parameter of {owner}:", key, known)
        wrong = complaint(value, known[key].annotation)
        if wrong:
            raise UsageError(f"{owner}: parameter {key!r} is {shown(value)}, {wrong}")
    missing = [key for key, item in known.items() if item.default is inspect.Parameter.empty and key not in given]
    if missing:
        raise UsageError(f"{owner}: parameter {missing[0]!r} has no default, give it a value")
    return {**defaults(setup), **given}


def listing(setup: Setup) -> str:
    """Return one line per parameter: name, default, and what it may be."""
    items = parameters(setup)
    values = ["" if item.default is item.empty else repr(item.default) for item in items]
    first, second = max((len(item.name) for item in items), default=0), max(map(len, values), default=0)
    lines = (
        f"{item.name:<{first}}  {value:<{second}}  {allowed(item.annotation)}"
        for item, value in zip(items, values, strict=True)
    )
    return "\n".join(lines) or "none"


def at_least(lowest: float, owner: str, **given: float) -> None:
    """Raise UsageError, naming owner and key, for a given value below `lowest` (or NaN).

    For bounds that depend on other parameters; all others are annotations.
    """
    for key, value in given.items():
        if not value >= lowest:
            raise UsageError(f"{owner}: parameter {key!r} is {value!r}, must be at least {lowest}")


def complaint(value: Any, hint: Any) -> str | None:
    """Return what is wrong with a value, to follow upon its name, or None where it fits."""
    kind, bounds = _parts(hint)
    if not _fits_type(value, kind):
        return f"expected {allowed(hint)}{number_hint(value, [_parts(option)[0] for option in _options(kind)])}"
    options = _options(kind)
    if len(options) > 1:
        complaints = [complaint(value, option) for option in options if _fits_type(value, _parts(option)[0])]
        return None if None in complaints else complaints[0]
    if isinstance(value, float) and not _finite(value):
        return f"must be a finite number: {allowed(hint)}"
    for bound in bounds:
        if isinstance(bound, annotated_types.MinLen):
            if len(value) < bound.min_length:
                return "must not be empty"
            continue
        words, holds, end = BOUNDS[type(bound)]
        if not holds(value, getattr(bound, end)):
            return f"must be {words.format(_number(getattr(bound, end)))}"
    inside = next((wrong for item, part in _inside(value, kind) if (wrong := complaint(item, part))), None)
    return f"one of which {inside}" if inside else None


def allowed(hint: Any) -> str:
    """Return in words what a parameter with this annotation may be."""
    kind, bounds = _parts(hint)
    options = _options(kind)
    if len(options) > 1:
        return " or ".join(map(allowed, options))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(repr, arguments))
    if kind in (None, types.NoneType):
        return "null"
    if kind in (Any, object, inspect.Parameter.empty):
        return "anything"
    word = {dict: "mapping", Mapping: "mapping"}.get(origin or kind)
    if word is None:
        word = kind.__name__ if origin is None else "list of " + allowed(arguments[0])
    ranges = [
        BOUNDS[type(bound)][0].format(_number(getattr(bound, BOUNDS[type(bound)][2])))
        for bound in bounds
        if type(bound) in BOUNDS
    ]
    return ", ".join([word, *ranges])


def _parts(hint: Any) -> tuple[Any, list[Any]]:
    """Return the type and the bounds of an annotation."""
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, []
    kind, *metadata = typing.get_args(hint)
    return kind, list(_single(metadata))


def _single(metadata: Iterable[Any]) -> Iterator[Any]:
    for item in metadata:
        if isinstance(item, annotated_types.GroupedMetadata):
            yield from item
        else:
            yield item


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return True


def _fits_type(value: Any, kind: Any) -> bool:
    options = _options(kind)
    if len(options) > 1:
        return any(_fits_type(value, _parts(option)[0]) for option in options)
    origin = typing.get_origin(kind) or kind
    if origin is typing.Literal:
        return any(type(value) is type(option) and value == option for option in typing.get_args(kind))
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (None, types.NoneType):
        return value is None
    if _is_list(origin):
        return isinstance(value, tuple | list)
    return isinstance(value, origin) if isinstance(origin, type) else True


def _is_list(origin: Any) -> bool:
    return isinstance(origin, type) and origin is not str and issubclass(origin, typing.Sequence)


def _inside(value: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a list or mapping, each with its annotation."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if not arguments or origin is typing.Literal:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from zip((key, item), arguments, strict=False)
    elif isinstance(value, tuple | list):
        for item in value:
            yield item, arguments[0]


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, and neither true nor false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)


def number_hint(value: Any, kinds: Iterable[Any]) -> str:
    """Return the way out for text that was meant as a number (YAML 1.1 reads 1e-3 as text), and for 2.0 as an int."""
    whole = int in kinds
    if whole and isinstance(value, float) and _finite(value) and value == int(value) and abs(value) < 1e9:
        return f" (write {int(value)})"
    if not isinstance(value, str) or not (whole or float in kinds):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number) or (float not in kinds and number != int(number)):
        return ""
    text = str(int(number)) if number == int(number) and (whole or abs(number) < 1e6) else repr(number)
    mantissa, power, exponent = text.partition("e")
    if power and "." not in mantissa:  # to YAML 1.1 a number with an exponent needs a point
        text = f"{mantissa}.0e{exponent}"
    return f" (YAML takes {shown(value)} for text: write {text})"
