"""The report's tables as pages that a browser shows: `python -m workflow.pages --results results/<suite>`.

Writes results/<suite>/report/<page>.html, each by itself: no network, no library; a click on a column's head sorts.
"""

from __future__ import annotations

import argparse
import html
import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from benchmarks.harness.cell import entry
from benchmarks.harness.errors import UsageError
from benchmarks.harness.store import atomic
from workflow.tables.schema import schema
from workflow.tables.written import read_written

STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1f2933;margin:1.5rem}
h1{font-size:1.25rem;margin:0 0 .3rem} h2{font-size:1.05rem;margin:1.6rem 0 .3rem}
p{max-width:60rem;color:#52606d;margin:.2rem 0 .8rem}
.box{overflow:auto;max-height:80vh;border:1px solid #e4e7eb;border-radius:6px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
th{position:sticky;top:0;background:#f5f7fa;cursor:pointer;text-align:left;
white-space:nowrap;font-weight:600;border-bottom:1px solid #cbd2d9}
th,td{padding:.3rem .6rem} td{border-bottom:1px solid #eef1f4;vertical-align:top}
td.n{text-align:right;white-space:nowrap}
td:first-child{white-space:nowrap} tr:hover td{background-color:#f0f7ff}
td.ok,td.holds{background:#d7efe3} td.warn,td.inconclusive{background:#fdf0c8} td.fail,td.not{background:#fad9d2}
"""
SORT = """
document.querySelectorAll('th').forEach(head=>head.addEventListener('click',()=>{
  const body=head.closest('table').tBodies[0],column=head.cellIndex,up=head.dataset.up!=='1';head.dataset.up=up?'1':'0';
  const value=row=>{const cell=row.cells[column],number=Number(cell.dataset.v);
    return isNaN(number)?cell.textContent:number};
  [...body.rows].sort((a,b)=>{const x=value(a),y=value(b),number=typeof x==='number',other=typeof y==='number';
    if(number!==other)return number?-1:1; return (x<y?-1:x>y?1:0)*(up?1:-1)}).forEach(row=>body.append(row))}));
"""
DARK, PALE = (0, 34, 78), (253, 234, 170)  # ends of a dark-to-light scale that the colour-blind can tell apart
LOWEST = 1e-4  # gaps below have the colour of this one


def spell(value: object) -> str:
    """Return a value as readers like it: three significant digits, words as they are, nothing for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}".replace("inf", "∞")
    return str(value)


def cell(value: object, style: str = "") -> str:
    """Return one table cell; numbers carry their full value for sorting, verdicts their colour."""
    text = html.escape(spell(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = text.split(" ")[0] if text in ("ok", "warn", "fail", "holds", "does not hold", "inconclusive") else ""
        return f'<td class="{"not" if kind == "does" else kind}">{text}</td>'
    number = str(value).replace("inf", "Infinity")
    return f'<td class="n" data-v="{number}"{style}>{text}</td>'


def table(frame: pd.DataFrame, name: str) -> str:
    """Return a table with its columns' meanings as tooltips."""
    meanings = {column: rule["meaning"] for column, rule in schema(name)["columns"].items()}
    heads = "".join(
        f'<th title="{html.escape(meanings.get(column, ""))}">{html.escape(column)}</th>' for column in frame
    )
    return _table(heads, ("".join(map(cell, row)) for row in frame.astype(object).itertuples(index=False)))


def _table(heads: str, rows: Iterable[str]) -> str:
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return f'<div class="box"><table><thead><tr>{heads}</tr></thead><tbody>\n{body}</tbody></table></div>'


def shade(gap: float) -> str:
    """Return the background for a gap, dark = near the optimum, on a logarithmic scale."""
    if math.isnan(gap):
        return ""
    depth = min(1.0, max(0.0, math.log10(max(gap, LOWEST)) / math.log10(LOWEST)))
    red, green, blue = (round(pale + depth * (dark - pale)) for dark, pale in zip(DARK, PALE, strict=True))
    return f' style="background:rgb({red},{green},{blue});color:{"#fff" if depth > 0.45 else "#1f2933"}"'


def matrix(scores: pd.DataFrame, tasks: pd.DataFrame) -> str:
    """Return median gaps, methods × tasks by dimension; a status where there is no number."""
    order = tasks.sort_values(["dim", "task"])
    facts = scores.set_index(["method", "task"])
    methods = scores.groupby("method")["rank"].mean().sort_values(na_position="last").index
    heads = "<th>method</th>" + "".join(
        f'<th title="{"" if math.isnan(row.dim) else f"{row.dim:,.0f} dimensions"}">{html.escape(row.task)}</th>'
        for row in order.itertuples()
    )
    rows = []
    for method in methods:
        line = [cell(method)]
        for task in order["task"]:
            if (method, task) not in facts.index:
                line.append("<td></td>")
                continue
            fact = facts.loc[(method, task)]
            gap = float(fact["gap_median"])
            line.append(cell(fact["status"]) if math.isnan(gap) else cell(gap, shade(gap)))
        rows.append("".join(line))
    return _table(heads, rows)


def page(title: str, *parts: str) -> str:
    """Return a whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>{''.join(parts)}<script>{SORT}</script></body></html>\n"
    )


def note(name: str) -> str:
    """Return what the schema says of a table."""
    return f"<p>{html.escape(schema(name)['description'])}</p>"


class Shelf:
    """The tables in one folder; of one that is missing, damaged or empty a sentence says so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames: dict[str, pd.DataFrame] = {}
        self.faults: dict[str, str] = {}
        for name in NAMES:
            path = next((p for p in (folder / f"{name}.csv", folder / f"{name}.parquet") if p.is_file()), None)
            if path is None:
                self.faults[name] = f"{folder / name}.* is missing; the target `tables` makes it."
                continue
            try:
                self.frames[name] = read_written(path)
            except UsageError as error:
                self.faults[name] = f"{error}."

    def whole(self, name: str) -> str:
        """Return a table with its description, or why it is not there."""
        if name in self.faults:
            return f"<p>{html.escape(self.faults[name])}</p>"
        if self.frames[name].empty:
            return note(name) + "<p>No rows: nothing that belongs here was run.</p>"
        return note(name) + table(self.frames[name], name)

    def matrix(self) -> str:
        """Return the matrix of gaps, or why there is none."""
        missing = [self.faults[name] for name in ("scores", "tasks") if name in self.faults]
        return f"<p>{html.escape(missing[0])}</p>" if missing else matrix(self.frames["scores"], self.frames["tasks"])


NAMES = (
    *("tasks", "scores", "summary", "claims", "qc", "environment", "gradients", "reproduction"),
    *("speedups", "models"),
)
OF_RUNS = ("methods", "scores", "gradients", "quality")


def pages(folder: Path, wanted: Iterable[str] | None = None) -> dict[str, str]:
    """Return page → HTML from the tables in `folder`: the wanted pages (default: those that have their table)."""
    shelf = Shelf(folder)
    if wanted is None:
        wanted = [*OF_RUNS] if "scores" in shelf.frames else []
        wanted += [*["learners"] * ("speedups" in shelf.frames), "claims", "environment"]
    gaps = "<p>Median gap after the run: 1 = start, 0 = lowest known loss. Tasks from small to large.</p>"
    runs = "scores" in wanted
    contents = {
        "methods": ("Methods over all tasks", "summary"),
        "scores": ("Scores", gaps + shelf.matrix() + "<h2>All numbers</h2>", "scores"),
        "gradients": ("Gradients held against central differences", "gradients"),
        "quality": ("Quality checks", "qc"),
        "learners": ("Learners", "speedups", "<h2>Trained learners</h2>", "models"),
        "claims": ("The papers' claims", "claims", *(("<h2>The paper's table</h2>", "reproduction") if runs else ())),
        "environment": ("Versions and hardware", "environment", *(("<h2>Tasks</h2>", "tasks") if runs else ())),
    }
    return {
        name: page(contents[name][0], *(shelf.whole(part) if part in NAMES else part for part in contents[name][1:]))
        for name in wanted
    }


def main() -> None:
    """Parse the command line and write the pages."""
    parser = argparse.ArgumentParser(prog="python -m workflow.pages", description=__doc__)
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    parser.add_argument("--pages", nargs="*", help="which ones; those that have their table by default")
    arguments = parser.parse_args()
    results = arguments.results
    for name, content in pages(results / "tables", arguments.pages).items():
        with atomic(results / "report" / f"{name}.html") as part:
            part.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    entry(main)
