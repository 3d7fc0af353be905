"""The table of tuned parameters as the config's reader sees it: without pandas, every fault with its line."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from benchmarks.contract.errors import UsageError


def read_tuned(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (task, method) → parameters from a table that the target `tune` wrote; raises UsageError naming a line."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            for row in rows:
                found.setdefault((row["task"], row["method"]), {})[row["parameter"]] = json.loads(row["value"])
    except (KeyError, TypeError, ValueError, RecursionError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"line {rows.line_num}"
        raise UsageError(
            f"{path}, {what}: expected the columns task, method, parameter and value (as JSON); "
            "run the target `tune` to write it anew"
        ) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; it holds the tuned parameters, make it readable") from error
    return found
