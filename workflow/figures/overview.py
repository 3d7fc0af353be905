"""Everything at a glance: the gap that every method leaves on every task, and its mean rank."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from workflow.figures import _panels as panels
from workflow.figures.style import look, spell
from workflow.figures.tables import GAP_FLOOR, Tables, choose

CODES = {
    "unsupported": "∅",
    "out_of_memory": "M",
    "diverged": "∞",
    "invalid_loss": "?",
    "failed": "!",
    "timeout": "t",
    "stopped": "s",
}
MEANING = (
    "Cells: median gap (1 = start, 0 = optimum, ≤ 1e-4 shown as 0). ∅ unsupported · M out of memory · ∞ diverged · "
    "? invalid loss · ! task failed · t time ran out (gap reached until then) · s stopped by itself · blank: not asked for."
)


@dataclass(frozen=True)
class Options:
    """`tasks` and `methods` to show; all by default."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a heat map, methods by mean rank × tasks by dimension, statuses as signs."""
    facts = tables.tasks()
    scores = tables.read("scores.csv", ["task", "method", "status", "gap_median", "rank"])
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(scores.task)])
    methods = choose("method", options.methods, scores.method)
    scores = scores[scores.task.isin(tasks) & scores.method.isin(methods)]
    rank = scores.groupby("method")["rank"].mean()
    ordered = sorted(methods, key=lambda method: (np.nan_to_num(rank.get(method, np.nan), nan=1e9), method))
    gap = scores.pivot_table(index="method", columns="task", values="gap_median", dropna=False).reindex(
        index=ordered, columns=tasks
    )
    status = scores.set_index(["method", "task"]).status
    width = 2.6 + 0.46 * len(tasks)
    figure, axes = plt.subplots(figsize=(max(width, 4.6), 1.9 + 0.2 * len(ordered)))
    norm = LogNorm(vmin=GAP_FLOOR, vmax=1.0)
    image = axes.pcolormesh(np.ma.masked_invalid(gap.clip(GAP_FLOOR, 1.0)), cmap="cividis_r", norm=norm, linewidth=0.6,
                            edgecolors="white")  # fmt: skip
    for row, method in enumerate(ordered):
        for column, task in enumerate(tasks):
            text = cell_text(gap.loc[method, task], status.get((method, task), ""))
            value = gap.loc[method, task]
            light = np.isfinite(value) and norm(np.clip(value, GAP_FLOOR, 1.0)) > 0.55
            axes.text(
                column + 0.5,
                row + 0.5,
                text,
                ha="center",
                va="center",
                fontsize=6,
                color="white" if light else "#222222",
            )
        axes.text(len(tasks) + 0.15, row + 0.5, f"{rank[method]:.1f}" if np.isfinite(rank.get(method, np.nan)) else "–",
                  va="center", fontsize=7)  # fmt: skip
    axes.text(len(tasks) + 0.15, -0.35, "mean\nrank", va="bottom", fontsize=6.5)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(ordered)) + 0.5, [look(method).name for method in ordered])
    for label, method in zip(axes.get_yticklabels(), ordered, strict=True):
        label.set_color(look(method).color)
    axes.set_xticks(np.arange(len(tasks)) + 0.5, [f"{spell(task)} · {panels.number(facts.dim[task])}" for task in tasks],
                    rotation=45, ha="right", rotation_mode="anchor")  # fmt: skip
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, pad=0.1 if len(tasks) < 6 else 0.06)
    bar.set_label("median gap", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    panels.footnote(figure, MEANING)
    return figure


def cell_text(gap: float, status: str) -> str:
    """Return what a cell says: two digits of the gap, or the sign of a status."""
    sign = CODES.get(status, "")
    if not np.isfinite(gap):
        return sign
    text = "0" if gap <= GAP_FLOOR else f"{gap:.2f}".lstrip("0") if gap >= 0.01 else f"{gap:.0e}".replace("e-0", "e-")
    return f"{text}{sign}" if status in ("timeout", "stopped") else text
