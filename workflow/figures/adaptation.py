"""Quality over gradient steps of adaptation, and over the training samples that they saw."""

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
from workflow.figures.style import look
from workflow.figures.tables import Tables, choose

CLOCKS = {"step": "gradient steps", "samples": "samples seen of one member"}
CROWD = 7  # with more learners than this, the variants are drawn thin
LOOP = {"color": "#444444", "linestyle": ":", "linewidth": 1.0}


@dataclass(frozen=True)
class Options:
    """`families` and `learners` (default: all), `metric` (default: each family's own)."""

    families: list[str] | None = None
    learners: list[str] | None = None
    metric: str | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a row per family, medians over test members and seeds with 95 % intervals."""
    facts = appearance.families(tables, options.families)
    columns = ["family", "learner", "metric", "step", "samples", "median", "low", "high"]
    quality = tables.read("quality_at.csv", columns)
    if options.metric is not None:
        facts["metric"] = choose("metric", [options.metric], quality["metric"])[0]
    trained = appearance.everybody(tables)
    learners = choose("learner", options.learners, appearance.in_order(quality.learner), trained)
    quality = quality[(quality["metric"] == quality.family.map(facts.metric)) & quality.learner.isin(learners)]
    crowded = len(learners) > CROWD
    strong = [label for label in learners if not crowded or label in (*appearance.PARADIGMS, "random_init")]
    figure, grid = plt.subplots(len(facts), 2, figsize=(7.6, 1.75 * len(facts) + 0.2), squeeze=False)
    for row, (family, fact) in zip(grid, facts.iterrows(), strict=True):
        here = quality[quality.family == family].sort_values("step", kind="stable")
        loop = {"step": fact.inner_steps, "samples": fact.inner_steps * fact.step_samples}
        for axes, clock in zip(row, CLOCKS, strict=True):
            if here.empty:
                panels.emptied(axes, f"no {fact.metric} was measured here: {appearance.why(tables, family)}")
                continue
            draw_family(axes, fact.metric, here, learners, strong, clock)
            axes.axvline(loop[clock], zorder=1, gid="loop", **LOOP)
        row[0].set_title(appearance.title(family))
        row[0].set_ylabel(appearance.metric_name(fact.metric))
    for axes, label in zip(grid[-1], CLOCKS.values(), strict=True):
        axes.set_xlabel(label)
    shown = panels.present(learners, quality.rename(columns={"learner": "method"}))
    marks = [Line2D([], [], label="end of the inner loop", **LOOP)]
    asked = options.learners or trained
    panels.legend_below(figure, shown, strong, marks, appearance.remark(tables, facts, asked))
    return figure


def draw_family(
    axes: Axes, metric: str, rows: pd.DataFrame, learners: list[str], strong: list[str], clock: str
) -> None:
    """Draw all learners of one family over one clock; one that does not adapt is a line across."""
    starts = rows["median"][rows.step == 0]
    limits = appearance.quality_axis(axes, metric, rows["median"], starts)
    zero = appearance.zero_axis(axes, rows[clock], 3)
    for label in learners:
        line = rows[rows.learner == label]
        if line.empty:
            continue
        weighty = label in strong
        style = panels.stroke(label, weighty) | ({"linewidth": 1.9} if label == appearance.OURS else {})
        if len(line) == 1:
            line = pd.concat([line, line.assign(**{clock: axes.get_xlim()[1]})])
        x = line[clock].where(line[clock] > 0, zero)
        seen = np.isfinite(line["median"])
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.4, "markevery": (0.0, 0.1)}
        marker = look(label).marker
        size = (5.5 if marker == "*" else 3.6) if weighty else 2
        axes.plot(x[seen], line["median"][seen], marker=marker, markersize=size, **edge, gid=label, **style)
        if weighty:
            low, high = (line[end].clip(*limits) for end in ("low", "high"))
            axes.fill_between(x, low, high, where=low.notna() & high.notna(), color=style["color"], alpha=0.13,
                              linewidth=0, zorder=1)  # fmt: skip
