"""What the methods make of a picture at equal evaluations, beside their convergence."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecFromSubplotSpec

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import look, main_methods, spell
from workflow.figures.tables import GAP_FLOOR, Tables, choose

PICTURED = 8  # pictures of methods in a row, start and target apart
COLUMNS = 5


@dataclass(frozen=True)
class Options:
    """`tasks` (default: all with pictures), `methods` in the pictures' order (default: the papers' and the best)."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: per task the pictures of replicate 0 with their gap, and the curves over all seeds."""
    facts = tables.tasks()
    pictures = tables.pictures()
    frame, runs = tables.gap_curves(), tables.final_gaps()
    with_target = [task for task in facts.index if f"{task}/target" in pictures]
    tasks = choose("task with pictures", options.tasks, with_target, facts.index)
    if not tasks:
        raise UsageError(
            f"{tables.folder / 'pictures.npz'} holds no target picture: name gallery tasks that have one"
            + (f" (calibration failed: {tables.why(tables.spoilt())})" if tables.spoilt() else "")
        )
    asked = main_methods(runs.method[runs.task.isin(tasks)])
    methods = choose("method", options.methods, asked, tables.methods())
    oracles = tables.oracles()
    shown = options.methods or pick(runs[runs.task.isin(tasks)], methods, oracles)
    strong = panels.emphasised(methods, panels.typical_gap(tables))
    rows = -(-(len(shown) + 2) // COLUMNS)
    columns = -(-(len(shown) + 2) // rows)
    figure = plt.figure(figsize=(1.16 * columns + 3.6, max(1.34 * rows + 0.12, 1.9) * len(tasks)))
    blocks = figure.add_gridspec(len(tasks), 2, width_ratios=[columns * 1.12, 3.2], hspace=0.02, wspace=0.02)
    for index, task in enumerate(tasks):
        first = runs.seed[runs.task == task].min()
        here = runs[(runs.task == task) & (runs.seed == first)].set_index("method")
        draw_pictures(
            blocks[index, 0].subgridspec(rows, columns, hspace=0, wspace=0), pictures, task, shown, here, oracles
        )
        axes = figure.add_subplot(blocks[index, 1])
        curves = frame[(frame.task == task) & frame.method.isin(methods)]
        axes.set_title(panels.task_title(task, facts.dim[task]))
        if not np.isfinite(curves.gap).any():
            panels.emptied(axes, tables.why([task], methods))
            continue
        for method in methods:
            panels.draw_curve(axes, curves[curves.method == method], method, "cost", "gap", method in strong)
        axes.set_xscale("log")
        panels.log_axis(axes.xaxis)
        panels.gap_axis(axes, *panels.gap_range(curves, oracles))
        panels.bounds(axes, curves, oracles)
        axes.set_xlabel("cost (evaluations)")
        axes.set_ylabel(panels.GAP_LABEL)
    drawn = panels.present(methods, frame[frame.task.isin(tasks)], "gap")
    panels.legend_below(figure, drawn, strong, remark=panels.absences(tables, methods, drawn, tasks))
    return figure


def pick(runs: pd.DataFrame, methods: list[str], oracles: set[str]) -> list[str]:
    """Return the methods to picture, worst first: the papers', the control, and those with the smallest typical gap.

    Methods that were run on some of the tasks only are left out; oracles come last, as bounds.
    """
    everywhere = runs.groupby("method").task.nunique() == runs.task.nunique()
    methods = [label for label in methods if everywhere[label]]
    score = np.log10(runs.gap.clip(upper=1.0)).groupby(runs.method).mean()
    wanted = [label for label in ("zerograds", "prdpt", "random_search") if label in methods]
    for label in score.sort_values(kind="stable").index:
        if len(wanted) < PICTURED and label not in wanted and label in methods:
            wanted.append(label)
    return sorted(wanted, key=lambda label: (label in oracles, -score[label]))


def draw_pictures(
    part: GridSpecFromSubplotSpec,
    pictures: dict[str, np.ndarray],
    task: str,
    methods: list[str],
    runs: pd.DataFrame,
    oracles: set[str],
) -> None:
    """Draw start, methods in the given order, target; the smallest gap of a rival in bold."""
    gaps = runs.gap.reindex([method for method in methods if method not in oracles])
    items = [("start", "start", "gap 1")]
    items += [(method, look(method).name, gap_text(runs, method)) for method in methods]
    items += [("target", "target", "gap 0")]
    figure = part.figure
    for index, (key, name, text) in enumerate(items):
        axes = figure.add_subplot(part[divmod(index, part.ncols)])
        axes.set_axis_off()
        best = key in gaps.index and np.isfinite(gaps[key]) and gaps[key] == gaps.min()
        picture = pictures.get(f"{task}/{key}")
        draw_picture(axes, picture)
        if picture is None and key in ("start", "target"):
            text = "no picture"
        color = "#222222" if key in ("start", "target") else look(key).color
        axes.set_title(textwrap.fill(name, 20), fontsize=6.8, color=color, pad=2)
        axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.8,
                  fontweight="bold" if best else "normal")  # fmt: skip


def gap_text(runs: pd.DataFrame, method: str) -> str:
    """Return the error under a picture: the gap, or why there is none."""
    if method not in runs.index:
        return "not run"
    row = runs.loc[method]
    if not np.isfinite(row.gap):
        return spell(row.status, capital=False)
    return f"gap ≤ {GAP_FLOOR:g}" if row.gap <= GAP_FLOOR else f"gap {row.gap:.3g}"


def draw_picture(axes: Axes, picture: np.ndarray | None) -> None:
    """Show a picture pixel by pixel, or a hatched square where there is none."""
    if picture is None:
        frame = plt.Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor="#bbbbbb", hatch="///")
        axes.add_patch(frame)
        axes.set_aspect("equal")
        return
    axes.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=255, interpolation="nearest")
