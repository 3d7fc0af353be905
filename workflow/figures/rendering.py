"""What methods make of a rendered scene, and how the errors of picture and parameters fall over renders and seconds."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures import _scenes as scenes
from workflow.figures.gallery import draw_picture
from workflow.figures.style import look, spell, variants
from workflow.figures.tables import Tables, choose

METRICS = {"image_mse": "image MSE", "parameter_mse": "parameter MSE"}
CLOCKS = {"cost": "renders (cost)", "wall_s": "seconds"}
OTHERS = 2  # rivals shown by default
MAP = (0.16, -0.9, 0.68, 0.68)  # place of the map of differences below a picture
WORST = 0.98  # quantile of the start's differences that is the brightest colour


@dataclass(frozen=True)
class Options:
    """`tasks` (default: all scenes with pictures); `mitsuba`, labels of which each task shows the best (default: Adam
    on the path tracer's gradients); `ours`; `others` (default: the two best rivals)."""

    tasks: list[str] | None = None
    mitsuba: list[str] | None = None
    ours: str = scenes.OURS
    others: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a row per task, pictures of replicate 0, medians over seeds with intervals."""
    facts, pictures = scenes.scenes(tables), tables.pictures()
    with_target = [task for task in facts.index if f"{task}/target" in pictures]
    tasks = choose("scene with pictures", options.tasks, with_target, facts.index)
    if not tasks:
        raise UsageError(
            f"{tables.folder / 'pictures.npz'} holds no scene ({tables.why(facts.index)}): "
            "name `tasks` in the figure's options"
        )
    frames = {metric: scenes.errors(tables, metric, tasks) for metric in METRICS}
    medians = scenes.typical(frames["image_mse"])
    present, known = list(dict.fromkeys(frames["image_mse"].method)), tables.methods()
    gradients = choose("method", options.mitsuba, scenes.mitsuba(tables))
    choose("method", [options.ours], known)
    others = options.others
    if others is None:
        rivals = [label for label in present if label not in {options.ours, *gradients, *tables.oracles()}]
        rivals = [label for label in rivals if label not in variants(options.ours, [options.ours, *rivals])]
        others = scenes.ranked(medians, rivals)[:OTHERS]
    choose("method", others, known)
    columns = len(others) + 3 + bool(gradients)
    widths = [1.08] * columns + [1.6] * 4
    figure, grid = plt.subplots(
        len(tasks),
        len(widths),
        figsize=(sum(widths), 1.6 * len(tasks) + 0.25),
        squeeze=False,
        gridspec_kw={"width_ratios": widths},
    )
    shown: list[str] = []
    for number, (row, task) in enumerate(zip(grid, tasks, strict=True)):
        best = scenes.ranked(medians.reindex([task]), gradients)[:1]
        methods = [*(best or gradients[:1]), options.ours, *others]
        shown += [method for method in methods if method not in shown]
        draw_row(row[:columns], task, methods, best, pictures, frames, tables)
        for axes, (clock, metric) in zip(
            row[columns:], [(clock, metric) for clock in CLOCKS for metric in METRICS], strict=True
        ):
            here = frames[metric][(frames[metric].task == task) & frames[metric].method.isin(methods)]
            draw_errors(axes, here, methods, clock, tables.why([task], methods))
            axes.set_title(METRICS[metric] if number == 0 else "")
            axes.set_xlabel(CLOCKS[clock] if number == len(tasks) - 1 else "")
        row[0].text(-0.12, 0.5, panels.task_title(task, facts.dim[task]), transform=row[0].transAxes, rotation=90,
                    ha="right", va="center", fontsize=7.5)  # fmt: skip
    remark = (
        "Pictures, the numbers below them (image MSE, parameter MSE in squared scene units), and maps of differences "
        "from the reference (square roots; black: none, bright: as large as at the start): replicate 0."
    )
    drawn = panels.present(shown, pd.concat(frames.values()), "value")
    absent = panels.absences(tables, shown, drawn, tasks)
    panels.legend_below(figure, drawn, remark=panels.lines(remark, absent))
    return figure


def draw_row(
    row: np.ndarray,
    task: str,
    methods: list[str],
    best: list[str],
    pictures: dict[str, np.ndarray],
    frames: dict[str, pd.DataFrame],
    tables: Tables,
) -> None:
    """Draw start, results and reference of one task, with the errors of the pictured replicate and where they are."""
    runs = tables.read("runs.parquet", ["task", "method", "seed", "status"])
    first = runs.seed[runs.task == task].min()
    worst = np.quantile(difference(pictures, task, "start"), WORST) if f"{task}/start" in pictures else 1.0
    status = runs[(runs.task == task) & (runs.seed == first)].set_index("method").status
    ends = {metric: scenes.finals(frame) for metric, frame in frames.items()}
    items = [("start", "start"), *((method, look(method).name) for method in methods), ("target", "reference")]
    for axes, (key, name) in zip(row, items, strict=True):
        axes.set_axis_off()
        axes.set_anchor("N")
        picture, like = (pictures.get(f"{task}/{name}") for name in (key, "target"))
        draw_picture(axes, picture)
        if picture is None and like is not None:  # as large as the row's pictures
            axes.set_aspect("auto")
            axes.set_box_aspect(like.shape[0] / like.shape[1])
        own = key in methods
        head = f"Mitsuba: {name}" if key in best and not name.startswith("Mitsuba") else name
        axes.set_title(textwrap.fill(head, 17), fontsize=6.5, color=look(key).color if own else "#222222", pad=2)
        if not own:
            continue
        values = [ends[metric].get((task, key, first), np.nan) for metric in METRICS]
        text = " · ".join(error_text(value) for value in values)
        if not np.isfinite(values).any():
            text = spell(status[key], capital=False) if key in status.index else "not run"
        axes.text(0.5, -0.04, text, transform=axes.transAxes, ha="center", va="top", fontsize=6)
        if picture is not None:
            under = axes.inset_axes(MAP)
            under.imshow(difference(pictures, task, key), cmap="magma", norm=PowerNorm(0.5, 0, max(worst, 1 / 255)))
            under.set_axis_off()
            under.set_in_layout(False)


def difference(pictures: dict[str, np.ndarray], task: str, key: str) -> np.ndarray:
    """Return the absolute difference of a task's picture to its target, mean over the colours, (h, w) in 0 … 1."""
    shown, wanted = (pictures[f"{task}/{name}"].astype(float) / 255 for name in (key, "target"))
    apart = np.abs(shown - wanted)
    return apart.mean(2) if apart.ndim == 3 else apart


def error_text(value: float) -> str:
    """Return an error in few characters."""
    if value <= scenes.FLOOR:
        return f"≤{scenes.FLOOR:.0e}".replace("e-0", "e-")
    return f"{value:.2g}" if value >= 0.01 else f"{value:.1e}".replace("e-0", "e-")


def draw_errors(axes: Axes, frame: pd.DataFrame, methods: list[str], clock: str, why: str) -> None:
    """Draw one error of one task on two logarithmic axes, or say why there is none."""
    frame = frame[frame.cost > 0]
    finite = frame.value[np.isfinite(frame.value)]
    if finite.empty:
        panels.emptied(axes, why)
        return
    for method in methods:
        panels.draw_curve(axes, frame[frame.method == method], method, clock, "value")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(0.6 * finite.min(), 1.7 * finite.max())
    panels.log_axis(axes.xaxis)
    if np.log10(finite.max() / finite.min()) < 2:
        panels.log_axis(axes.yaxis)
    else:
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
