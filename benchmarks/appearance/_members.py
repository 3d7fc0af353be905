"""Names of members that come from files: one file, one name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.contract.errors import UsageError


def names_of(files: Sequence[Path], owner: str) -> list[str]:
    """Return the files' names without suffix.

    Raises:
        UsageError: two of them would be one member (`a.jpg`, `a.png`); names both.
    """
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.stem, file)
        if other is not file:
            raise UsageError(f"{owner}: {other} and {file} would both be {file.stem!r}; rename or remove one of them")
    return list(first)
