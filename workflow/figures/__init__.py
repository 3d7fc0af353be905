"""Figures from stored tables: one file per figure, found by its name; nothing is run to draw one.

A figure's file holds `Options`, a frozen dataclass of what a config may set, and `draw(tables, options)`. Files whose
name starts with an underscore, `style` and `tables` are shared.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from benchmarks.contract.errors import unknown

SHARED = ("style", "tables")


def names() -> list[str]:
    """Return the name of every figure."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return sorted(file.stem for file in files if file.stem not in SHARED)


def figure(name: str) -> ModuleType:
    """Return the module that draws this figure; raises UsageError for an unknown one, with the nearest."""
    if name not in names():
        raise unknown("figure", name, names())
    return importlib.import_module(f"{__name__}.{name}")
