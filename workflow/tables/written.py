"""The tables of a suite as files: written whole, with the checksums of those that cannot carry one, and read again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.harness.kept import (
    Damaged,
    load_json,
    load_table,
    unless_damaged,
    write_json,
    write_pictures,
    write_table,
)
from benchmarks.harness.store import atomic
from workflow.tables.pictures import Pictures

CHECKSUMS = "checksums.json"  # CSV file → SHA-256


def write(tables: Mapping[str, pd.DataFrame | Pictures], folder: Path) -> None:
    """Write every table whole or not at all; the checksums last."""
    checksums = {}
    for name, table in tables.items():
        if isinstance(table, dict):
            write_pictures(folder / name, table)
        elif name.endswith(".csv"):
            content = table.to_csv(index=False).encode("utf-8")
            checksums[name] = hashlib.sha256(content).hexdigest()
            with atomic(folder / name) as part:
                part.write_bytes(content)
        else:
            write_table(folder / name, table)
    write_json(folder / CHECKSUMS, checksums)


def load_written(path: Path) -> pd.DataFrame:
    """Return a table that `write` wrote, or one that another wrote, if it has no seal and no checksum.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it cannot be read, or is not what was written.
    """
    if path.suffix != ".csv":
        return load_table(path, sealed=False)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); make it readable or remove it") from error
    known = unless_damaged(load_json, path.with_name(CHECKSUMS)) or {}
    if known.get(path.name) not in (None, hashlib.sha256(content).hexdigest()):
        raise Damaged(path, f"not what was written; where you changed it on purpose, remove {CHECKSUMS}")
    try:
        return pd.read_csv(path, encoding="utf-8")
    except ValueError as error:
        raise Damaged(path, " ".join(str(error).split())) from None


def read_written(path: Path) -> pd.DataFrame:
    """Return a table as `load_written` does.

    Raises:
        UsageError: it is missing or damaged; names it with the way out.
    """
    try:
        return load_written(path)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing; make the tables first: `snakemake tables`") from None
    except Damaged as error:
        raise UsageError(f"{error}; delete it and make it again: `snakemake tables`") from error
