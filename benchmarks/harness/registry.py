"""Discovery by file: dropping a file into a room is all it takes to add a task or a method."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TypeVar

from benchmarks.harness.errors import UsageError, unknown
from benchmarks.harness.problem import Problem
from methods.base import Method

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def task_names() -> list[str]:
    """Return `world.task` for every file in a world of `benchmarks/`."""
    files = (ROOT / "benchmarks").glob("*/*.py")
    return sorted(
        f"{file.parent.name}.{file.stem}"
        for file in files
        if file.parent.name != "harness" and not file.stem.startswith("_")
    )


def method_names() -> list[str]:
    """Return the name of every file in `methods/` that holds a method."""
    files = (ROOT / "methods").glob("*.py")
    return sorted(file.stem for file in files if file.stem != "base" and not file.stem.startswith("_"))


def task_class(name: str) -> type[Problem]:
    """Return the task called `world.task`; raises UsageError for an unknown one."""
    if name not in task_names():
        raise unknown("task", name, task_names())
    return _only_class(f"benchmarks.{name}", Problem)


def method_class(name: str) -> type[Method]:
    """Return the method of this name; raises UsageError for an unknown one or one whose library is missing."""
    if name not in method_names():
        raise unknown("method", name, method_names())
    return _only_class(f"methods.{name}", Method)


def _only_class(module_name: str, base: type[T]) -> type[T]:
    module = importlib.import_module(module_name)
    found = [
        item
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, base)
        and item.__module__ == module_name
        and not inspect.isabstract(item)
        and not item.__name__.startswith("_")
    ]
    if len(found) != 1:
        names = ", ".join(item.__name__ for item in found) or "none"
        raise UsageError(f"{module.__file__}: expected one public {base.__name__}, found {names}")
    return found[0]
