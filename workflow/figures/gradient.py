"""How noisy and how right the gradient estimates are while the optimization goes on."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import main_methods
from workflow.figures.tables import Tables, choose

ROWS = {
    "gradient_norm_variance": "variance of\nthe gradient's norm",
    "relative": "relative variance\n(variance / mean²)",
    "gradient_cosine": "cosine to the\ntrue gradient",
}


@dataclass(frozen=True)
class Options:
    """`tasks` to show (default: one size of three problems), `methods` (default: the estimators)."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: one column per task, three measures of the gradient estimate over the cost."""
    facts = tables.tasks()
    frame = diagnostics(tables)
    known = main_methods(tables.of_kind("gradient estimator", frame.method)) or sorted(frame.method.unique())
    methods = choose("method with a gradient", options.methods or known, frame.method, tables.methods())
    frame = frame[frame.method.isin(methods) & frame.task.isin(facts.index)]
    if frame.empty:
        raise UsageError(f"no estimate of a gradient was logged: {tables.why(options.tasks, methods)}")
    with_rows = [task for task in facts.index if task in set(frame.task)]
    tasks = choose("task", options.tasks or telling(frame, facts), with_rows, facts.index)
    size = (1.2 + 2.1 * len(tasks), 4.6) if len(tasks) > 1 else (4.2, 4.6)
    figure, grid = plt.subplots(3, len(tasks), figsize=size, sharex="col", squeeze=False)
    for column, task in enumerate(tasks):
        for axes, (metric, label) in zip(grid[:, column], ROWS.items(), strict=True):
            here = frame[(frame.task == task) & (frame.metric == metric)]
            if np.isfinite(here.value).any():
                for method in methods:
                    panels.draw_curve(axes, here[here.method == method], method, "cost", "value")
                axes.set_xscale("log")
                panels.log_axis(axes.xaxis)
                if metric == "gradient_cosine":
                    finite = here.value[np.isfinite(here.value)]
                    low, high = min(0.0, finite.min()), max(0.0, finite.max())
                    axes.set_ylim(max(-1.02, low - 0.05 * (high - low)), min(1.02, high * 1.08 + 0.002))
                    axes.axhline(0, color="#666666", linewidth=0.6)
                elif (here.value > 0).any():
                    axes.set_yscale("log")
                    panels.frame_lines(axes)
                    panels.log_axis(axes.yaxis)
            else:
                missing = "no true gradient to compare with" if metric == "gradient_cosine" else "not logged"
                ran = (frame.task == task).any()
                panels.emptied(axes, missing if ran else tables.why([task], methods))
            if column == 0:
                axes.set_ylabel(label)
        grid[0, column].set_title(panels.task_title(task, facts.dim[task]))
        grid[2, column].set_xlabel("cost (evaluations)")
    drawn = panels.present(methods, frame[frame.task.isin(tasks)], "value")
    asked = options.methods or main_methods(tables.of_kind("gradient estimator", tables.methods()))
    panels.legend_below(figure, drawn, remark=panels.absences(tables, asked, frame.method))
    return figure


def telling(frame: pd.DataFrame, facts: pd.DataFrame, count: int = 3) -> list[str]:
    """Return the tasks that most methods have diagnostics on, the larger in a tie, at most one of each problem."""
    frame = frame[frame.method.isin(main_methods(frame.method))]
    seen = frame.groupby("task")[["method", "metric"]].apply(lambda rows: len(rows.drop_duplicates()))
    ordered = sorted(seen.index, key=lambda task: (seen[task], facts.dim[task]), reverse=True)
    first = {facts.problem[task]: task for task in reversed(ordered)}
    chosen = [task for task in ordered if first[facts.problem[task]] == task][:count]
    return sorted(chosen, key=lambda task: facts.dim[task])


def diagnostics(tables: Tables) -> pd.DataFrame:
    """Return the gradient metrics, with `relative` = variance / mean² added; long."""
    keys = ["task", "method", "seed", "cost", "wall_s"]
    variance, mean = (tables.curves(metric) for metric in ("gradient_norm_variance", "gradient_norm"))
    cosine = tables.curves("gradient_cosine")
    both = variance.merge(mean, on=keys, suffixes=("", "_mean"))
    relative = both.assign(value=both.value / both.value_mean.clip(lower=1e-300) ** 2).drop(columns="value_mean")
    parts = {"gradient_norm_variance": variance, "relative": relative, "gradient_cosine": cosine}
    frame = pd.concat([part.assign(metric=metric) for metric, part in parts.items()], ignore_index=True)
    if frame.empty:
        raise UsageError(
            f"{tables.folder / 'curves.parquet'} has no rows of gradient_norm, gradient_norm_variance or "
            "gradient_cosine: run at least one method that estimates a gradient (e.g. spsa, prdpt, zerograds; "
            f"those of the suite: {tables.why()})"
        )
    return frame
