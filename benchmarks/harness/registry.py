"""Discovery by file: dropping a file into a room is all it takes to add a task or a method."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import TypeVar

from benchmarks.harness.errors import UsageError, unknown
from benchmarks.harness.family import Family
from benchmarks.harness.problem import Problem
from benchmarks.harness.sources import FAMILIES
from methods.base import Method
from methods.meta.base import Learner

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def task_names() -> list[str]:
    """Return `world.task` for every file in a world of `benchmarks/`."""
    files = (ROOT / "benchmarks").glob("*/*.py")
    return sorted(
        f"{file.parent.name}.{file.stem}"
        for file in files
        if file.parent.name not in ("harness", FAMILIES) and not file.stem.startswith("_")
    )


def method_names() -> list[str]:
    """Return the name of every file in `methods/` that holds a method."""
    files = (ROOT / "methods").glob("*.py")
    return sorted(file.stem for file in files if file.stem != "base" and not file.stem.startswith("_"))


def family_names() -> list[str]:
    """Return the name of every family of tasks for meta-learning."""
    return sorted(f.stem for f in (ROOT / "benchmarks" / FAMILIES).glob("[!_]*.py"))


def learner_names() -> list[str]:
    """Return the name of every file in `methods/meta/` that holds a learner."""
    return sorted(f.stem for f in (ROOT / "methods" / "meta").glob("[!_]*.py") if f.stem != "base")


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


def family_class(name: str) -> type[Family]:
    """Return the family of this name; raises UsageError for an unknown one."""
    if name not in family_names():
        raise unknown("family", name, family_names())
    return _only_class(f"benchmarks.{FAMILIES}.{name}", Family)


def learner_class(name: str) -> type[Learner]:
    """Return the learner of this name; raises UsageError for an unknown one."""
    if name not in learner_names():
        raise unknown("learner", name, learner_names())
    return _only_class(f"methods.meta.{name}", Learner)


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
