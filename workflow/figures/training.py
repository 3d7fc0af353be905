"""What longer training of a learner is worth: its quality, and how many steps a rival needs to be as good."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.contract.errors import UsageError
from workflow.figures import _appearance as appearance
from workflow.figures import _panels as panels
from workflow.figures.style import in_order, look
from workflow.figures.tables import Tables
from workflow.tables.learners import OVER

LINES = {"median": "-", "mean": ":"}  # statistic over members → how it is drawn
RIVAL = "overfit"
COLUMNS = ["metric", "over", "step", "quality", "rival_steps", "rival_last", "steps_ratio", "steps_low", "steps_high"]


@dataclass(frozen=True)
class Options:
    """`families`: one family, trained for different lengths (default: those with the metric of the first)."""

    families: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: quality after the inner loop, and steps of the rival for it, over samples of training."""
    facts = appearance.families(tables, options.families)
    if options.families is None:
        facts = facts[facts.metric == facts.metric.iloc[0]]
    table = tables.read("speedups.csv", ["family", "learner", "rival", *COLUMNS])
    table = table[(table.rival == RIVAL) & (table.metric == table.family.map(facts.metric))]
    learners = in_order(table.learner.unique())
    if len(set(facts.metric)) > 1 or table.empty:
        raise UsageError(
            f"{tables.folder / 'speedups.csv'}: nothing to compare; name families of one kind that {RIVAL} met as well"
        )
    models = tables.read("models.parquet", ["family", "learner", "train_samples"])
    trained = models.groupby(["family", "learner"]).train_samples.median().rename("trained")
    table = table.join(trained, on=["family", "learner"]).sort_values("trained", kind="stable")
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7))
    beyond = float((table.rival_last / table.step).max())
    for label in learners:
        for over in OVER:
            mine = table[(table.learner == label) & (table.over == over)]
            curve(left, label, over, mine.trained, mine.quality)
            curve(right, label, over, mine.trained, mine.steps_ratio.replace(np.inf, beyond))
            if over == "median":
                low, high = (mine[name].replace(np.inf, beyond).fillna(beyond) for name in ("steps_low", "steps_high"))
                right.fill_between(mine.trained, low, high, color=look(label).color, alpha=0.15, linewidth=0)
            never = mine[np.isinf(mine.steps_ratio)]
            if len(never):
                right.plot(never.trained, np.full(len(never), 1.12 * beyond), marker="^", markersize=5, linestyle="",
                           color=look(label).color, clip_on=False, gid=f"never {label} {over}")  # fmt: skip
    names = (appearance.metric_name(facts.metric.iloc[0]), f"steps of {look(RIVAL).name} ÷ own ↑")
    shown = (table.quality.replace(np.inf, np.nan), table.steps_ratio)  # a ratio that is infinite has a triangle
    for axes, name, values in zip((left, right), names, shown, strict=True):
        axes.set_xlabel("samples in training")
        axes.set_ylabel(name)
        if not values.gt(0).any():
            panels.emptied(axes, f"no finite value: {appearance.why(tables, facts.index[0], learners)}")
            continue
        axes.set_xscale("log")
        axes.set_yscale("log")
        panels.log_axis(axes.yaxis)
    left.set_title(f"after {facts.inner_steps.iloc[0]} steps")
    right.set_title("for the same quality")
    right.axhline(1, color="#999999", linewidth=0.8, zorder=1)
    panels.legend_below(figure, learners, extra=marks(table), remark=appearance.remark(tables, facts, learners))
    return figure


def curve(axes: Axes, label: str, over: str, x: pd.Series, y: pd.Series) -> None:
    """Draw one learner's line for one statistic over members."""
    style = look(label)
    axes.plot(x, y, color=style.color, marker=style.marker, linestyle=LINES[over], markersize=4, gid=f"{label} {over}")


def marks(table: pd.DataFrame) -> list[Line2D]:
    """Return what the legend says besides the learners."""
    found = [Line2D([], [], color="#444444", linestyle=LINES[over], label=f"{over} over members") for over in OVER]
    if np.isinf(table.steps_ratio).any():
        label = f"{look(RIVAL).name} did not get there within {table.rival_last.max():,} steps"
        found.append(Line2D([], [], color="#444444", marker="^", linestyle="", label=label))
    return found
