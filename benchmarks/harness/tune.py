"""The same tuning effort for every method on every task: its own grid of six cells, on replicates of their own.

`python -m benchmarks.harness.tune --spec JSON --out FOLDER`: SPEC as for a cell; its replicates are shifted out of
the comparison's range.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.harness.cell import RUNS, Cell, Piece, bury, entry, guard_of, limit_threads, run_cell
from benchmarks.harness.kept import load_table, write_table
from benchmarks.harness.phases import Phases
from benchmarks.harness.seeds import TUNING_REPLICATES
from benchmarks.harness.watch import child, command_of, supervise

TABLE = "grid.parquet"


def grid(axes: dict[str, tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return the cells of a grid, axis by axis."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def pieces_of(cell: Cell, out: Path) -> list[Piece]:
    """Return the method's grid on the replicates of tuning, one piece per grid cell."""
    from benchmarks.harness.registry import method_class

    replicates = [TUNING_REPLICATES + replicate for replicate in cell.replicates]
    return [
        Piece(replace(cell, params={**cell.params, **choice}, replicates=replicates), out / f"cell_{number}")
        for number, choice in enumerate(grid(dict(method_class(cell.algorithm).grid)))
    ]


def tune(cell: Cell, out: Path, phases: Phases | None = None) -> None:
    """Run the method's grid and store one row per grid cell and replicate."""
    import pandas as pd

    from benchmarks.harness.registry import method_class

    tables = []
    choices = grid(dict(method_class(cell.algorithm).grid))
    for number, (piece, choice) in enumerate(zip(pieces_of(cell, out), choices, strict=True)):
        run_cell(piece.cell, piece.out, phases, number)
        table = load_table(piece.out / RUNS)
        tables.append(table.assign(cell=number, choice=str_of(choice)))
    write_table(out / TABLE, pd.concat(tables))


def str_of(choice: dict[str, Any]) -> str:
    """Return a grid cell's parameters as JSON."""
    import json

    return json.dumps(choice, sort_keys=True)


def main() -> int:
    """Parse the command line; watch a child that tunes, or be that child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the cell as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for the grid's results")
    parser.add_argument("--beat", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cell, out = Cell.from_json(arguments.spec), arguments.out
    if arguments.beat is None:
        command = command_of(__spec__.name, "--spec", arguments.spec, "--out", str(out))
        return supervise(command, guard_of(cell), lambda death: bury(pieces_of(cell, out), death))
    limit_threads(cell.threads)
    return child(partial(tune, cell, out), arguments.beat)


if __name__ == "__main__":
    entry(main)
