"""Three ways to start: over the target, apart from it, hidden. Pictures, loss and smoothed loss, methods' paths."""

from __future__ import annotations

import json
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methods._ranges import AnyCount, Positive
from workflow.figures import _panels as panels
from workflow.figures import _scenes as scenes
from workflow.figures.gallery import draw_picture
from workflow.figures.plateau import TITLES
from workflow.figures.tables import Tables, choose

CASES = list(TITLES)
LIFT = 0.05  # of the start's loss: dots of the second, third … method lie that much above the curve


@dataclass(frozen=True)
class Options:
    """`tasks` of one unknown (default: the sphere's cases), `methods` whose paths are shown (default: the path
    tracer's best gradient and PRDPT), their replicate `seed`, `sigmas` of the smoothed losses (default: all)."""

    tasks: list[str] | None = None
    methods: list[str] | None = None
    seed: AnyCount = 0
    sigmas: list[Positive] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a column per task, above start and target, below the loss with the methods' paths."""
    grids = scenes.landscapes(tables, (1,))
    cases = sphere_cases(tables)
    default = sorted((task for task in grids if task in cases), key=lambda task: CASES.index(cases[task]))
    facts = scenes.scenes(tables)
    known = facts.index[facts.dim.isna() | (facts.dim == 1)]
    tasks = choose("task of one unknown", options.tasks or default or None, grids, known)
    walks, methods = scenes.paths(tables, tasks, options.methods)
    pictures = tables.pictures()
    figure = plt.figure(figsize=(2.6 * len(tasks) + 0.5, 4.3))
    grid = figure.add_gridspec(2, 2 * len(tasks), height_ratios=[1, 1.9])
    first = None
    for column, task in enumerate(tasks):
        for side, end in enumerate(("start", "target")):
            axes = figure.add_subplot(grid[0, 2 * column + side])
            axes.set_axis_off()
            draw_picture(axes, pictures.get(f"{task}/{end}"))
            axes.set_title(end, fontsize=7.5, pad=2)
        shared = {"sharey": first} if task in grids else {}
        axes = figure.add_subplot(grid[1, 2 * column : 2 * column + 2], **shared)
        title = TITLES[cases[task]] if task in cases else panels.task_title(task, 1)
        axes.set_title(f"{'abcdefgh'[column % 8]}) {title}")
        if task not in grids:
            scenes.draw_missing(axes, tables, task)
            continue
        loss = scenes.draw_losses(axes, grids[task], scenes.bandwidths(grids[task], options.sigmas))
        here = walks[(walks.task == task) & (walks.seed == options.seed)]
        if here.empty:
            panels.note(axes, f"no path of replicate {options.seed}: {tables.why([task], methods or None)}")
        for rank, method in enumerate(methods):
            draw_walk(axes, here[here.method == method], method, loss, rank)
        axes.set_ylim(bottom=-0.06)
        axes.set_xlabel("unknown z (natural steps)")
        if first is None:
            first = axes
            axes.set_ylabel("loss / loss at the start")
        else:
            axes.tick_params(labelleft=False)
    handles, texts = first.get_legend_handles_labels() if first else ((), ())
    walked = panels.present(methods, walks)
    entries = list(zip(handles, texts, strict=True)) + [
        (handle, handle.get_label()) for handle in map(panels.handle, walked)
    ]
    absent = scenes.remark(tables, tasks, options.methods, walked)
    remark = f"Dots: the incumbent at the checkpoints of replicate {options.seed}, the last one large, on the loss"
    if len(methods) > 1:
        remark += " (each further method a little above it, to be seen)"
    panels.footer(figure, entries, panels.lines(f"{remark}." if walked else "", absent))
    return figure


def sphere_cases(tables: Tables) -> dict[str, str]:
    """Return task → case, of the sphere's tasks."""
    facts = tables.read("tasks.csv", ["task", "problem", "params"])
    facts = facts[facts.problem == "rendering.sphere"]
    return {row.task: json.loads(row.params)["case"] for row in facts.itertuples()}


def draw_walk(axes: Axes, walk: pd.DataFrame, method: str, loss: pd.DataFrame, rank: int) -> None:
    """Draw one run's unknown at its checkpoints as dots along the loss."""
    if walk.empty:
        return
    x = walk.sort_values("cost").z_0.clip(loss.z_0.min(), loss.z_0.max()).to_numpy()
    covered = loss.z_0[loss.z_0.between(x.min(), x.max())].to_numpy()
    style = scenes.dot(method)
    size = {"linestyle": "", "zorder": 7 + rank}

    def height(z: np.ndarray) -> np.ndarray:
        return np.interp(z, loss.z_0, loss.value) + LIFT * rank

    axes.plot(covered, height(covered), color=style["color"], linewidth=0.6, zorder=6)
    axes.plot(x, height(x), markersize=3.6, **size, **style)
    axes.plot(x[-1:], height(x[-1:]), markersize=7, **size, **style)
