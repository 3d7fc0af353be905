"""Quality against seconds of adaptation: a general model, fine-tuning, overfitting, and learning how to descend."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from workflow.figures import _appearance as appearance
from workflow.figures import _panels as panels
from workflow.figures.style import family_title, look
from workflow.figures.tables import Tables

SPREAD = 0.09  # decades by which members' points are moved apart sideways
COLUMNS = 3


@dataclass(frozen=True)
class Options:
    """`families` (default: all), `learners` (default: general, overfit, finetune, the main ones that learn to
    descend)."""

    families: list[str] | None = None
    learners: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a panel per family; small: test members (median over seeds), large: the median of all."""
    facts = appearance.families(tables, options.families)
    learners = appearance.paradigms(tables, options.learners)
    points = appearance.values(tables, facts)
    columns = ["family", "learner", "metric", "step", "seconds", "median", "low", "high"]
    medians = tables.read("quality_at.csv", columns)
    medians = medians[medians["metric"] == medians.family.map(facts.metric)]
    models = tables.read("models.parquet", ["family", "learner", "role", "algorithm"])
    models = models.drop_duplicates(["family", "learner"]).set_index(["family", "learner"])
    across = min(COLUMNS, len(facts))
    down = -(-len(facts) // across)
    figure, grid = plt.subplots(down, across, figsize=(2.55 * across, 2.15 * down), squeeze=False)
    for spare in grid.flat[len(facts) :]:
        spare.remove()
    for axes, (family, fact) in zip(grid.flat, facts.iterrows(), strict=False):
        here = [label for label in learners if (family, label) in models.index]
        ends = {label: end_step(fact.inner_steps, models.loc[(family, label)]) for label in here}
        axes.set_title(family_title(family))
        mine = points[(points.family == family) & points.learner.isin(here)]
        if not np.isfinite(mine.value).any():
            panels.emptied(axes, f"no finite value: {appearance.why(tables, family, learners)}")
            continue
        draw_family(axes, fact.metric, mine, medians[medians.family == family], ends)
        axes.set_xlabel("seconds of adaptation")
    marks = [
        Line2D([], [], color="#444444", marker="x", linestyle="", markersize=4, label="not finite or off the scale")
    ]
    remark = "Small: test members; large: their median with its 95 % interval; line: the median over time."
    panels.legend_below(figure, learners, extra=marks, remark=appearance.remark(tables, facts, learners, remark))
    return figure


def end_step(inner_steps: int, model: pd.Series) -> float:
    """Return the step at which a learner is judged."""
    if model.algorithm == "general":
        return 0  # adaptation changes nothing
    return inner_steps if model.role == "meta" else np.inf


def draw_family(axes: Axes, metric: str, points: pd.DataFrame, medians: pd.DataFrame, ends: dict[str, float]) -> None:
    """Draw one family's learners, each at the last checkpoint up to its end."""
    points = points[points.step <= points.learner.map(ends)]
    medians = medians[medians.step <= medians.learner.map(ends)].sort_values("step", kind="stable")
    last = points[points.step == points.groupby("learner").step.transform("max")]
    members = last.groupby(["learner", "member"], sort=False)[["seconds", "value"]].median().reset_index()
    lines = {label: medians[medians.learner == label] for label in ends}
    rivals = {label: line for label, line in lines.items() if np.isinf(ends[label])}
    seen = [members.value, *(line["median"].iloc[-1:] for line in lines.values())]
    seen += [line["median"] for line in rivals.values()]
    starts = medians["median"][medians.step == 0]
    low, high = appearance.quality_axis(axes, metric, np.concatenate(seen) if seen else np.empty(0), starts)
    axes.set_ylabel(appearance.metric_name(metric))
    clock = [members.seconds, *(line.seconds for line in rivals.values())]
    zero = appearance.zero_axis(axes, np.concatenate(clock) if clock else (), 10)
    edge = 0.03 if appearance.higher(metric) else 0.97
    for label, line in lines.items():
        color = look(label).color
        if label in rivals:
            positive = line[(line.seconds > 0) & np.isfinite(line["median"])]
            axes.plot(positive.seconds, positive["median"], color=color, linewidth=0.8, alpha=0.7, zorder=2)
        mine = members[members.learner == label]
        x = mine.seconds.where(mine.seconds > 0, zero) * 10 ** np.linspace(-SPREAD, SPREAD, len(mine))
        inside = mine.value.between(low, high)
        axes.plot(x[inside], mine.value[inside], color=color, marker=look(label).marker, markersize=2.6,
                  linestyle="", alpha=0.55, markeredgewidth=0, zorder=3, gid=f"members of {label}")  # fmt: skip
        worse = ~inside & ((mine.value < low) if appearance.higher(metric) else (mine.value > high))
        if worse.any():
            axes.plot(x[worse], np.full(worse.sum(), edge), transform=axes.get_xaxis_transform(), color=color,
                      marker="x", markersize=3.5, linestyle="", zorder=4)  # fmt: skip
        if len(line):
            draw_median(axes, label, line.iloc[-1], zero, (low, high))


def draw_median(axes: Axes, label: str, end: pd.Series, zero: float, limits: tuple[float, float]) -> None:
    """Draw the large point with its interval."""
    if not limits[0] <= end["median"] <= limits[1]:
        return
    x = end.seconds if end.seconds > 0 else zero
    style = look(label)
    if np.isfinite([end.low, end.high]).any():
        ends = np.clip(np.nan_to_num([end.low, end.high], nan=end["median"]), *limits)
        axes.plot([x, x], ends, color=style.color, linewidth=1.2, zorder=5)
    size = 9 if style.marker == "*" else 6
    axes.plot(x, end["median"], color=style.color, marker=style.marker, markersize=size, markeredgecolor="black",
              markeredgewidth=0.6, linestyle="", zorder=6, gid=f"median of {label}")  # fmt: skip
