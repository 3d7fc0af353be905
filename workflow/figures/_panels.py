"""What several figures share: intervals over seeds, lines of methods, the legend below, notes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from workflow.figures.style import ON_TOP, look, spell
from workflow.figures.tables import GAP_FLOOR, Tables

RESAMPLES = 400
GROUND = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "boxstyle": "square,pad=0.2"}  # behind a note
CROWD = 12  # with more methods than this, the less interesting ones are drawn thin and grey
REST = "#b3bac1"  # of those
NEVER = 100.0  # decades, more than any gap spans
MOST = 0.7  # share of the tasks that a method has met of which one can say how good it is
GAP_LABEL = "gap (1 = start, 0 = optimum)"


def median_interval(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the median over seeds and its 95 % bootstrap interval of `values` (seeds, …)."""
    values = np.asarray(values, dtype=float)
    draws = np.random.default_rng(0).integers(0, len(values), (resamples, len(values)))
    medians = quantile(values[draws], 0.5, axis=1)
    return quantile(values, 0.5, 0), quantile(medians, 0.025, 0), quantile(medians, 0.975, 0)


def quantile(values: np.ndarray, share: float, axis: int) -> np.ndarray:
    """Return a quantile along `axis`; infinities are ordinary large numbers."""
    finite = np.finfo(float).max / 4
    found = np.quantile(np.minimum(values, finite), share, axis=axis)
    return np.where(found >= finite / 100, np.inf, found)


def over_seeds(frame: pd.DataFrame, x: str, y: str, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return median, low, high over the seeds on a grid; between checkpoints the last one holds."""
    lines = []
    for _, run in frame.groupby("seed", sort=True):
        run = run.sort_values(x, kind="stable")
        index = np.searchsorted(run[x].to_numpy(), grid * (1 + 1e-9), side="right") - 1
        lines.append(run[y].to_numpy()[index.clip(0)])
    return median_interval(np.stack(lines))


def at_checkpoints(frame: pd.DataFrame, x: str, y: str) -> tuple[np.ndarray, ...] | None:
    """Return x, median, low, high by number of checkpoint, or None where seeds have different numbers of them."""
    counts = frame.groupby("seed").size()
    if counts.nunique() != 1:
        return None
    ordered = frame.sort_values(["seed", x], kind="stable")
    places, values = (ordered[column].to_numpy(float).reshape(len(counts), -1) for column in (x, y))
    return np.median(places, axis=0), *median_interval(values)


def emphasised(labels: Sequence[str], score: pd.Series | None = None, top: int = 4) -> list[str]:
    """Return the methods to draw strongly: all of few, else those that say so (`Look`) and those of lowest score."""
    if len(labels) <= CROWD:
        return list(labels)
    said = [label for label in labels if look(label).emphasis]
    others = pd.Series(dtype=float) if score is None else score.reindex(labels).drop(said).dropna()
    best = others.sort_values(kind="stable").index[:top]
    return [label for label in labels if label in said or label in best]


def stroke(label: str, strong: bool = True) -> dict[str, object]:
    """Return the keyword arguments of a method's line."""
    style = look(label)
    top = style.emphasis == ON_TOP
    order = 4 if top else 3 if strong else 2
    return {
        "color": style.color if strong else REST,
        "linestyle": style.linestyle if strong else "-",
        "linewidth": (1.9 if top else 1.3) if strong else 0.7,
        "alpha": 1.0 if strong else 0.8,
        "zorder": order,
        "label": style.name,
    }


def draw_curve(axes: Axes, frame: pd.DataFrame, label: str, x: str, y: str, strong: bool = True) -> None:
    """Draw one method's median over seeds with its interval and a few markers; x starts at the first positive value.

    Where all seeds have the same checkpoints, straight lines join these, as nothing is known between them.
    """
    frame = frame.assign(**{x: frame[x].astype(float)})
    positive = frame.loc[frame[x] > 0, x]
    if positive.empty:
        return
    if (found := at_checkpoints(frame[frame[x] > 0], x, y)) is not None:
        grid, median, low, high = found
    else:
        first = frame[frame[x] > 0].groupby("seed")[x].min().max()
        grid = np.geomspace(first, max(positive.max(), first * 1.001), 60)
        median, low, high = over_seeds(frame, x, y, grid)
    style = stroke(label, strong)
    seen = np.isfinite(median)
    if not seen.any():
        return
    marks = {"marker": look(label).marker if strong else "", "markevery": (0.0, 0.16), "markersize": 3.4}
    edge = style["color"] if look(label).marker == "x" else "white"
    axes.plot(grid[seen], median[seen], markeredgecolor=edge, markeredgewidth=0.4, **marks, **style)
    if strong:
        ceiling = np.where(np.isfinite(high), high, 1e3)
        axes.fill_between(grid[seen], low[seen], ceiling[seen], color=style["color"], alpha=0.14, linewidth=0, zorder=1)


def log_axis(axis: Axis) -> None:
    """Give a logarithmic axis few, readable ticks: powers of ten, more of them where it spans little."""
    low, high = sorted(axis.get_view_interval())
    if low > 0 and np.log10(high / low) < 2:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if np.log10(high / low) < 1.3 else (1, 3)))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
        )
    axis.set_minor_formatter(NullFormatter())


def gap_axis(axes: Axes, top: float = 1.0, bottom: float = GAP_FLOOR) -> None:
    """Make y a logarithmic gap axis; its last tick stands for everything at or below GAP_FLOOR."""
    axes.set_yscale("log")
    bottom = max(bottom, GAP_FLOOR)
    span = np.log10(max(top, 1.0) / bottom)
    axes.set_ylim(bottom * 10 ** (-0.05 * span), max(top, 1.0) * 10 ** (0.06 * span))
    axes.yaxis.set_major_formatter(FuncFormatter(gap_tick))
    if span > 1.3:
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
        axes.yaxis.set_minor_formatter(FuncFormatter(gap_tick))
        axes.tick_params(axis="y", which="minor", labelsize=6)


def gap_tick(value: float, _position: int | None = None) -> str:
    """Return a short label of a gap."""
    text = f"{value:.0e}".replace("e-0", "e-") if value < 0.001 else f"{value:g}"
    return f"≤{text}" if np.isclose(value, GAP_FLOOR) else text


def gap_range(frame: pd.DataFrame, oracles: Iterable[str] = ()) -> tuple[float, float]:
    """Return top and bottom for `gap_axis`: all values of rivals, but at most ten times the start's.

    Oracles have a say only where nobody else is shown.
    """
    finite = frame[np.isfinite(frame.gap)]
    rivals = finite[~finite.method.isin(list(oracles))]
    finite = (finite if rivals.empty else rivals).gap
    if finite.empty:
        return 1.0, 0.1
    return min(10.0, max(1.0, finite.max())), min(0.5, max(GAP_FLOOR, finite.min()))


def bounds(axes: Axes, frame: pd.DataFrame, oracles: Iterable[str]) -> None:
    """Say at the bottom of a gap axis how far down oracles go that leave it there."""
    lines = []
    for label in oracles:
        lowest = frame.gap[frame.method == label].min()
        if lowest < axes.get_ylim()[0]:
            lines.append(f"↓ {look(label).name}: {gap_tick(lowest)}")
    if lines:
        axes.text(0.02, 0.02, "\n".join(lines), transform=axes.transAxes, va="bottom", fontsize=6, color="#333333",
                  zorder=7, bbox=GROUND)  # fmt: skip


def frame_lines(axes: Axes) -> None:
    """Give a logarithmic y the range of its lines: bands may leave the panel."""
    shown = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    shown = np.log10(shown[np.isfinite(shown) & (shown > 0)])
    room = 0.08 * max(1.0, np.ptp(shown))
    axes.set_ylim(10 ** (shown.min() - room), 10 ** (shown.max() + room))


def note(axes: Axes, text: str, size: float = 7) -> None:
    """Say in an empty panel why it is empty, in as many words as it has room for."""
    width, height = inches(axes)
    columns = max(12, int(0.88 * width / (0.0083 * size)))  # a letter is about .6 of the size wide
    lines = max(2, int(0.9 * height / (0.0167 * size)))
    axes.text(0.5, 0.5, "\n".join(wrapped(text, columns, lines)), transform=axes.transAxes, ha="center", va="center",
              color="#555555", fontsize=size, gid="note", bbox=GROUND)  # fmt: skip


def inches(axes: Axes) -> tuple[float, float]:
    """Return width and height of a panel, roughly: its cell of the grid without the axes' labels."""
    box, whole = axes.get_position(), axes.figure  # or a part of a figure, whose size is not its own
    return box.width * whole.bbox.width / whole.dpi, box.height * whole.bbox.height / whole.dpi


def wrapped(text: str, columns: int, lines: int) -> list[str]:
    """Return `text` in at most `lines` lines of `columns` letters, an ellipsis where it was cut."""
    found = [part for line in text.splitlines() for part in textwrap.wrap(line, columns)]
    if len(found) > lines:
        found = [*found[: lines - 1], found[lines - 1][: columns - 1].rstrip() + "…"]
    return found


def uncalibrated(tables: Tables, tasks: Iterable[str]) -> str:
    """Return a line that names those of the tasks that have no gap because their calibration failed; "" for none."""
    tasks = [task for task in tasks if task in tables.spoilt()]
    if not tasks:
        return ""
    why = textwrap.shorten(tables.why(tasks), 220, placeholder=" …")
    return f"No gap, as calibration failed: {', '.join(map(spell, tasks))}: {why}."


def lines(*remarks: str) -> str:
    """Return the remarks that say something, a line each."""
    return "\n".join(filter(None, remarks))


def emptied(axes: Axes, text: str) -> None:
    """Make a panel that has nothing to show a plain field with a note."""
    axes.set(xscale="linear", yscale="linear", xticks=[], yticks=[])
    axes.grid(False)
    note(axes, text)


def absences(tables: Tables, labels: Iterable[str], shown: Iterable[str], tasks: Iterable[str] | None = None) -> str:
    """Return a line for each reason why methods are not shown on any of these tasks; "" where all are."""
    shown = set(shown)
    reasons: dict[str, list[str]] = {}
    for label in labels:
        if label not in shown:
            reasons.setdefault(tables.why(tasks, [label]), []).append(look(label).name)
    return "\n".join(f"Not shown: {', '.join(names)}: {textwrap.shorten(why, 220, placeholder=' …')}."
                     for why, names in reasons.items())  # fmt: skip


def handle(label: str) -> Line2D:
    """Return a method's entry in the legend."""
    return Line2D([], [], marker=look(label).marker, markersize=4, **stroke(label))


def legend_below(
    figure: Figure,
    labels: Iterable[str],
    strong: Sequence[str] | None = None,
    extra: Sequence[Line2D] = (),
    remark: str = "",
) -> None:
    """List the strongly drawn methods below the panels and name the others behind one grey line, then a remark."""
    labels = list(labels)
    strong = labels if strong is None else strong
    handles = [handle(label) for label in labels if label in strong]
    if rest := [look(label).name for label in labels if label not in strong]:
        handles.append(Line2D([], [], color=REST, linewidth=0.9, label=f"{len(rest)} others"))
        remark = lines(f"Grey: {', '.join(rest)}.", remark)
    handles += list(extra)
    footer(figure, [(item, item.get_label()) for item in handles], remark)


def footer(figure: Figure, handles: Sequence[tuple[Artist, str]], remark: str = "") -> None:
    """Put legend and remark below the panels and grow the figure by what they need, so that nothing overlaps."""
    renderer = figure.canvas.get_renderer()
    width, height = figure.get_size_inches()
    room = 0.03
    note_text, legend = None, None
    if remark:
        wrapped = "\n".join(textwrap.fill(line, int(width * 20)) for line in remark.splitlines())
        note_text = figure.text(0.01, 0, wrapped, fontsize=6.5, color="#444444", va="bottom")
        note_text.set_in_layout(False)
        room += note_text.get_window_extent(renderer).height / figure.dpi + 0.05
    note_room = room
    if handles:
        legend = fitting_legend(figure, handles, 0.97 * width)
        room += legend.get_window_extent(renderer).height / figure.dpi + 0.05
    total = height + room
    figure.set_size_inches(width, total)
    if note_text is not None:
        note_text.set_y(0.03 / total)
    if legend is not None:
        legend.set_bbox_to_anchor((0.5, note_room / total))
    figure.get_layout_engine().set(rect=(0, room / total, 1, 1 - room / total))


def fitting_legend(figure: Figure, handles: Sequence[tuple[Artist, str]], width: float) -> Legend:
    """Add a legend with as few rows as fit into `width` inches, evenly filled."""
    entries, texts = zip(*handles, strict=True)
    place = {"loc": "lower center", "handlelength": 2.2, "columnspacing": 1.2, "borderaxespad": 0}
    columns = len(handles)
    while True:
        legend = figure.legend(entries, texts, ncols=columns, **place)
        legend.set_in_layout(False)
        rows = -(-len(handles) // columns)
        even = -(-len(handles) // rows)
        wide = legend.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi > width
        if columns == 1 or (not wide and columns == even):
            return legend
        legend.remove()
        columns = columns - 1 if wide else even


def number(value: float) -> str:
    """Return an integer with thin thousands, e.g. 196 608."""
    return f"{int(value):,}".replace(",", "\u202f")


def sized(task: str, dim: float) -> str:
    """Return the task's label and its size, if that is known."""
    return f"{spell(task)} ({number(dim)}-D)" if np.isfinite(dim) else spell(task)


def task_title(task: str, dim: float) -> str:
    """Return a panel's title: the task's label and its size."""
    return textwrap.fill(sized(task, dim), 26)


def grid_of_panels(
    count: int, xlabel: str, ylabel: str, width: float = 7.6, height: float = 1.8
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` equal panels in rows of at most four, labelled at the left and at the bottom."""
    import matplotlib.pyplot as plt

    columns = min(4, count)
    rows = -(-count // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(width, height * rows + 0.2), squeeze=False)
    panels = list(grid.flat)
    for spare in panels[count:]:
        spare.remove()
    for index, axes in enumerate(panels[:count]):
        if index % columns == 0:
            axes.set_ylabel(ylabel)
        if index + columns >= count:
            axes.set_xlabel(xlabel)
    return figure, panels[:count]


def typical_gap(tables: Tables) -> pd.Series:
    """Return the mean log gap, relative to its tasks' means, of each method that met most of them.

    Over all tasks of the suite, so that all of its figures draw the same methods strongly.
    """
    runs = tables.final_gaps()
    gaps = np.log10(runs.gap.clip(upper=1.0))
    met = runs.groupby("method").task.nunique()
    relative = (gaps - gaps.groupby(runs.task).transform("mean")).groupby(runs.method).mean()
    partly = relative[met >= MOST * met.max()] + NEVER * (met < met.max())  # after those that met all
    return partly.dropna()


def present(labels: Sequence[str], frame: pd.DataFrame, column: str | None = None) -> list[str]:
    """Return those labels that have rows in `frame`, finite ones in `column`."""
    found = set(frame.method if column is None else frame.method[np.isfinite(frame[column])])
    return [label for label in labels if label in found]
