"""The loss over one or two unknowns, as it is and smoothed, with the paths of methods, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from methods._ranges import Positive
from workflow.figures import _panels as panels
from workflow.figures import _scenes as scenes
from workflow.figures.style import look
from workflow.figures.tables import Tables, choose

PALE = ["#ffffff", "#dfe5ec", "#a9b6c6", "#71839a"]  # paths lie on it
SHADES = LinearSegmentedColormap.from_list("loss", PALE)
LEVELS = 16


@dataclass(frozen=True)
class Options:
    """`tasks` of one or two unknowns (default: all), `methods` whose paths are shown (default: the path tracer's best
    gradient and PRDPT), `sigma` of the smoothed contours, `sigmas` of the smoothed curves (default: all)."""

    tasks: list[str] | None = None
    methods: list[str] | None = None
    sigma: Positive = 1.0
    sigmas: list[Positive] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure, a row per task. One unknown: losses, and z over the cost. Two: loss and smoothed loss."""
    facts = tables.tasks()
    grids = scenes.landscapes(tables, (1, 2))
    present = [task for task in dict.fromkeys([*facts.index, *grids]) if task in grids]
    known = facts.index[facts.dim.isna() | (facts.dim <= 2)]
    tasks = choose("task of one or two unknowns", options.tasks, present, known)
    walks, methods = scenes.paths(tables, tasks, options.methods)
    dims = {task: 2 if task in grids and grids[task].z_1.notna().any() else 1 for task in tasks}
    heights = [2.3 if dims[task] == 1 else 3.3 for task in tasks]
    figure, rows = plt.subplots(
        len(tasks), 2, figsize=(7.4, sum(heights)), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    entries: dict[str, Line2D] = {}
    for (left, right), task in zip(rows, tasks, strict=True):
        if task not in grids:
            left.set_title(panels.task_title(task, np.nan))
            for axes in (left, right):
                scenes.draw_missing(axes, tables, task)
            continue
        grid, here = grids[task], walks[walks.task == task]
        title = panels.task_title(task, dims[task])
        why = f"no path: {tables.why([task], methods or None)}" if here.empty else ""
        if dims[task] == 1:
            loss = scenes.draw_losses(left, grid, scenes.bandwidths(grid, options.sigmas))
            draw_ends(left, here, methods, loss)
            left.set_title(title)
            left.set_xlabel("unknown z (natural steps)")
            left.set_ylabel("loss / loss at the start")
            right.set_title("on the loss: paths, seed by seed")
            if why:
                panels.emptied(right, why)
            else:
                draw_over_cost(right, here, methods, loss, grid)
        else:
            (sigma,) = scenes.bandwidths(grid, [options.sigma])
            for axes, part, words in (
                (left, grid[grid.kind == "loss"], "loss"),
                (right, grid[(grid.kind == "smoothed") & (grid.sigma == sigma)], f"loss smoothed with σ = {sigma:g}"),
            ):
                draw_contours(axes, part, grid, here)
                draw_paths(axes, here, methods)
                if why:
                    panels.note(axes, why)
                axes.set_title(f"{title}: {words}" if axes is left else words)
                axes.set_xlabel("unknown $z_0$ (natural steps)")
                axes.set_ylabel("unknown $z_1$ (natural steps)" if axes is left else "")
        for axes in (left, right):
            for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
                entries.setdefault(text, handle)
    legend = [(handle, text) for text, handle in entries.items()]
    walked = panels.present(methods, walks)
    legend += [(handle, handle.get_label()) for handle in map(panels.handle, walked)]
    remark = "Grey: the loss, the lower the paler. Large markers: where a run ended."
    absent = scenes.remark(tables, tasks, options.methods, walked)
    panels.footer(figure, legend, panels.lines(remark, absent))
    return figure


def each_run(walks: pd.DataFrame, methods: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return (method, checkpoints in order) of every run."""
    found = []
    for method in methods:
        for _, run in walks[walks.method == method].groupby("seed"):
            found.append((method, run.sort_values("cost")))
    return found


def draw_ends(axes: Axes, walks: pd.DataFrame, methods: list[str], loss: pd.DataFrame) -> None:
    """Mark on the loss where the runs ended."""
    for method, run in each_run(walks, methods):
        x = np.clip(run.z_0.iloc[-1], loss.z_0.min(), loss.z_0.max())
        axes.plot(x, np.interp(x, loss.z_0, loss.value), markersize=5, zorder=7, linestyle="", **scenes.dot(method))


def draw_over_cost(axes: Axes, walks: pd.DataFrame, methods: list[str], loss: pd.DataFrame, grid: pd.DataFrame) -> None:
    """Draw z over the cost on a background of the loss."""
    first, last = 0.8 * walks.cost[walks.cost > 0].min(), walks.cost.max()
    edges = np.array([first, last])
    levels = np.linspace(loss.value.min(), loss.value.max(), LEVELS + 1)
    axes.contourf(edges, loss.z_0, np.repeat(loss.value.to_numpy()[:, None], 2, 1), levels, cmap=SHADES)
    for method, run in each_run(walks, methods):
        style = look(method)
        x, y = run.cost.clip(lower=first), run.z_0.clip(loss.z_0.min(), loss.z_0.max())
        axes.plot(x, y, color=style.color, linestyle=style.linestyle, linewidth=1.0, zorder=4)
        axes.plot(x.iloc[-1], y.iloc[-1], markersize=5, zorder=5, linestyle="", clip_on=False, **scenes.dot(method))
    for kind, mark in (("start", scenes.START), ("target", scenes.TARGET)):
        place = grid.z_0[grid.kind == kind].iloc[0]
        axes.axhline(place, color=mark["color"], linewidth=0.9, linestyle=":", zorder=3)
    axes.set_xscale("log")
    axes.set_xlim(first, last)
    panels.log_axis(axes.xaxis)
    axes.set_ylim(loss.z_0.min(), loss.z_0.max())
    axes.set_xlabel("cost (evaluations)")
    axes.set_ylabel("unknown z (natural steps)")
    axes.grid(False)


def draw_contours(axes: Axes, part: pd.DataFrame, grid: pd.DataFrame, walks: pd.DataFrame) -> None:
    """Draw a loss over two unknowns as filled contours, with start and target, framed so that all paths are seen."""
    table = part.pivot_table(index="z_1", columns="z_0", values="value")
    values = table.to_numpy()
    levels = np.linspace(values.min(), max(values.max(), values.min() + 1e-12), LEVELS + 1)
    axes.contourf(table.columns, table.index, values, levels, cmap=SHADES)
    axes.contour(table.columns, table.index, values, levels, colors="#5b6b80", linewidths=0.3)
    for kind, style, size in (("start", scenes.START, 6), ("target", scenes.TARGET, 10)):
        place = grid[grid.kind == kind].iloc[0]
        axes.plot(place.z_0, place.z_1, markersize=size, zorder=6, markeredgecolor="white", **style)
    inside = walks[["z_0", "z_1"]].dropna()
    for limits, places, reach in ((axes.set_xlim, table.columns, inside.z_0), (axes.set_ylim, table.index, inside.z_1)):
        low, high = np.min([places.min(), *reach]), np.max([places.max(), *reach])
        limits(low - 0.03 * (high - low), high + 0.03 * (high - low))
    axes.set_facecolor("#f3f3f3")  # paths may leave what was rendered, and are not cut
    axes.set_aspect("equal")
    axes.grid(False)


def draw_paths(axes: Axes, walks: pd.DataFrame, methods: list[str]) -> None:
    """Draw the runs' paths over two unknowns."""
    for method, run in each_run(walks, methods):
        style = look(method)
        axes.plot(run.z_0, run.z_1, color=style.color, linestyle=style.linestyle, linewidth=0.9, zorder=4)
        axes.plot(run.z_0.iloc[-1], run.z_1.iloc[-1], markersize=5.5, zorder=5, linestyle="", **scenes.dot(method))
