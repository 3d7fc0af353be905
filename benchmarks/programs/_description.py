"""What a user writes about a program: one YAML file, read and checked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contract.errors import UsageError, shown, unknown
from benchmarks.contract.parameters import is_number
from benchmarks.contract.reading import find_file, read_yaml
from benchmarks.programs._values import Value, check_value, read_values, written

KEYS = (
    "command",
    "parameters",
    "target",
    "picture",
    "input",
    "timeout",
    "environment",
    "milliseconds",
    "at_once",
    "install",
    "about",
)
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True)
class Description:
    """A program, its parameters and its target."""

    path: Path
    command: tuple[str, ...]
    values: list[Value]
    target: Mapping[str, Any] | Path  # values to be found, or a picture
    picture: str  # stdout, or the file that the command leaves in its folder
    template: str | None  # text for standard input, with placeholders
    timeout: float  # seconds
    environment: Mapping[str, str]
    milliseconds: float  # of one core per evaluation, for estimates
    at_once: int  # runs per core side by side; more than one for a program that waits
    install: str  # the command that installs the program
    about: str

    def arguments(self, chosen: Mapping[str, Any]) -> list[str]:
        """Return program and arguments for these values; every value is part of exactly one argument."""
        return [self.fill(argument, chosen) for argument in self.command]

    def fill(self, text: str, chosen: Mapping[str, Any]) -> str:
        """Return a text with its placeholders replaced, in one pass: what was put in is not looked at again."""
        known = {"here": str(self.path.parent), **{name: written(value) for name, value in chosen.items()}}
        return PLACEHOLDER.sub(lambda found: known.get(found[1], found[0]), text)


def read_description(file: str) -> Description:
    """Read and check a description; raises UsageError that names file, key and the way out."""
    path = find_file(file).resolve()
    if not path.is_file():
        raise UsageError(f"{file}: is not a file; name the YAML file that describes the program")
    content = read_yaml(path)
    owner = str(file)
    if not isinstance(content, Mapping):
        raise UsageError(f"{owner}: expected a mapping with the keys {', '.join(KEYS[:3])}")
    for key in content:
        if key not in KEYS:
            raise unknown(f"key of {owner}:", key, KEYS)
    for key in KEYS[:3]:
        if key not in content:
            raise UsageError(f"{owner}: {key}: is missing; docs/programs.md shows an example")
    if not isinstance(content["parameters"], Mapping) or not content["parameters"]:
        raise UsageError(f"{owner}: parameters: expected a mapping of at least one name to what it may be")
    values = read_values(content["parameters"], owner)
    names = {"here", *(value.name for value in values)}
    command = _command(content["command"], names, owner)
    template = _template(content.get("input"), path, owner)
    used = {name for text in (*command, template or "") for name in PLACEHOLDER.findall(text)}
    for value in values:
        if value.name not in used:
            raise UsageError(
                f"{owner}: parameters.{value.name}: the command never uses it; write {{{value.name}}} there"
            )
    return Description(
        path,
        command,
        values,
        _target(content["target"], values, path, owner),
        _picture(content.get("picture", "stdout"), owner),
        template,
        _positive(content, "timeout", 60.0, owner),
        _environment(content.get("environment", {}), owner),
        _positive(content, "milliseconds", 50.0, owner),
        _at_once(content.get("at_once", 1), owner),
        str(content.get("install", "")),
        " ".join(str(content.get("about", "")).split()),
    )


def _command(given: Any, names: set[str], owner: str) -> tuple[str, ...]:
    if isinstance(given, str):
        try:
            given = shlex.split(given)
        except ValueError as error:
            raise UsageError(f"{owner}: command: {error}; or write it as a list of arguments") from error
    if (
        not isinstance(given, list)
        or not given
        or not all(isinstance(part, str) and "\0" not in part for part in given)
    ):
        raise UsageError(f"{owner}: command: is {shown(given)}, expected a text or a list of texts (numbers in quotes)")
    if PLACEHOLDER.search(given[0].replace("{here}", "")):
        raise UsageError(
            f"{owner}: command: the program itself is {given[0]!r}; placeholders belong into its arguments"
        )
    for part in given:
        for name in PLACEHOLDER.findall(part):
            if name not in names:
                raise unknown(f"placeholder in command of {owner}:", name, names)
    return tuple(given)


def _template(given: Any, path: Path, owner: str) -> str | None:
    if given is None:
        return None
    try:
        return (path.parent / str(given)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{owner}: input: {shown(given)} cannot be read as text beside this file ({error})") from error


def _target(given: Any, values: list[Value], path: Path, owner: str) -> Mapping[str, Any] | Path:
    if isinstance(given, str):
        picture = path.parent / given
        if not picture.is_file():
            raise UsageError(f"{owner}: target: {given!r} is no file beside this one; or give a value per parameter")
        return picture
    if not isinstance(given, Mapping):
        raise UsageError(f"{owner}: target: is {shown(given)}, expected a picture's file or a value per parameter")
    known = {value.name: value for value in values}
    for name in given:
        if name not in known:
            raise unknown(f"parameter in target of {owner}:", name, known)
    for name in known:
        if name not in given:
            raise UsageError(f"{owner}: target.{name}: is missing; give every parameter a value")
    return {name: check_value(value, given[name], f"{owner}: target.{name}") for name, value in known.items()}


def _picture(given: Any, owner: str) -> str:
    if not isinstance(given, str) or not given or Path(given).is_absolute() or ".." in Path(given).parts:
        raise UsageError(
            f"{owner}: picture: is {shown(given)}, must be stdout or a file that the command leaves where it runs"
        )
    return given


def _positive(content: Mapping[str, Any], key: str, default: float, owner: str) -> float:
    given = content.get(key, default)
    if not is_number(given) or given <= 0:
        raise UsageError(f"{owner}: {key}: is {shown(given)}, must be a positive number")
    return float(given)


def _at_once(given: Any, owner: str) -> int:
    if not is_number(given) or given != int(given) or not 1 <= given <= 64:
        raise UsageError(f"{owner}: at_once: is {shown(given)}, must be a whole number in 1 … 64")
    return int(given)


def _environment(given: Any, owner: str) -> Mapping[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(item, str) for pair in given.items() for item in pair):
        raise UsageError(f"{owner}: environment: is {shown(given)}, expected names and texts (numbers in quotes)")
    return dict(given)
