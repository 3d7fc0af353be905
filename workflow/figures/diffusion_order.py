"""Order of convergence of diffusion samplers for Gaussian data, from their own steps and without sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from workflow.figures import _panels as panels
from workflow.figures.diffusion import marks
from workflow.figures.style import in_order
from workflow.figures.tables import Tables, choose

HIGHEST = 3.0  # where the slopes begin: above the lines


@dataclass(frozen=True)
class Options:
    """`samplers` (default: all there are)."""

    samplers: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: deterministic samplers at the left, stochastic ones at the right."""
    import matplotlib.pyplot as plt

    table = tables.read("diffusion_order.csv", ["sampler", "spread", "steps", "error"])
    samplers = choose("sampler", options.samplers, in_order(table.sampler))
    known = tables.labels("sampler")
    still = set(known.label[known.deterministic.eq(True)])
    table = table[table.sampler.isin(samplers)]
    figure, grid = plt.subplots(1, 2, figsize=(6.4, 2.7), sharey=True)
    for axes, title, wanted in zip(grid, ("Deterministic", "Stochastic"), (True, False), strict=True):
        labels = [label for label in samplers if (label in still) == wanted]
        draw_panel(axes, table, labels)
        axes.set_title(title)
        axes.set_xlabel("steps")
    grid[0].set_ylabel("|error of the standard deviation|")
    spreads = ", ".join(f"{spread:g}" for spread in sorted(table.spread.unique()))
    remark = (
        f"Relative to the exact one, Gaussian data of standard deviation {spreads}: line, geometric mean; band, range. "
        "Grey: slopes of first and second order. Heun evaluates the denoiser twice per step."
    )
    panels.legend_below(figure, samplers, remark=remark)
    return figure


def draw_panel(axes: Axes, table: pd.DataFrame, labels: list[str]) -> None:
    """Draw the samplers' lines and two slopes."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    steps = np.array(sorted(table.steps.unique()))
    for order in (1, 2):
        slope = HIGHEST * (steps / steps[0]) ** -float(order)
        axes.plot(steps, slope, color="#b0b0b0", linewidth=0.8, linestyle="--")
        box = {"facecolor": "white", "linewidth": 0, "alpha": 0.8, "pad": 0.8}
        axes.text(
            steps[-2], slope[-2], f"order {order}", fontsize=6, color="#707070", ha="center", va="center", bbox=box
        )
    for label in labels:
        errors = table[table.sampler == label].pivot(index="spread", columns="steps", values="error").abs()
        errors = errors.clip(lower=1e-16)
        style = panels.stroke(label)
        axes.plot(errors.columns, np.exp(np.log(errors).mean()), **style, **marks(label))
        axes.fill_between(
            errors.columns, errors.min(), errors.max(), color=style["color"], alpha=0.1, linewidth=0, zorder=1
        )
    if not labels:
        panels.note(axes, "no such sampler")
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
