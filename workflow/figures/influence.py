"""What `influence` learns: entries of its Jacobian beside the true ones, the R² of pictures, and what they become."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from methods._influence_pyramid import BLURS
from workflow.figures import _panels as panels
from workflow.figures.style import look
from workflow.figures.tables import Tables

TABLE = "influence.parquet"
KINDS = ("true", "false", "picture", "target", "gap")
FOUND, MISSED, HELD_OUT, GAP = "#0072b2", "#d55e00", "#009e73", "#111111"


@dataclass(frozen=True)
class Options:
    """There is nothing to choose."""


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: entries of S, then the caustic's run over its evaluations, then the digit as it becomes."""
    table = tables.read(TABLE, ["kind", "evaluations", "x", "value"])
    parts = {kind: rows for kind, rows in table.groupby("kind")}
    for kind in KINDS:
        if kind not in parts:
            raise UsageError(f"{tables.folder / TABLE} has no rows of kind {kind!r}")
    shown = sorted(parts["picture"].evaluations.unique())
    figure = plt.figure(figsize=(3.0 + 3.4 + 1.05 * (len(shown) + 1), 3.0))
    columns = figure.add_gridspec(1, 3, width_ratios=[2.6, 3.2, 1.05 * (len(shown) + 1)])
    draw_entries(figure.add_subplot(columns[0]), parts)
    run = columns[1].subgridspec(2, 1, height_ratios=[3, 1])
    above = figure.add_subplot(run[0])
    draw_run(above, figure.add_subplot(run[1], sharex=above), parts)
    pictures = columns[2].subgridspec(1, len(shown) + 1)
    for place, evaluations in enumerate([*shown, None]):
        rows = parts["target"] if evaluations is None else parts["picture"][parts["picture"].evaluations == evaluations]
        draw_picture(figure.add_subplot(pictures[place]), rows, evaluations)
    entries, texts = above.get_legend_handles_labels()
    panels.footer(figure, handles=list(zip(entries, texts, strict=True)))
    return figure


def draw_entries(axes: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Draw learned against true entries, and say how many are right and wrong."""
    if "entry" not in parts:
        shown = int(parts["true"].evaluations.iloc[0])
        panels.emptied(axes, "no entry stood out")
        axes.set_title(f"a) digit after {shown}: none learned")
        return
    entry = parts["entry"]
    moved = entry.x != 0
    axes.axline((0, 0), slope=1, color="#b0b0b0", linewidth=0.8, zorder=0)
    for rows, color in ((entry[moved], FOUND), (entry[~moved], MISSED)):
        axes.plot(rows.x, rows.value, linestyle="", marker="o", markersize=2, color=color, alpha=0.5)
    right, wrong = (int(parts[kind].value.iloc[0]) for kind in ("true", "false"))
    axes.set_title(f"a) digit after {int(entry.evaluations.iloc[0])}: {right:,} right, {wrong:,} wrong")
    axes.set_xlabel("true ∂pixel/∂parameter")
    axes.set_ylabel("learned")
    axes.ticklabel_format(style="sci", scilimits=(-2, 3))


def draw_run(above: Axes, below: Axes, parts: dict[str, pd.DataFrame]) -> None:
    """Draw gap and held-out R² over the evaluations, and under them the blur at which the method works."""
    above.step(parts["gap"].x, parts["gap"].value, where="post", color=GAP, linewidth=1.4, label="gap of the caustic")
    above.set_ylim(0, max(1.05, float(parts["gap"].value.max())))
    above.set_title("b) the caustic")
    if "level" not in parts:
        panels.emptied(below, "no level was linear: losses alone")
        above.set_xlabel("evaluations")
        return
    above.plot(
        parts["r2"].x, parts["r2"].value.clip(lower=0), color=HELD_OUT, linewidth=1.2, label="R² of the next picture"
    )
    above.tick_params(labelbottom=False)
    level = parts["level"]
    blur = np.asarray(BLURS)[level.value.astype(int)]
    below.step(level.x, blur, where="post", color=look("influence").color, linewidth=1.4)
    below.set_ylim(-0.3, float(blur.max()) + 0.7)
    below.set_ylabel("blur (px)")
    below.set_xlabel("evaluations")


def draw_picture(axes: Axes, rows: pd.DataFrame, evaluations: float | None) -> None:
    """Draw one square picture."""
    side = round(len(rows) ** 0.5)
    axes.imshow(rows.sort_values("x").value.to_numpy().reshape(side, side), cmap="gray", vmin=0, vmax=1)
    axes.set_title("target" if evaluations is None else f"{int(evaluations)}", fontsize=8)
    axes.set_axis_off()
