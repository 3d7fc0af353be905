"""Everything at a glance: the gap that every method leaves on every task, and its mean rank."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import look, spell
from workflow.figures.tables import GAP_FLOOR, Tables, choose

CODES = {
    "unsupported": "∅",
    "out_of_memory": "M",
    "diverged": "∞",
    "invalid_loss": "?",
    "crashed": "✗",
    "too_dear": "$",
    "timeout": "t",
    "stopped": "s",
}
MEANING = (
    "Cells: median gap over seeds (1 = start, 0 = optimum or ≤ 1e-4), above them how many are ranked there."
    " ∅ unsupported · M out of memory · ∞ diverged · "
    "? invalid loss · ✗ crashed · $ too dear for this suite · t hung · "
    "s stopped itself · blank: not asked for. Relative rank: mean over the tasks that it ran on, 0 = best, 1 = last; "
    "below the line, methods that were asked for fewer tasks."
)


@dataclass(frozen=True)
class Options:
    """`tasks` and `methods` to show; all by default."""

    tasks: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a heat map, methods by relative rank × tasks by dimension, statuses as signs."""
    facts = tables.tasks()
    scores = tables.read("scores.csv", ["task", "method", "status", "gap_median", "rank", "n_ranked"])
    scores["rank"] = (scores["rank"] - 1) / (scores.n_ranked - 1).where(scores.n_ranked > 1)
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(scores.task)], facts.index)
    methods = choose("method", options.methods, scores.method, options.methods and tables.methods() or ())
    scores = scores[scores.task.isin(tasks) & scores.method.isin(methods)]
    if scores.empty:
        raise UsageError(f"none of these methods was asked for on these tasks ({tables.why(tasks, methods)})")
    rank = scores.groupby("method")["rank"].mean()
    asked = scores.groupby("method").task.nunique()
    fewer = asked < asked.max()
    ordered = sorted(asked.index, key=lambda label: (fewer[label], np.nan_to_num(rank[label], nan=1e9), label))
    cells = scores.set_index(["method", "task"])
    gap = cells.gap_median.unstack("task").reindex(index=ordered, columns=tasks).astype(float)
    status = cells.status.unstack("task").reindex(index=ordered, columns=tasks).fillna("")
    figure, axes = plt.subplots(figsize=(max(2.9 + 0.42 * len(tasks), 4.6), 1.5 + 0.19 * len(ordered)))
    norm = LogNorm(vmin=GAP_FLOOR, vmax=1.0)
    colors = np.ma.masked_invalid(gap.clip(GAP_FLOOR, 1.0).to_numpy())
    image = axes.pcolormesh(colors, cmap="cividis", norm=norm, linewidth=0.6, edgecolors="white")
    for row, method in enumerate(ordered):
        for column, task in enumerate(tasks):
            value, sign = gap.loc[method, task], status.loc[method, task]
            light = np.isfinite(value) and norm(np.clip(value, GAP_FLOOR, 1.0)) < 0.45
            write(axes, column + 0.5, row, cell_text(value, sign), "white" if light else "#222222")
        write(axes, len(tasks) + 0.7, row, f"{rank[method]:.2f}" if np.isfinite(rank[method]) else "–", "#222222", 7)
    if fewer.any() and not fewer.all():
        axes.axhline((~fewer).sum(), color="#222222", linewidth=0.8)
    axes.text(len(tasks) + 0.7, -0.15, "relative\nrank", va="bottom", ha="center", fontsize=6.5)
    axes.set_xlim(0, len(tasks) + 1.2)
    axes.set_ylim(len(ordered), 0)
    axes.set_yticks(np.arange(len(ordered)) + 0.5, [look(method).name for method in ordered])
    for label, method in zip(axes.get_yticklabels(), ordered, strict=True):
        label.set_fontweight("bold" if method in tables.fresh() else "normal")
    entrants = scores.groupby("task").n_ranked.max()
    names = [f"{spell(task)} · {panels.number(facts.dim[task])}-D" if np.isfinite(facts.dim[task]) else spell(task)
             for task in tasks]  # fmt: skip
    for column, task in enumerate(tasks):
        write(axes, column + 0.5, -1, panels.number(entrants[task]) if entrants[task] > 0 else "–", "#222222", 6.5)
    axes.set_xticks(np.arange(len(tasks)) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(visible=False)
    axes.tick_params(length=0, pad=2)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=25, pad=0.02)
    bar.set_label("median gap", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    panels.footer(figure, [], panels.lines(MEANING, panels.uncalibrated(tables, tasks)))
    return figure


def write(axes: Axes, x: float, row: int, text: str, color: str, size: float = 6) -> None:
    """Print a cell's text in its middle."""
    axes.text(x, row + 0.53, text, ha="center", va="center", fontsize=size, color=color)


def cell_text(gap: float, status: str) -> str:
    """Return what a cell says: two digits of the gap, or the sign of a status."""
    sign = CODES.get(status, "✗" if status and status != "finished" else "")
    if not np.isfinite(gap):
        return sign
    if gap <= GAP_FLOOR:
        text = "0"
    elif 0.01 <= gap < 100:
        text = f"{gap:.2f}".lstrip("0")
    else:
        text = f"{gap:.0e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return f"{text}{sign}" if status == "stopped" else text
