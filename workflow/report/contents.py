"""The report's tables as HTML; of one that is missing, damaged or empty a sentence says so, and costs only itself."""

from __future__ import annotations

import html
import math
from pathlib import Path

import pandas as pd

from benchmarks.contract.errors import UsageError
from workflow.report.scoreboard import MEANING, ORDER, Claim, scoreboard, totals
from workflow.tables.schema import schema
from workflow.tables.written import read_written

VERDICTS = {  # a cell with such a text has a colour
    **{"ok": "good", "warn": "fair", "fail": "bad", "holds": "good", "in part": "fair", "does not hold": "bad"},
    **{"inconclusive": "open", "not tested": "none"},
}
FIRST = {"claims": ("verdict", "claim", "measured")}  # columns that are seen without scrolling


def spell(value: object) -> str:
    """Return a value as readers like it: three significant digits, words as they are, nothing for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.3g}".replace("inf", "∞")
    return str(value)


def cell(value: object) -> str:
    """Return one table cell; numbers carry their full value for sorting, verdicts their colour."""
    text = html.escape(spell(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f'<td class="v {VERDICTS[text]}">{text}</td>' if text in VERDICTS else f"<td>{text}</td>"
    number = str(value).replace("inf", "Infinity")
    return f'<td class="n" data-v="{number}">{text}</td>'


def table(frame: pd.DataFrame, name: str, id: str = "") -> str:
    """Return a table with its columns' meanings as tooltips; the page sorts and filters it, by `id` in its address."""
    meanings = {column: rule["meaning"] for column, rule in schema(name)["columns"].items()}
    first = [column for column in FIRST.get(name, ()) if column in frame]
    frame = frame[[*first, *(column for column in frame if column not in first)]]
    heads = "".join(
        f'<th scope="col" title="{html.escape(meanings.get(column, ""))}"><button>{html.escape(column)}</button></th>'
        for column in frame
    )
    rows = "".join(f"<tr>{''.join(map(cell, row))}</tr>\n" for row in frame.astype(object).itertuples(index=False))
    return (
        f'<div class="table" data-table="{id or name}"><div class="box" tabindex="0" role="region" '
        f'aria-label="{id or name}"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table></div></div>"
    )


def fault(text: str) -> str:
    """Return a panel that says why something is not there."""
    return f'<p class="fault">{html.escape(text)}</p>'


class Shelf:
    """The tables in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path | None:
        """Return a table's file, if there is one."""
        return next((p for p in (self.folder / f"{name}.csv", self.folder / f"{name}.parquet") if p.is_file()), None)

    def frame(self, name: str, *columns: str) -> pd.DataFrame:
        """Return a table; raises UsageError where it is missing or damaged, or lacks its key or one of the columns."""
        path = self.path(name)
        if path is None:
            raise UsageError(f"{self.folder / name}.* is missing; the target `tables` makes it")
        frame = read_written(path)
        for column in (*schema(name)["key"], *columns):
            if column not in frame:
                raise UsageError(f"{path} has no column {column!r}; make it again: the target `tables`")
        return frame

    def whole(self, name: str) -> str:
        """Return a table with its description, or why it is not there."""
        try:
            frame = self.frame(name)
        except UsageError as error:
            return fault(f"{error}.")
        told = f"<p>{html.escape(schema(name)['description'])}</p>"
        return told + (table(frame, name) if len(frame) else "<p>No rows: nothing that belongs here was run.</p>")

    def claims(self) -> str:
        """Return the scoreboard and all rows behind it, or why there is none."""
        try:
            frame = self.frame("claims", "source", "verdict")
        except UsageError as error:
            return fault(f"{error}.")
        return board(scoreboard(frame)) + "<h3>Every row</h3>" + self.whole("claims")


def board(found: list[Claim]) -> str:
    """Return the scoreboard: how many claims have each verdict, then a line per claim that filters the rows below."""
    tiles = "".join(
        f'<li class="v {VERDICTS[verdict]}"><b>{count}</b> {verdict}</li>' for verdict, count in totals(found).items()
    )
    lines = "".join(
        f'<tr><td class="v {VERDICTS[claim.verdict]}">{claim.verdict}</td>'
        f'<td><a href="#filter-claims={html.escape(claim.id)}">{html.escape(claim.id.replace("_", " "))}</a></td>'
        f"<td>{', '.join(f'{count} {verdict}' for verdict, count in claim.rows.items())}</td>"
        f"<td>{html.escape(claim.source)}</td></tr>\n"
        for claim in sorted(found, key=lambda claim: ORDER.index(claim.verdict))
    )
    heads = "".join(
        f'<th scope="col"><button>{name}</button></th>' for name in ("verdict", "claim", "rows", "claimed in")
    )
    return (
        f'<ul class="tiles" id="scoreboard">{tiles}</ul><p>{MEANING}</p><div class="table">'
        '<div class="box" tabindex="0" role="region" aria-label="scoreboard"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>\n{lines}</tbody></table></div></div>"
    )
