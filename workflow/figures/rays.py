"""Where the rays of a gradient matter, what allotting them is worth, and how little of the variance they are."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import spell
from workflow.figures.tables import Tables, choose

MAPS = {  # map → title, colours
    "picture": ("smoothed picture", "gray"),
    "primal": ("noise of the picture", "magma"),
    "gradient": ("noise of the gradient", "magma"),
}
COLORS = {"primal": "#d55e00", "gradient": "#cc1177"}
SHARE = "#0072b2"
BRIGHT = 0.995  # quantile of a map that is shown as its brightest


@dataclass(frozen=True)
class Options:
    """`tasks` (default: all there are), each a row."""

    tasks: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a row per scene; three maps, gain over samples per pixel, errors of descents."""
    columns = ["task", "state", "seed", "samples", "allocation", "metric", "value"]
    values = tables.read("rays.csv", columns, empty=True)
    maps = tables.read("rays_maps.parquet", ["task", "map", "width", "pixel", "value"], empty=True)
    descents = tables.read("rays_descents.csv", ["task", "arm", "seed", "error"], empty=True)
    tasks = choose("task", options.tasks, values.task)
    if not tasks:
        return without_rays(tables)
    figure = plt.figure(figsize=(11.4, 1.0 + 1.9 * len(tasks)))
    grid = figure.add_gridspec(len(tasks), 5, width_ratios=[1, 1, 1, 1.35, 1.9])
    for line, task in enumerate(tasks):
        shown = maps[maps.task == task]
        for column, name in enumerate(MAPS):
            axes = figure.add_subplot(grid[line, column])
            draw_map(axes, shown[shown["map"] == name], name, spell(task) if not column else "")
            if not line:
                axes.set_title(MAPS[name][0])
        gains = figure.add_subplot(grid[line, 3])
        draw_gain(gains, values[values.task == task])
        errors = figure.add_subplot(grid[line, 4])
        draw_descents(errors, descents[descents.task == task])
        if not line:
            gains.set_title("less variance at equal rays")
            errors.set_title("descents at equal rays, and at equal cost")
        if line == len(tasks) - 1:
            gains.set_xlabel("samples per pixel")
    styles = {
        "rays by the picture's noise": (COLORS["primal"], "-"),
        "rays by the gradient's noise": (COLORS["gradient"], "-"),
        "by the gradient's noise, variance of the rays alone": (COLORS["gradient"], ":"),
        "no noise from rays at all": (SHARE, "--"),
    }
    lines = [plt.Line2D([], [], color=color, linestyle=dash, label=what) for what, (color, dash) in styles.items()]
    panels.footer(figure, handles=[(line, line.get_label()) for line in lines])
    return figure


def without_rays(tables: Tables) -> Figure:
    """Return a figure that says why nothing was measured; raises UsageError where no reason is known."""
    reasons = tables.read("rays_endings.csv", ["task", "piece", "status", "reason"]).reason.dropna()
    if reasons.empty:
        raise UsageError(f"{tables.folder / 'rays.csv'} has no rows")
    figure, axes = plt.subplots(figsize=(6.4, 2.0))
    axes.set_axis_off()
    panels.note(axes, fill(f"nothing measured: {reasons.iloc[0]}", 80))
    return figure


def draw_map(axes: Axes, table: pd.DataFrame, name: str, title: str) -> None:
    """Show one map as a picture."""
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_ylabel(title)
    if table.empty:
        panels.note(axes, "no map")
        return
    pixels = table.sort_values("pixel").value.fillna(0).to_numpy().reshape(-1, int(table.width.iloc[0]))
    top = np.quantile(pixels, BRIGHT) or 1.0
    shown = np.clip(pixels / top, 0, 1) ** (1 / 2.2 if name == "picture" else 1)
    axes.imshow(shown, cmap=MAPS[name][1], vmin=0, vmax=1, interpolation="nearest")


def draw_gain(axes: Axes, table: pd.DataFrame) -> None:
    """Draw how much less variance allocations have over samples per pixel, and the most that any could have."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    share = table[table.metric == "share"].groupby("samples")["value"].median()
    if share.empty:
        panels.note(axes, "nothing measured")
        return
    axes.plot(share.index, 1 / (1 - share), color=SHARE, linestyle="--", linewidth=1.2)
    for name, color in COLORS.items():
        rows = table[(table.metric == "total_gain") & (table.allocation == name)]
        found = rows.pivot_table(index=["state", "seed"], columns="samples", values="value")
        middle, low, high = panels.median_interval(found.to_numpy())
        axes.plot(found.columns, middle, color=color, linewidth=1.4)
        axes.fill_between(found.columns, low, high, color=color, alpha=0.15, linewidth=0)
    limit = table[(table.metric == "ray_gain") & (table.allocation == "gradient")].value.median()
    axes.axhline(limit, color=COLORS["gradient"], linestyle=":", linewidth=1.2)
    axes.xaxis.set_major_locator(FixedLocator(list(share.index)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    panels.log_axis(axes.yaxis)


def draw_descents(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the final errors of every arm: a point per replicate, a bar at the median."""
    if table.error.notna().sum() == 0:
        panels.note(axes, "no descents on this scene")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    arms = sorted(dict.fromkeys(table.arm), key=descends_by_cost)
    for place, arm in enumerate(arms):
        if place and descends_by_cost(arm) and not descends_by_cost(arms[place - 1]):
            axes.axvline(place - 0.5, color="#aaaaaa", linewidth=0.8)
        errors = table[table.arm == arm].error.dropna()
        color = COLORS.get(arm.removeprefix("by_"), "#444444")
        axes.plot(np.full(len(errors), place), errors, "o", markersize=2.5, color=color, alpha=0.5)
        axes.plot([place - 0.3, place + 0.3], [errors.median()] * 2, color=color, linewidth=1.8)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    panels.log_axis(axes.yaxis)
    axes.set_xticks(
        range(len(arms)),
        [spell(arm.removeprefix("budget_"), capital=False).replace(" ", "\n") for arm in arms],
        fontsize=6,
    )
    axes.set_ylabel("error (steps)")


def descends_by_cost(arm: str) -> bool:
    """Return whether an arm is one of those of equal cost."""
    return arm == "joint" or arm.startswith("budget_")
