"""Distance to the true posterior over evaluations of a black box, for guided diffusion samplers, with the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.diffusion import FLOOR, marks
from workflow.figures.style import in_order, spell
from workflow.figures.tables import Tables, choose

METRICS = {"sliced_w2": "sliced W₂", "misfit": "misfit / the truth's", "spread": "spread / the truth's"}
ROOM = 1.25  # around the lines
CUT = 4.0  # times the control's median: what lies above leaves a panel


@dataclass(frozen=True)
class Options:
    """`tasks` (default: all there are)."""

    tasks: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a column per measurement; distance, misfit and spread below each other."""
    import matplotlib.pyplot as plt

    columns = ["task", "guide", "budget", "seed", "metric", "value", "floor"]
    table = tables.read("posterior.csv", columns)
    tasks = choose("task", options.tasks, table.task)
    known = tables.labels("guide")
    controls = set(known.label[known.kind == "control"])
    if table.empty or not tasks:
        raise UsageError(f"{tables.folder / 'posterior.csv'} has no rows of these tasks")
    figure, grid = plt.subplots(
        len(METRICS),
        len(tasks),
        figsize=(1.0 + 2.3 * len(tasks), 0.5 + 1.75 * len(METRICS)),
        squeeze=False,
        sharex="col",
    )
    for line, metric in zip(grid, METRICS, strict=True):
        for axes, task in zip(line, tasks, strict=True):
            draw_panel(axes, table[(table.task == task) & (table.metric == metric)], controls)
        line[0].set_ylabel(METRICS[metric])
    for axes, task in zip(grid[0], tasks, strict=True):
        axes.set_title(spell(task))
    for axes in grid[-1]:
        axes.set_xlabel("evaluations per chain")
    floor = Line2D([], [], **FLOOR, label="floor: as many true draws")
    remark = (
        f"Medians over {table.seed.nunique()} measured values with 95 % bootstrap intervals. The oracle reads a "
        "derivative that the black box does not have."
    )
    panels.legend_below(figure, in_order(table.guide), extra=[floor], remark=remark)
    return figure


def draw_panel(axes: Axes, table: pd.DataFrame, controls: set[str]) -> None:
    """Draw the guides' lines, the control's as a level, and the floor."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    if table.empty:
        panels.note(axes, "no rows of this measurement")
        return
    budgets = sorted(table.budget.unique())
    axes.set_xlim(budgets[0] / 1.3, budgets[-1] * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    floor = float(table.floor.median())
    axes.axhline(floor, zorder=2, **FLOOR)
    shown, top = [floor], np.inf
    for label in in_order(table.guide):
        rows = table[table.guide == label]
        if rows.value.notna().sum() == 0:
            continue
        values = rows.assign(value=rows.value.fillna(np.inf)).pivot(index="seed", columns="budget", values="value")
        middle, low, high = panels.median_interval(values.to_numpy())
        style = panels.stroke(label)
        if label in controls:
            axes.axhline(middle[0], **{key: style[key] for key in ("color", "linestyle", "linewidth")}, zorder=1)
            top = CUT * max(middle[0], floor)
        else:
            axes.plot(values.columns, middle, **style, **marks(label))
            axes.fill_between(values.columns, low, high, color=style["color"], alpha=0.06, linewidth=0, zorder=1)
        shown += [value for value in middle if np.isfinite(value)]
    axes.set_ylim(min(shown) / ROOM, min(max(shown), top) * ROOM)
    panels.log_axis(axes.yaxis)
