"""Tuned against untuned: what everybody's tuning effort buys each method, and who does well without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import look, spell
from workflow.figures.tables import GAP_FLOOR, Tables, choose

TRACKS = {"tuned": "full", "untuned": "none"}  # track → how its marker is filled
COLUMNS = [f"{name}_{track}" for track in TRACKS for name in ("gap", "low", "high", "status")]


@dataclass(frozen=True)
class Options:
    """`tasks` and `methods` to show; all of robustness.csv by default."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a panel per task, a line per method from its gap untuned to tuned, best tuned first."""
    facts = tables.tasks()
    found = tables.read("robustness.csv", ["task", "method", *COLUMNS])
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(found.task)], facts.index)
    methods = choose("method", options.methods, found.method, set(found.method))
    found = found[found.task.isin(tasks) & found.method.isin(methods)]
    if found.empty:
        raise UsageError(f"{tables.folder / 'robustness.csv'} has none of these methods on these tasks")
    figure, grid = panels.grid_of_panels(len(tasks), "gap", "", width=9.6, height=0.9 + 0.14 * len(methods))
    for axes, task in zip(grid, tasks, strict=True):
        draw_task(axes, found[found.task == task])
        axes.set_title(panels.task_title(task, facts.dim[task]))
    handles = [
        Line2D([], [], color="#444444", marker="o", fillstyle=fill, linestyle="", label=track)
        for track, fill in TRACKS.items()
    ]
    panels.footer(figure, [(item, item.get_label()) for item in handles], panels.uncalibrated(tables, facts.index))
    return figure


def draw_task(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw one task: methods from the best tuned at the top to the worst."""
    rows = rows.sort_values("gap_tuned", kind="stable", na_position="last").reset_index(drop=True)
    gaps = rows[["gap_tuned", "gap_untuned"]].clip(GAP_FLOOR, 10.0)
    for place, row in rows.iterrows():
        color = look(row.method).color
        ends = gaps.loc[place].to_numpy(float)
        if np.isfinite(ends).all():
            axes.plot(ends, [place, place], color=color, linewidth=1.0, alpha=0.5)
        for track, fill in TRACKS.items():
            value = np.clip(row[f"gap_{track}"], GAP_FLOOR, 10.0)
            if np.isfinite(value):
                band = np.clip([row[f"low_{track}"], row[f"high_{track}"]], GAP_FLOOR, 10.0)
                axes.plot(band, [place, place], color=color, linewidth=2.2, alpha=0.35, solid_capstyle="butt")
                axes.plot(value, place, marker="o", fillstyle=fill, color=color, markersize=4, linestyle="")
        missing = {
            track: spell(row[f"status_{track}"], capital=False)
            for track in TRACKS
            if not np.isfinite(row[f"gap_{track}"])
        }
        if missing:
            words = missing.values() if len(set(missing.values())) < len(missing) else map(": ".join, missing.items())
            axes.annotate(
                "\n".join(dict.fromkeys(words)),
                (0.98, place),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="center",
                fontsize=5,
                color=color,
            )
    axes.axvline(1, color="#444444", linewidth=0.6)
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.4), max(high, 1.5))
    panels.log_axis(axes.xaxis)
    axes.set_yticks(range(len(rows)), [look(method).name for method in rows.method], fontsize=6)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
