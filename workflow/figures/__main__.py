"""Draw one figure: `python -m workflow.figures NAME --tables FOLDER --options JSON --out FIGURE.pdf`.

Writes a vector file and, beside it, a PNG at 200 dots per inch. The same tables give the same bytes.

With `--record FILE.json` a figure that cannot be drawn becomes a panel that says why, and the file tells what happened:
name, status (drawn, missing: the tables hold nothing to show, crashed: an error of ours) and reason. The exit code is
then 0. Without it, one line says what is wrong. Bad options are an error either way.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check
from benchmarks.harness.job import entry
from benchmarks.harness.kept import Damaged, write_json
from benchmarks.harness.store import atomic, is_full
from workflow.figures import _panels as panels
from workflow.figures import figure, names
from workflow.figures.style import DPI, use_style
from workflow.figures.tables import Tables

UNDATED = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {"Software": None}}
MARGIN = 2.0  # pixels
DRAWN, MISSING, CRASHED = "drawn", "missing", "crashed"


def settings_of(name: str, options: dict[str, Any]) -> Any:  # noqa: ANN401  (every figure has its own class)
    """Return the figure's `Options`; raises UsageError for an unknown figure or option, or one of the wrong type."""
    kind = figure(name).Options
    return kind(**check(kind.__init__, options, f"figure {name!r}"))


def make(name: str, folder: Path, options: dict[str, Any], out: Path) -> list[Path]:
    """Draw figure `name` from the tables in `folder` into `out` (.pdf or .svg) and a PNG; return the files."""
    settings = settings_of(name, options)
    use_style()
    tables = Tables(folder)
    drawn = figure(name).draw(tables, settings)
    if told := tables.sources():
        letters = int(22 * drawn.get_size_inches()[0])
        drawn.suptitle(textwrap.fill(told, letters), fontsize=6, color="#666666")
    fit_titles(drawn)
    return save(drawn, out)


def fit_titles(drawn: Figure) -> None:
    """Make titles smaller that would leave the page at a side: the layout looks at their height alone."""
    drawn.draw_without_rendering()
    drawn.set_layout_engine("none")  # it stands; another round would move panels by hairs, and not always the same
    for axes in drawn.axes:
        box = axes.title.get_window_extent()
        over = max(-box.x0, box.x1 - drawn.bbox.width)
        if over > 0:
            axes.title.set_fontsize(axes.title.get_fontsize() * (1 - 2 * (over + MARGIN) / box.width))


def make_or_say_why(name: str, folder: Path, options: dict[str, Any], out: Path) -> dict[str, str]:
    """Draw the figure or, whatever goes wrong while drawing, a panel that says what; return the record of it."""
    settings_of(name, options)
    try:
        make(name, folder, options, out)
        return {"figure": name, "status": DRAWN, "reason": ""}
    except Exception as error:  # noqa: BLE001  (one figure must not keep the others, nor the report, from being made)
        known_cause = isinstance(error.__cause__, OSError | Damaged)
        if is_full(error) or known_cause:  # a full disk or a damaged table is no figure's fault
            raise
        if known := isinstance(error, UsageError):
            print(f"figure {name!r} is not drawn: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        reason = " ".join(str(error).split()) if known else one_line(error)
        record = {"figure": name, "status": MISSING if known else CRASHED, "reason": reason}
        use_style()
        save(excuse(record), out)
        return record


def one_line(error: Exception) -> str:
    """Return an error's type and text in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def excuse(record: dict[str, str]) -> Figure:
    """Return a figure with one panel that says which figure could not be drawn, why, and the way out."""
    import matplotlib.pyplot as plt

    way_out = {
        MISSING: "Once the tables hold what it shows, the same command draws it.",
        CRASHED: "The traceback is in the log of this figure. Please report it with the tables.",
    }
    drawn, axes = plt.subplots(figsize=(7.0, 2.6))
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(f"The figure “{record['figure']}” could not be drawn")
    panels.emptied(axes, f"{record['reason']}\n{way_out[record['status']]}")
    return drawn


def save(drawn: Figure, out: Path) -> list[Path]:
    """Write a figure as `out` (.pdf or .svg) and as a PNG beside it; return the files."""
    import matplotlib.pyplot as plt

    files = [out, out.with_suffix(".png")]
    for path in files:
        if path.suffix not in UNDATED:
            raise UsageError(f"--out {path}: figures are written as .pdf or .svg")
        with atomic(path) as part:
            drawn.savefig(part, format=path.suffix[1:], dpi=DPI, metadata=UNDATED[path.suffix])
    plt.close(drawn)
    return files


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m workflow.figures", description=__doc__)
    parser.add_argument("name", help=f"one of: {', '.join(names())}")
    parser.add_argument("--tables", required=True, type=Path, help="folder of a suite's tables")
    parser.add_argument("--options", default="{}", help="JSON: what the figure shows")
    parser.add_argument("--out", required=True, type=Path, help="file to write, e.g. results/desk/figures/ecdf.pdf")
    parser.add_argument("--record", type=Path, help="JSON file to write: was the figure drawn, and why not?")
    arguments = parser.parse_args()
    try:
        options = json.loads(arguments.options)
        if not isinstance(options, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise UsageError(f"--options {arguments.options!r}: expected a JSON object ({error})") from error
    if arguments.record is None:
        make(arguments.name, arguments.tables, options, arguments.out)
    else:
        record = make_or_say_why(arguments.name, arguments.tables, options, arguments.out)
        write_json(arguments.record, record)


if __name__ == "__main__":
    matplotlib.use("agg")
    entry(main)
