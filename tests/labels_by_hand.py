"""How everybody in the committed suites looks, for tables made by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("desk", "rendering", "appearance", "future")


def every_label():
    """Return the rows of all committed labels.csv."""
    tables = [pd.read_csv(ROOT / "results" / suite / "tables" / "labels.csv") for suite in SUITES]
    return pd.concat(tables, ignore_index=True).drop_duplicates(["what", "label"])


def write_labels(folder):
    """Write them as a folder's labels.csv."""
    every_label().to_csv(folder / "labels.csv", index=False)
