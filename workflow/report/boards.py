"""What the live part of the report shows: boards, each a matrix of contestants × tasks with the curves behind it."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from workflow.figures._panels import over_seeds
from workflow.figures.style import look

POINTS = 24  # of a curve
DIGITS = 4  # significant ones of a number in a curve

Curve = list[list[float | None]]  # x, median, low, high


@dataclass(frozen=True)
class Row:
    """A method, learner or sampler, as it is called and drawn."""

    id: str
    name: str
    color: str
    dash: bool
    emphasis: int
    kind: str
    score: str = ""  # what the rows are sorted by, in words


@dataclass(frozen=True)
class Column:
    """A task, family or law."""

    id: str
    name: str
    note: str
    y: str = ""  # what its curves show, if not what the board says
    log: bool = True  # whether its curves are drawn on a logarithmic axis at first


@dataclass(frozen=True)
class Cell:
    """What is known of a row on a column: text, darkness from 0 to 1 (1 = best), facts, curves by the name of x."""

    text: str
    shade: float | None
    facts: dict[str, str]
    curves: dict[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class Board:
    """A matrix with everything that a click on it shows; `cells` by `row|column`, pictures as data URLs."""

    id: str
    title: str
    note: str
    score: str  # head of the column that the rows are sorted by
    xs: dict[str, str]  # id → name of what curves are drawn over
    y: str
    rows: list[Row]
    columns: list[Column]
    cells: dict[str, Cell]
    pictures: dict[str, dict[str, str]] = field(default_factory=dict)  # column → row, start or target → picture
    frames: dict[str, dict[str, Any]] = field(default_factory=dict)  # column → steps, target, pictures by row
    lead: str = ""  # who is ahead, in one sentence

    def plain(self) -> dict[str, Any]:
        """Return the board as JSON can hold it."""
        return asdict(self)


def row(label: str, kind: str, score: str = "") -> Row:
    """Return a contestant with its look."""
    drawn = look(label)
    return Row(label, drawn.name, drawn.color, drawn.linestyle != "-", drawn.emphasis, kind, score)


def plain(values: np.ndarray) -> list[float | None]:
    """Return numbers with few digits; None for what is not finite, which JSON does not know."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]


def curve(frame: pd.DataFrame, x: str, y: str) -> Curve | None:
    """Return the median over seeds with its interval at log-spaced x from the first that all seeds have, or None."""
    frame = frame[frame[x].notna() & (frame[x] > 0)]
    if frame.empty:
        return None
    first = frame.groupby("seed")[x].min().max()
    grid = np.geomspace(first, max(frame[x].max(), first * 1.001), POINTS)
    return [plain(grid), *map(plain, over_seeds(frame, x, y, grid))]


def picture(pixels: np.ndarray) -> str:
    """Return a picture of bytes, (h, w) or (h, w, 3), as a data URL."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as readers like it, a dash where there is none."""
    if value is None or pd.isna(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.{digits}g}"


def between(low: float, high: float) -> str:
    """Return an interval in brackets."""
    return f"[{number(low)}, {number(high)}]"


def by_rank(values: pd.Series, lower: bool = True) -> pd.Series:
    """Return darkness from 0 (last) to 1 (first) by rank."""
    ranks = values.rank(ascending=lower)
    return 1 - (ranks - 1) / max(1, len(ranks.dropna()) - 1)
