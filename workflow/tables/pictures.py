"""The pictures that figures show, in one file: start, target and the first replicate's result of every method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.contract.errors import UsageError
from benchmarks.harness import calibrate, cell
from benchmarks.harness.cell import Cell
from benchmarks.harness.kept import Damaged, load_pictures

Pictures = dict[str, np.ndarray]  # `<task>/start`, `<task>/target`, `<task>/<method>` → uint8 (h, w) or (h, w, 3)


def read_pictures(path: Path, sealed: bool = True) -> Pictures:
    """Read a file of pictures; raises UsageError naming it where it is missing or damaged."""
    try:
        return load_pictures(path, sealed)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: run the pipeline again, it computes what is not there") from None
    except Damaged as error:
        raise UsageError(f"{error}: delete it and run the pipeline again") from error


def collect_pictures(cells: Sequence[Cell], tasks: Iterable[str], results: Path) -> Pictures:
    """Return the pictures of these tasks; methods without one (failed, unsupported) are left out."""
    pictures: Pictures = {}
    for task in tasks:
        for key, picture in read_pictures(results / "tasks" / task / calibrate.IMAGES).items():
            pictures[f"{task}/{key}"] = picture
        for item in cells:
            if item.task != task:
                continue
            found = read_pictures(results / "runs" / task / item.method / cell.IMAGES)
            first = str(min(item.replicates))
            if first in found:
                pictures[f"{task}/{item.method}"] = found[first]
    return pictures
