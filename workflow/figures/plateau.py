"""Why a gradient can be zero where there is a way down: the square's loss along its way, and smoothed."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.tables import Tables, choose

TITLES = {
    "overlap": "start overlaps the target",
    "apart": "start apart from the target",
    "occluded": "start hidden by an occluder",
}
COLORS = ("#fdae6b", "#d55e00", "#7f2704")  # σ from narrow to wide
PARTS = ("loss", "smoothed", "start", "target", "start_picture", "target_picture")


@dataclass(frozen=True)
class Options:
    """`cases` of the square to show; all by default."""

    cases: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a column per case, above start and target, below the loss along the way."""
    table = tables.read("landscape.parquet", ["case", "x", "kind", "sigma", "value"])
    known = [case for case in TITLES if case in set(table.case)]
    cases = choose("case", options.cases, dict.fromkeys([*known, *table.case]))
    figure = plt.figure(figsize=(2.6 * len(cases) + 0.5, 4.1))
    grid = figure.add_gridspec(2, 2 * len(cases), height_ratios=[1, 1.9])
    first = None
    for column, case in enumerate(cases):
        here = {kind: rows for kind, rows in table[table.case == case].groupby("kind")}
        for kind in PARTS:
            if kind not in here:
                raise UsageError(f"{tables.folder / 'landscape.parquet'}: case {case!r} has no rows of kind {kind!r}")
        for side, end in enumerate(("start", "target")):
            axes = figure.add_subplot(grid[0, 2 * column + side])
            draw_picture(axes, here[f"{end}_picture"], end)
        axes = figure.add_subplot(grid[1, 2 * column : 2 * column + 2], sharey=first)
        draw_case(axes, here)
        axes.set_title(f"{'abcdefgh'[column % 8]}) {TITLES.get(case, case)}")
        axes.set_xlabel("distance to the target (natural steps)")
        if first is None:
            first = axes
            axes.set_ylabel("loss / loss at the start")
        else:
            axes.tick_params(labelleft=False)
    entries, texts = first.get_legend_handles_labels()
    panels.footer(figure, handles=[(entry, text) for entry, text in zip(entries, texts, strict=True)])
    return figure


def draw_picture(axes: Axes, rows: pd.DataFrame, end: str) -> None:
    """Show a square picture with a frame, as black pictures on white paper need one."""
    side = round(len(rows) ** 0.5)
    picture = rows.sort_values("x").value.to_numpy().reshape(side, side)
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(end, fontsize=7.5, pad=2)


def draw_case(axes: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Draw loss and smoothed losses, start and target marked, on the scale of the start's loss."""
    start, target = parts["start"].iloc[0], parts["target"].iloc[0]
    scale = start.value
    axes.plot(parts["loss"].x, parts["loss"].value / scale, color="#111111", linewidth=1.5, label="loss")
    for index, (sigma, rows) in enumerate(parts["smoothed"].groupby("sigma")):
        color = COLORS[min(index, len(COLORS) - 1)]
        axes.plot(rows.x, rows.value / scale, color=color, linewidth=1.3, label=f"smoothed, σ = {sigma:g}")
        height = np.interp(start.x, rows.x, rows.value / scale)
        axes.plot(start.x, height, marker="o", markersize=3.5, color=color)
    axes.plot(start.x, 1.0, marker="o", color="#0072b2", markersize=6, linestyle="", label="start", zorder=5)
    axes.plot(target.x, target.value / scale, marker="*", color="#009e73", markersize=10, linestyle="", label="target",
              zorder=5)  # fmt: skip
    axes.axvline(start.x, color="#0072b2", linewidth=0.6, linestyle=":")
    axes.set_ylim(bottom=-0.06)
