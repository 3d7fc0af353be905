"""Quality against wall-clock seconds, one panel per task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from workflow.figures import _panels as panels
from workflow.figures.style import main_methods
from workflow.figures.tables import Tables, choose


@dataclass(frozen=True)
class Options:
    """`tasks` and `methods` to show; all but ablations by default."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: median gap against the seconds of ask + evaluate + tell, interval over seeds."""
    facts = tables.tasks()
    frame = tables.gap_curves()
    tasks = choose("task", options.tasks, facts.index)
    methods = choose("method", options.methods, main_methods(tables.methods()), tables.methods())
    frame = frame[frame.task.isin(tasks) & frame.method.isin(methods)]
    oracles = tables.oracles()
    foreign = set(frame.method) - set(frame.method[frame.wall_s.notna()])  # stored, from another machine
    methods = [method for method in methods if method not in foreign]
    frame = frame[frame.method.isin(methods)]
    strong = panels.emphasised(methods, panels.typical_gap(tables))
    figure, grid = panels.grid_of_panels(len(tasks), "seconds", panels.GAP_LABEL)
    for axes, task in zip(grid, tasks, strict=True):
        here = frame[frame.task == task]
        axes.set_title(panels.task_title(task, facts.dim[task]))
        if not np.isfinite(here.gap).any():
            panels.emptied(axes, tables.why([task], methods))
            continue
        for method in methods:
            panels.draw_curve(axes, here[here.method == method], method, "wall_s", "gap", method in strong)
        axes.set_xscale("log")
        panels.log_axis(axes.xaxis)
        panels.gap_axis(axes, *panels.gap_range(here, oracles))
        panels.bounds(axes, here, oracles)
    drawn = panels.present(methods, frame, "gap")
    panels.legend_below(figure, drawn, strong, remark=panels.absences(tables, methods, drawn, tasks))
    return figure
