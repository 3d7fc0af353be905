"""The paper's table beside ours: errors of picture and parameters, seconds per iteration and their ratios."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from workflow.figures import _panels as panels
from workflow.figures.style import look, spell
from workflow.figures.tables import Tables, choose

COLUMNS = {
    "image_mse": "image MSE",
    "parameter_mse": "parameter MSE\n(squared scene units)",
    "seconds": "seconds / iteration",
    "ratio": "seconds relative to ∂κP",
}
APPROACHES = {
    "soft_rasterizer": "soft rasterizer",
    "mitsuba_ad": "Mitsuba AD",
    "prdpt": "∂κP (PRDPT)",
    "prdpt_diff": "κ∂P",
}
COLORS = {"soft_rasterizer": "#7a4f2a", "mitsuba_ad": "#000000", "prdpt": "#cc1177", "prdpt_diff": "#9c3fd0"}  # paper's
FLOOR = 1e-9  # smaller errors are shown as this one


@dataclass(frozen=True)
class Options:
    """`tasks` to show and `methods` of ours; all that the table has by default."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: rows are approaches per task, columns quantities; hollow: the paper's, filled: ours."""
    bounds = [f"{name}_{end}" for name in ("image_mse", "parameter_mse") for end in ("low", "high")]
    reported = [f"{name}_paper" for name in COLUMNS]
    table = tables.read("reproduction.csv", ["task", "approach", "method", *COLUMNS, *bounds, *reported])
    tasks = choose("task", options.tasks, table.task)
    methods = choose("method", options.methods, table.method.dropna())
    table = table[table.task.isin(tasks) & (table.method.isna() | table.method.isin(methods))]
    lines = [
        (task, approach)
        for task in tasks
        for approach in APPROACHES
        if ((table.task == task) & (table.approach == approach)).any()
    ]
    figure, panels_ = plt.subplots(1, 4, figsize=(8.2, 0.185 * len(lines) + 0.9), sharey=True)
    for axes, (name, title) in zip(panels_, COLUMNS.items(), strict=True):
        for y, (task, approach) in enumerate(lines):
            draw_line(axes, y, table[(table.task == task) & (table.approach == approach)], name)
        axes.set_title(title)
        if not axes.lines and not axes.texts:
            panels.note(axes, "neither the paper nor this suite has a number")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(numticks=5))
        axes.xaxis.set_minor_formatter(NullFormatter())
        panels.log_axis(axes.xaxis)
        axes.grid(axis="y", visible=False)
        stripe(axes, lines)
    panels_[3].axvline(1, color="#444444", linewidth=0.8)
    panels_[0].set_yticks(range(len(lines)), [APPROACHES[approach] for _, approach in lines])
    panels_[0].set_ylim(len(lines) - 0.4, -0.6)
    for task in tasks:
        rows = [y for y, (owner, _) in enumerate(lines) if owner == task]
        name = spell(task).replace(" ", "\n", 1) if len(rows) > 1 else spell(task)  # one line has room for one
        panels_[0].text(-0.62, np.mean(rows), name, fontweight="bold", fontsize=7.5, ha="right", va="center",
                        transform=panels_[0].get_yaxis_transform())  # fmt: skip
    ours = [method for method in methods if method in set(table.method)]
    hollow = Line2D([], [], color="#444444", marker="o", markerfacecolor="white", linestyle="", markersize=5)
    filled = [Line2D([], [], linestyle="", markersize=5, **dot(method)) for method in ours]
    names = [f"ours: {look(method).name}" for method in ours]
    remark = "Ours: median over seeds with its 95 % interval; ×: broke down or could not run; no filled dot: not run."
    panels.footer(figure, [(hollow, "the paper"), *zip(filled, names, strict=True)], remark)
    return figure


def dot(method: str) -> dict[str, object]:
    """Return the keyword arguments of a method's filled dot."""
    style = look(method)
    return {"color": style.color, "marker": style.marker, "markeredgecolor": style.color}


def draw_line(axes: Axes, y: float, rows: pd.DataFrame, name: str) -> None:
    """Draw the paper's value and those of our methods of one approach on one task."""
    reported = rows[f"{name}_paper"].iloc[0]
    color = COLORS[rows.approach.iloc[0]]
    if np.isfinite(reported):
        axes.plot(reported, y, marker="o", markerfacecolor="white", markeredgecolor=color, markersize=5, linestyle="")
    rows = rows[rows.method.notna()]
    for number, row in enumerate(rows.itertuples(index=False)):
        place = y + 0.3 * (number - (len(rows) - 1) / 2) / max(1, len(rows) - 1)
        value = getattr(row, name)
        if not np.isfinite(value):
            axes.text(0.98, place, "×", color=look(row.method).color, transform=axes.get_yaxis_transform(),
                      ha="right", va="center")  # fmt: skip
            continue
        low, high = (getattr(row, f"{name}_{end}", value) for end in ("low", "high"))
        high = high if np.isfinite(high) else 1e3 * value
        axes.plot([max(low, FLOOR), max(high, FLOOR)], [place, place], color=look(row.method).color, linewidth=1)
        axes.plot(max(value, FLOOR), place, markersize=4.5, linestyle="", **dot(row.method))


def stripe(axes: Axes, lines: list[tuple[str, str]]) -> None:
    """Tell the tasks apart by a pale background under every other one."""
    owners = list(dict.fromkeys(task for task, _ in lines))
    for y, (task, _) in enumerate(lines):
        if owners.index(task) % 2:
            axes.axhspan(y - 0.5, y + 0.5, color="#f3f3f3", zorder=0, linewidth=0)
