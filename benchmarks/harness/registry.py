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

from benchmarks.harness.errors import UsageError, unknown
from benchmarks.harness.family import Family
from benchmarks.harness.law import Law
from benchmarks.harness.measurement import Measurement
from benchmarks.harness.problem import Problem
from benchmarks.harness.sources import DIFFUSION, FAMILIES, GUIDES, LAWS, MEASUREMENTS, NO_TASKS, is_file
from methods.base import Method
from methods.diffusion.base import Sampler
from methods.meta.base import Learner
from methods.posterior.base import Guide

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def task_names() -> list[str]:
    """Return `world.task` for every file in a world of `benchmarks/`."""
    files = (ROOT / "benchmarks").glob("*/*.py")
    return sorted(
        f"{file.parent.name}.{file.stem}"
        for file in files
        if file.parent.name not in NO_TASKS and not file.stem.startswith("_")
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


def law_names() -> list[str]:
    """Return the name of every law for diffusion samplers."""
    return sorted(f.stem for f in (ROOT / "benchmarks" / LAWS).glob("[!_]*.py"))


def sampler_names() -> list[str]:
    """Return the name of every file in `methods/diffusion/` that holds a sampler."""
    return sorted(f.stem for f in (ROOT / "methods" / "diffusion").glob("[!_]*.py") if f.stem != "base")


def measurement_names() -> list[str]:
    """Return the name of every measurement of a diffusion model's draws."""
    return sorted(f.stem for f in (ROOT / "benchmarks" / MEASUREMENTS).glob("[!_]*.py"))


def guide_names() -> list[str]:
    """Return the name of every file in `methods/posterior/` that holds a guide."""
    return sorted(f.stem for f in (ROOT / "methods" / "posterior").glob("[!_]*.py") if f.stem != "base")


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
    return _class("learner", name, learner_names, "methods.meta", Learner)


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
