"""What happens when the dimension grows from one to a quarter of a million: quality, overhead, memory."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.contract.errors import UsageError
from benchmarks.contract.statuses import LEFT_OUT, UNSCORED
from workflow.figures import _panels as panels
from workflow.figures.style import look, main_methods, spell
from workflow.figures.tables import GAP_FLOOR, Tables, choose

GAPS = ["gap_median", "gap_low", "gap_high"]
MARK = {"color": "#444444", "linestyle": ""}
ENDED = Line2D([], [], marker="x", markersize=6, markeredgewidth=1.5, label="cannot run beyond (reasons below)", **MARK)


@dataclass(frozen=True)
class Options:
    """`problems`: world.task (default: whose sizes span a factor of 10), `methods` (default: at two sizes or more)."""

    problems: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: gap per problem, the method's own time per evaluation and its memory, against dimensions."""
    facts = tables.tasks()
    scores = tables.read(
        "scores.csv", ["task", "method", "dim", "status", "reason", *GAPS, "overhead_ms", "memory_mib"]
    )
    scores["memory_mib"] = scores.memory_mib.clip(lower=1.0)
    scores["problem"] = scores.task.map(facts.problem)
    sizes = facts.groupby("problem").dim
    wide = sizes.max() >= 10 * sizes.min()
    problems = choose("problem", options.problems or wide.index[wide].tolist(), wide.index)
    if not problems:
        raise UsageError(
            f"{tables.folder / 'tasks.csv'}: no problem is there at sizes that differ by a factor of 10 or more"
        )
    scores = scores[scores.problem.isin(problems) & scores.dim.notna()]
    if scores.empty:
        raise UsageError(f"no task of {', '.join(problems)} has a size: {tables.why(facts.index)}")
    asked = scores.groupby(["method", "problem"]).dim.nunique().groupby("method").max()
    default = [method for method in main_methods(scores.method) if asked[method] > 1]
    methods = choose("method", options.methods or default, scores.method, tables.methods())
    scores = scores[scores.method.isin(methods)]
    budgets = tables.read("runs.parquet", ["task", "budget"]).groupby("task").budget.max()
    equal = budgets.groupby(facts.problem).min()  # sizes may have different budgets: they are compared at the least
    scores = at_equal_cost(scores, tables.gap_curves(), facts.problem.map(equal))
    strong = panels.emphasised(methods, panels.typical_gap(tables))
    oracles = tables.oracles()
    columns = len(problems) + 2
    figure, grid = plt.subplots(1, columns, figsize=(2.55 * columns, 2.9), squeeze=False)
    for axes, problem in zip(grid[0], problems, strict=False):
        here = scores[scores.problem == problem]
        if draw_measure(axes, here, methods, strong, "gap_median"):
            shown = here.rename(columns={"gap_median": "gap"})
            panels.gap_axis(axes, *panels.gap_range(shown, oracles))
            panels.bounds(axes, shown, oracles)
        else:
            panels.emptied(axes, tables.why(facts.index[facts.problem == problem], methods))
        budget = equal.get(problem, np.nan)
        granted = f", {panels.number(budget)} evaluations" if np.isfinite(budget) else ""
        axes.set_title(f"{spell(problem.split('.')[-1])}{granted}")
        axes.set_ylabel(panels.GAP_LABEL)
    measures = {"overhead_ms": "ask + tell, ms per evaluation", "memory_mib": "peak memory above the start, MiB"}
    for axes, (column, label) in zip(grid[0, -2:], measures.items(), strict=True):
        if draw_measure(axes, scores, methods, strong, column):
            axes.set_yscale("log")
            panels.log_axis(axes.yaxis)
        else:
            panels.emptied(axes, "no method has a number here")
        axes.set_title({"overhead_ms": "the method's own time", "memory_mib": "memory"}[column])
        axes.set_ylabel(label)
    for axes in grid[0]:
        axes.set_xlabel("dimensions")
        if axes.lines:
            axes.set_xscale("log")
            panels.log_axis(axes.xaxis)
    ended = tables.endings(scores.task.unique(), methods)
    ran = ended.method[ended.good]
    absent = panels.absences(tables, methods, ran, scores.task.unique())
    methods = [method for method in methods if method in set(ran)]
    reasons = endings(scores, methods)
    marks = [ENDED] * bool(reasons)
    remark = panels.lines(reasons, absent, panels.uncalibrated(tables, facts.index[facts.problem.isin(problems)]))
    panels.legend_below(figure, methods, strong, marks, remark)
    return figure


def at_equal_cost(scores: pd.DataFrame, curves: pd.DataFrame, cost: pd.Series) -> pd.DataFrame:
    """Return scores with the gaps that were left after `cost[task]` evaluations, where there is a final one."""
    early = curves[curves.cost <= curves.task.map(cost)].sort_values("cost", kind="stable")
    left = early.groupby(["task", "method", "seed"]).gap.last().clip(lower=GAP_FLOOR)
    rows = []
    for (task, method), gaps in left.groupby(["task", "method"]):
        middle, low, high = panels.median_interval(gaps.to_numpy()[:, None])
        rows.append((task, method, float(middle[0]), float(low[0]), float(high[0])))
    found = scores[["task", "method"]].merge(pd.DataFrame(rows, columns=["task", "method", *GAPS]), "left")
    left_over = found[GAPS].to_numpy(float)
    left_over[scores.gap_median.isna().to_numpy()] = np.nan
    return scores.assign(**dict(zip(GAPS, left_over.T, strict=True)))


def draw_measure(axes: Axes, scores: pd.DataFrame, methods: list[str], strong: list[str], column: str) -> bool:
    """Draw one measure against the dimension; × where the method's last size is.

    Returns whether there was anything to draw.
    """
    drawn = False
    for method in methods:
        rows = scores[scores.method == method]
        # What a clock ended has no score, but its time per evaluation and its memory were measured.
        scored = ~rows.status.isin(UNSCORED) | (column != "gap_median")
        good = rows[rows[column].notna() & scored]
        if good.empty:
            continue
        drawn = True
        near = (20 * np.log10(good.dim)).round()  # sizes that differ by less than a tenth share a point
        good = good.assign(dim=good.dim.groupby(near).transform("median"))
        line = good.groupby("dim")[column].median()
        style = panels.stroke(method, method in strong)
        axes.plot(line.index, line, marker=look(method).marker if method in strong else "", markersize=3.6, **style)
        if column == "gap_median" and method in strong:
            band = good.groupby("dim")[["gap_low", "gap_high"]].median().clip(upper=1e3)
            axes.fill_between(band.index, band.gap_low, band.gap_high, color=style["color"], alpha=0.13, linewidth=0)
        mark = {"color": style["color"], "linestyle": "", "zorder": 6, "alpha": style["alpha"]}
        left_out = rows.status.isin(LEFT_OUT)
        last = rows.dim[~left_out].max() <= 1.2 * line.index.max()  # it ran at no larger size
        if last and (rows.dim[left_out] > line.index.max()).any():
            axes.plot(line.index[-1], line.iloc[-1], marker="x", markersize=8, markeredgewidth=1.6, **mark)
    return drawn


def endings(scores: pd.DataFrame, methods: list[str]) -> str:
    """Return, per method that cannot run at some size, the first such size and its reason."""
    lines = []
    for method in methods:
        rows = scores[(scores.method == method) & scores.status.isin(LEFT_OUT)].sort_values("dim", kind="stable")
        if not rows.empty:
            reason = textwrap.shorten(str(rows.reason.iloc[0]), 90, placeholder=" …")
            lines.append(f"× {look(method).name} at {panels.number(rows.dim.iloc[0])} dimensions: {reason}")
    return "\n".join(lines)
