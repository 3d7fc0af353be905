"""Write the report: `python -m workflow.report --results results/<suite>`, from stored tables and drawn figures alone.

It is one file that needs no network. What cannot be shown (a table that is missing or damaged, a figure that could not
be drawn, a board whose making failed) is a panel that says why, and costs nothing else.
"""

from __future__ import annotations

import argparse
import base64
import html
import importlib
import json
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.harness.job import entry
from benchmarks.harness.kept import load_json, unless_damaged
from benchmarks.harness.store import atomic
from workflow.failures import causes
from workflow.figures.tables import Tables
from workflow.report.boards import Board
from workflow.report.contents import Shelf, fault, table
from workflow.report.scoreboard import HOLDS, NOT, OPEN, PART, UNTESTED, scoreboard, totals
from workflow.tables.written import CHECKSUMS

HERE = Path(__file__).parent
SCRIPTS = ("uplot/uPlot.iife.min.js", "state.js", "matrix.js", "curves.js", "pictures.js", "tables.js", "page.js")
STYLES = ("uplot/uPlot.min.css", "page.css")
RANKINGS = ("leaderboard", "duels", "summary", "speedups", "diffusion_reach")
HARDWARE = ("environment", "reference")
KEPT = ("claims", "failures", "labels", *RANKINGS, *HARDWARE)  # tables that have a place of their own
PLURAL = {
    HOLDS: "hold",
    PART: "hold in part",
    NOT: "do not hold",
    OPEN: "are inconclusive",
    UNTESTED: "were not tested",
}
LARGEST = 3000  # rows of a table that the report shows; longer ones are for programs


@dataclass(frozen=True)
class Section:
    """A part of the page, with an entry in its contents."""

    id: str
    title: str
    body: str


def guarded(what: str, make: Callable[[], str]) -> str:
    """Return a part of the page or, whatever goes wrong while making it, a panel that says what."""
    try:
        return make()
    except UsageError as error:
        return fault(f"{what}: {error}.")
    except Exception as error:  # noqa: BLE001  (one part must not cost the others)
        traceback.print_exc()
        return fault(f"{what} could not be made ({type(error).__name__}: {error}). Please report it with the tables.")


def boards(folder: Path) -> tuple[list[Board], list[str]]:
    """Return the boards that these tables have, and a panel for each that could not be made."""
    found: list[Board] = []
    faults = []
    written = unless_damaged(load_json, folder / CHECKSUMS) or {}  # one of these that is not there was lost
    for path in sorted(HERE.glob("board_*.py")):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        if not (folder / module.TABLE).is_file() and module.TABLE not in written:
            continue

        def make(module=module) -> str:  # noqa: ANN001
            found.append(module.board(Tables(folder)))
            return ""

        faults.append(guarded(f"The live plots of {module.TABLE}", make))
    return found, [text for text in faults if text]


def sentence(found: list[Board], shelf: Shelf) -> str:
    """Return the sentence that the report opens with: who is ahead, and what became of the claims."""
    told = [board.lead for board in found if board.lead]
    if shelf.path("claims"):
        counts = totals(scoreboard(shelf.frame("claims", "source", "verdict")))
        words = ", ".join(f"{count} {PLURAL.get(verdict, verdict)}" for verdict, count in counts.items() if count)
        told.append(f"Of {sum(counts.values())} claims: {words or 'none could be judged'}.")
    return " ".join(told) or "These tables hold no comparison and no claims."


def figure(name: str, results: Path) -> str:
    """Return a figure with its caption, or why it could not be drawn."""
    picture = results / "figures" / f"{name}.png"
    record = unless_damaged(load_json, results / "logs" / "figures" / f"{name}.json") or {}
    if record.get("status", "drawn") != "drawn":
        body = fault(f"The figure “{name}” could not be drawn ({record['status']}): {record.get('reason', '')}")
    elif not picture.is_file():
        body = fault(f"{picture} is missing; the target `figures` draws it.")
    else:
        data = base64.b64encode(picture.read_bytes()).decode("ascii")
        body = (
            f'<a href="figures/{name}.pdf"><img loading="lazy" alt="{name}: described below" '
            f'src="data:image/png;base64,{data}"></a>'
        )
    return f'<figure id="figure-{name}">{body}<figcaption>{caption(name)}</figcaption></figure>'


def caption(name: str) -> str:
    """Return what a figure shows, in HTML."""
    template = jinja2.Template((HERE / "figure.rst").read_text(encoding="utf-8"))
    text = template.render(name=name)
    text = html.escape(" ".join(text.split())) or name
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)


def failed(shelf: Shelf) -> str:
    """Return what did not run, grouped by reason and one by one."""
    failures = shelf.frame("failures")
    if failures.empty:
        return "<p>Everything that the suite asks for ran to its end.</p>"
    found = causes(failures)
    found["names"] = [", ".join(map(str, names)) for names in found["names"]]
    return table(found, "failures", "causes") + "<h3>One by one</h3>" + table(failures, "failures")


def hardware(shelf: Shelf) -> str:
    """Return machines and commits in one line, then the tables."""
    frame = shelf.frame("environment", "device", "commit")
    told = [f"{what}: {', '.join(dict.fromkeys(map(str, frame[column].dropna())))}"
            for what, column in (("Machines", "device"), ("commits", "commit"))]  # fmt: skip
    return f"<p>{html.escape('; '.join(told))}.</p>" + "".join(map(shelf.whole, present(HARDWARE, shelf)))


def present(names: tuple[str, ...], shelf: Shelf) -> list[str]:
    """Return those of the tables that are there."""
    return [name for name in names if shelf.path(name)]


def tables(shelf: Shelf) -> str:
    """Return all other tables, folded."""
    schemas = sorted(path.stem for path in (HERE.parent / "schemas" / "tables").glob("*.yaml"))
    parts = []
    for name in schemas:
        if name in KEPT or not shelf.path(name):
            continue

        def make(name=name) -> str:  # noqa: ANN001
            frame: pd.DataFrame = shelf.frame(name)
            long = f"<p>{len(frame):,} rows: read {html.escape(str(shelf.path(name)))}.</p>"
            return shelf.whole(name) if len(frame) <= LARGEST else long

        parts.append(f'<details id="table-{name}"><summary>{name}</summary>{guarded(f"Table {name}", make)}</details>')
    return "".join(parts)


def report(results: Path, figures: list[str] | None = None) -> str:
    """Return the page of a suite's results with these figures, by default those that are there."""
    shelf = Shelf(results / "tables")
    if figures is None:
        figures = sorted(path.stem for path in (results / "figures").glob("*.png"))
    found, faults = boards(shelf.folder)
    opening = guarded("The summary", lambda: f"<p>{html.escape(sentence(found, shelf))}</p>")
    live = "".join(faults) + '<div id="boards"></div>'
    drawn = [guarded(f"Figure {name}", lambda name=name: figure(name, results)) for name in figures]
    failures = guarded("The list of failures", lambda: failed(shelf)) if shelf.path("failures") else ""
    parts = [
        Section("board", "Matrix", live),
        Section("curves", "Curves", '<div id="curves-here"></div>'),
        Section("gallery", "Gallery", '<div id="gallery-here"></div>'),
        Section("ranking", "Ranking", "".join(map(shelf.whole, present(RANKINGS, shelf)))),
        Section("claims", "Claims", guarded("The scoreboard", shelf.claims)),
        Section("figures", "Figures", "".join(drawn)),
        Section("failures", "What did not run", failures),
        Section("hardware", "Hardware and commit", guarded("Hardware", lambda: hardware(shelf))),
        Section("tables", "All tables", tables(shelf)),
    ]  # fmt: skip
    kept = {"curves": bool(found), "gallery": any(board.pictures or board.frames for board in found)}
    parts = [part for part in parts if part.body and kept.get(part.id, True)]
    page = jinja2.Template((HERE / "page" / "page.html").read_text(encoding="utf-8"))
    return page.render(
        suite=results.name,
        opening=opening,
        sections=parts,
        styles="\n".join(source(name) for name in STYLES),
        scripts="\n".join(source(name) for name in SCRIPTS),
        boards=json.dumps([board.plain() for board in found], ensure_ascii=False, allow_nan=False).replace(
            "</", "<\\/"
        ),
    )


def source(name: str) -> str:
    """Return a file of the page."""
    return (HERE / "page" / name).read_text(encoding="utf-8")


def main() -> None:
    """Parse the command line and write the report."""
    parser = argparse.ArgumentParser(prog="python -m workflow.report", description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    parser.add_argument("--figures", nargs="*", help="which ones; those that are there by default")
    parser.add_argument("--out", type=Path, help="file to write; default: report.html in that folder")
    arguments = parser.parse_args()
    if not (arguments.results / "tables").is_dir():
        raise UsageError(f"{arguments.results}/tables is missing: --results names the folder of a suite that ran")
    out = arguments.out or arguments.results / "report.html"
    with atomic(out) as part:
        part.write_text(report(arguments.results, arguments.figures), encoding="utf-8")
    print(out, file=sys.stderr)


if __name__ == "__main__":
    entry(main)
