"""Discovery by file: dropping a file into a room adds a task or a method; one anywhere else is named by its path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.contract.family import Family
from benchmarks.contract.law import Law
from benchmarks.contract.measurement import Measurement
from benchmarks.contract.problem import Problem
from benchmarks.harness.rooms import (
    DIFFUSION,
    FAMILIES,
    GUIDES,
    LAWS,
    LEARNERS,
    MEASUREMENTS,
    family_names,
    guide_names,
    law_names,
    learner_names,
    measurement_names,
    method_names,
    sampler_names,
    task_names,
)
from benchmarks.harness.sources import is_file
from methods.base import Method
from methods.diffusion.base import Sampler
from methods.meta.base import Learner
from methods.posterior.base import Guide

T = TypeVar("T")


def task_class(name: str) -> type[Problem]:
    """Return the task called `world.task`, or the one in a file; raises UsageError for an unknown one."""
    return _class("task", name, task_names, "benchmarks", Problem)


def method_class(name: str) -> type[Method]:
    """Return the method of this name or file; raises UsageError for an unknown one or one whose library is missing."""
    return _class("method", name, method_names, "methods", Method)


def family_class(name: str) -> type[Family]:
    """Return the family of this name or file; raises UsageError for an unknown one."""
    return _class("family", name, family_names, f"benchmarks.{FAMILIES}", Family)


def learner_class(name: str) -> type[Learner]:
    """Return the learner of this name or file; raises UsageError for an unknown one."""
    return _class("learner", name, learner_names, LEARNERS, Learner)


def law_class(name: str) -> type[Law]:
    """Return the law of this name; raises UsageError for an unknown one."""
    return _class("law", name, law_names, f"benchmarks.{LAWS}", Law)


def sampler_class(name: str) -> type[Sampler]:
    """Return the diffusion sampler of this name; raises UsageError for an unknown one."""
    return _class("sampler", name, sampler_names, DIFFUSION, Sampler)


def measurement_class(name: str) -> type[Measurement]:
    """Return the measurement of this name; raises UsageError for an unknown one."""
    return _class("measurement", name, measurement_names, f"benchmarks.{MEASUREMENTS}", Measurement)


def guide_class(name: str) -> type[Guide]:
    """Return the guide of this name; raises UsageError for an unknown one."""
    return _class("guide", name, guide_names, GUIDES, Guide)


def _class(kind: str, name: str, names: Callable[[], list[str]], room: str, base: type[T]) -> type[T]:
    if is_file(name):
        return _only_class(_outside(kind, Path(name)), base)
    if name not in names():
        raise unknown(kind, name, names())
    return _only_class(importlib.import_module(f"{room}.{name}"), base)


def _outside(kind: str, path: Path) -> ModuleType:
    """Return the module in a file anywhere on disk, loaded once."""
    if not path.is_file():
        raise UsageError(f"{kind} {path}: there is no such file")
    name = f"outside.{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _only_class(module: ModuleType, base: type[T]) -> type[T]:
    found = [
        item
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, base)
        and item.__module__ == module.__name__
        and not inspect.isabstract(item)
        and not item.__name__.startswith("_")
    ]
    if len(found) != 1:
        names = ", ".join(item.__name__ for item in found) or "none"
        raise UsageError(f"{module.__file__}: expected one public {base.__name__}, found {names}")
    return found[0]
