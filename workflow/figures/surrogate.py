"""How ZeroGrads sees the loss: true curve, samples and the surrogate fitted to them, as the iterations go by."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from methods._ranges import AnyCount
from workflow.figures import _panels as panels
from workflow.figures.style import look
from workflow.figures.tables import Tables

KINDS = ("loss", "smoothed", "sample", "surrogate", "theta")


@dataclass(frozen=True)
class Options:
    """`iterations` to show, of those stored; all by default."""

    iterations: list[AnyCount] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: one column per iteration, the loss above, its slope below."""
    table = tables.read("surrogate.parquet", ["iteration", "kind", "x", "value"])
    stored = sorted(table.iteration.unique())
    for iteration in options.iterations or []:
        if iteration not in stored:
            known = ", ".join(map(str, stored))
            raise UsageError(f"{tables.folder / 'surrogate.parquet'} has no iteration {iteration}; stored: {known}")
    iterations = options.iterations or stored
    figure, grid = plt.subplots(
        1, len(iterations), figsize=(2.05 * len(iterations) + 0.5, 2.5), sharex=True, sharey=True, squeeze=False
    )
    for axes, iteration in zip(grid[0], iterations, strict=True):
        here = {kind: rows for kind, rows in table[table.iteration == iteration].groupby("kind")}
        for kind in KINDS:
            if kind not in here:
                raise UsageError(
                    f"{tables.folder / 'surrogate.parquet'}: iteration {iteration} has no rows of kind {kind!r}"
                )
        draw_iteration(axes, here)
        axes.set_title(f"iteration {iteration}")
        axes.set_xlabel("z (natural steps)")
    loss = table[table.kind == "loss"].value
    span = loss.max() - loss.min()
    grid[0, 0].set_ylim(loss.min() - 0.2 * span, loss.max() + 0.2 * span)
    grid[0, 0].set_ylabel("loss")
    entries, texts = grid[0, 0].get_legend_handles_labels()
    panels.footer(figure, handles=list(zip(entries, texts, strict=True)))
    return figure


def draw_iteration(axes: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Draw one iteration: what is true in greys, what ZeroGrads has in its colour."""
    color = look("zerograds").color
    axes.plot(parts["loss"].x, parts["loss"].value, color="#111111", linewidth=1.3, label="true loss")
    axes.plot(parts["smoothed"].x, parts["smoothed"].value, color="#8a8a8a", linewidth=1.2, linestyle="--",
              label="smoothed loss (bandwidth of the samples)")  # fmt: skip
    axes.plot(parts["surrogate"].x, parts["surrogate"].value, color=color, linewidth=1.7, label="surrogate")
    axes.plot(parts["sample"].x, parts["sample"].value, marker="o", markersize=3.5, linestyle="", color="#0072b2",
              markeredgecolor="white", markeredgewidth=0.4, label="samples of this iteration")  # fmt: skip
    theta = parts["theta"].iloc[0]
    axes.axvline(theta.x, color=color, linewidth=0.7, linestyle=":")
    axes.plot(theta.x, theta.value, marker="D", markersize=6, linestyle="", color=color, markeredgecolor="black",
              markeredgewidth=0.8, label="θ", zorder=6)  # fmt: skip
