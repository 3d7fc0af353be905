"""Files that are either whole or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UsageError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block succeeds; a killed job leaves the old file or none.

    Raises:
        UsageError: the folder cannot be written or the disk is full; finished results stay as they are.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror or error}; free some space or make the folder writable and run the "
            "same command again, what is finished is kept"
        ) from error
    finally:
        part.unlink(missing_ok=True) if os.access(path.parent, os.W_OK) else None


def require_writable(folder: Path) -> None:
    """Find out before hours of work whether their result can be kept; raises UsageError."""
    probe = folder / "writable.probe"
    with atomic(probe) as part:
        part.touch()
    probe.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    with atomic(path) as part:
        part.write_text(json.dumps(content, indent=1))


def read_json(path: Path) -> Any | None:
    """Return the content, or None where the file is missing or damaged (it will then be computed again)."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
