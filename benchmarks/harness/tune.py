"""The same tuning effort for every method on every task: its own grid of six cells, on replicates of their own.

`python -m benchmarks.harness.tune --spec JSON --out FOLDER`: SPEC as for a cell; its replicates are shifted out of
the comparison's range.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness.cell import RUNS, Cell, entry, limit_threads, run_cell
from benchmarks.harness.kept import load_table, write_table
from benchmarks.harness.seeds import TUNING_REPLICATES

TABLE = "grid.parquet"


def grid(axes: dict[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return the cells of a grid, axis by axis."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def tune(cell: Cell, out: Path) -> None:
    """Run the method's grid and store one row per grid cell and replicate."""
    import pandas as pd

    from benchmarks.harness.registry import method_class

    replicates = [TUNING_REPLICATES + replicate for replicate in cell.replicates]
    tables = []
    for number, choice in enumerate(grid(dict(method_class(cell.algorithm).grid))):
        folder = out / f"cell_{number}"
        run_cell(replace(cell, params={**cell.params, **choice}, replicates=replicates), folder)
        table = load_table(folder / RUNS)
        tables.append(table.assign(cell=number, choice=str_of(choice)))
    write_table(out / TABLE, pd.concat(tables))


def str_of(choice: dict[str, Any]) -> str:
    """Return a grid cell's parameters as JSON."""
    import json

    return json.dumps(choice, sort_keys=True)


def main() -> None:
    """Parse the command line and tune."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the cell as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for the grid's results")
    arguments = parser.parse_args()
    cell = Cell.from_json(arguments.spec)
    limit_threads(cell.threads)
    tune(cell, arguments.out)


if __name__ == "__main__":
    entry(main)
