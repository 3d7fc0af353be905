"""Draw one figure: `python -m workflow.figures NAME --tables FOLDER --options JSON --out FIGURE.pdf`.

Writes a vector file and, beside it, a PNG at 200 dots per inch. The same tables give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.harness.errors import UsageError
from benchmarks.harness.parameters import check
from benchmarks.harness.store import atomic
from workflow.figures import figure, names
from workflow.figures.style import DPI, use_style
from workflow.figures.tables import Tables


def make(name: str, folder: Path, options: dict[str, Any], out: Path) -> list[Path]:
    """Draw figure `name` from the tables in `folder` into `out` (.pdf or .svg) and a PNG; return the files."""
    module = figure(name)
    settings = module.Options(**check(module.Options.__init__, options, f"figure {name!r}"))
    use_style()
    import matplotlib.pyplot as plt

    drawn = module.draw(Tables(folder), settings)
    files = [out, out.with_suffix(".png")]
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {"Software": None}}
    for path in files:
        if path.suffix not in undated:
            raise UsageError(f"--out {path}: figures are written as .pdf or .svg")
        with atomic(path) as part:
            drawn.savefig(part, format=path.suffix[1:], dpi=DPI, metadata=undated[path.suffix])
    plt.close(drawn)
    return files


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m workflow.figures", description=__doc__)
    parser.add_argument("name", help=f"one of: {', '.join(names())}")
    parser.add_argument("--tables", required=True, type=Path, help="folder of a suite's tables")
    parser.add_argument("--options", default="{}", help="JSON: what the figure shows")
    parser.add_argument("--out", required=True, type=Path, help="file to write, e.g. results/desk/figures/ecdf.pdf")
    arguments = parser.parse_args()
    try:
        options = json.loads(arguments.options)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UsageError(f"--options {arguments.options!r}: expected a JSON object ({error})") from error
    make(arguments.name, arguments.tables, options, arguments.out)


if __name__ == "__main__":
    matplotlib.use("agg")
    try:
        main()
    except UsageError as error:
        sys.exit(f"error: {error}")
