"""Quality over gradient steps of adaptation, a panel per family."""

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
from workflow.figures.style import family_title, in_order, look
from workflow.figures.tables import Tables, choose

CROWD = 7  # with more learners than this, the variants are drawn thin
LOOP = {"color": "#444444", "linestyle": ":", "linewidth": 1.0}


@dataclass(frozen=True)
class Options:
    """`families` and `learners` (default: all), `metric` (default: each family's own)."""

    families: list[str] | None = None
    learners: list[str] | None = None
    metric: str | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a panel per family, medians over test members and seeds with 95 % intervals."""
    facts = appearance.families(tables, options.families)
    columns = ["family", "learner", "metric", "step", "median", "low", "high"]
    quality = tables.read("quality_at.csv", columns)
    if options.metric is not None:
        facts["metric"] = choose("metric", [options.metric], quality["metric"])[0]
    trained = appearance.everybody(tables)
    learners = choose("learner", options.learners, in_order(quality.learner), trained)
    quality = quality[(quality["metric"] == quality.family.map(facts.metric)) & quality.learner.isin(learners)]
    crowded = len(learners) > CROWD
    strong = [label for label in learners if not crowded or look(label).emphasis]
    rows = -(-len(facts) // 2)
    figure, grid = plt.subplots(rows, min(2, len(facts)), figsize=(7.6, 1.75 * rows + 0.2), squeeze=False)
    for spare in list(grid.flat)[len(facts) :]:
        spare.remove()
    for axes, (family, fact) in zip(grid.flat, facts.iterrows(), strict=False):
        here = quality[quality.family == family].sort_values("step", kind="stable")
        if here.empty:
            panels.emptied(axes, f"no {fact.metric} was measured here: {appearance.why(tables, family)}")
        else:
            draw_family(axes, fact.metric, here, learners, strong)
            axes.axvline(fact.inner_steps, zorder=1, gid="loop", **LOOP)
        axes.set_title(family_title(family))
        axes.set_ylabel(appearance.metric_name(fact.metric))
        axes.set_xlabel("gradient steps")
    shown = panels.present(learners, quality.rename(columns={"learner": "method"}))
    marks = [Line2D([], [], label="end of the inner loop", **LOOP)]
    asked = options.learners or trained
    panels.legend_below(figure, shown, strong, marks, appearance.remark(tables, facts, asked))
    return figure


def draw_family(axes: Axes, metric: str, rows: pd.DataFrame, learners: list[str], strong: list[str]) -> None:
    """Draw all learners of one family over the steps; one that does not adapt is a line across."""
    starts = rows["median"][rows.step == 0]
    limits = appearance.quality_axis(axes, metric, rows["median"], starts)
    zero = appearance.zero_axis(axes, rows.step, 3)
    for label in learners:
        line = rows[rows.learner == label]
        if line.empty:
            continue
        weighty = label in strong
        style = panels.stroke(label, weighty)
        if len(line) == 1:
            line = pd.concat([line, line.assign(step=axes.get_xlim()[1])])
        x = line.step.where(line.step > 0, zero)
        seen = np.isfinite(line["median"])
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.4, "markevery": (0.0, 0.1)}
        marker = look(label).marker if weighty else ""
        size = 5.5 if marker == "*" else 3.6
        axes.plot(x[seen], line["median"][seen], marker=marker, markersize=size, **edge, gid=label, **style)
        if weighty:
            low, high = (line[end].clip(*limits) for end in ("low", "high"))
            axes.fill_between(x, low, high, where=low.notna() & high.notna(), color=style["color"], alpha=0.13,
                              linewidth=0, zorder=1)  # fmt: skip
