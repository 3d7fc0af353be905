"""What happens when the dimension grows from one to a quarter of a million: quality, overhead, memory."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.harness.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import look, spell
from workflow.figures.tables import Tables, choose

COLUMNS = [
    "task",
    "method",
    "dim",
    "status",
    "reason",
    "gap_median",
    "gap_low",
    "gap_high",
    "overhead_ms",
    "memory_mib",
]
ENDED = Line2D(
    [], [], color="#444444", marker="x", linestyle="", markersize=5, markeredgewidth=1.4, label="ends here (×)"
)
TIMED = Line2D(
    [], [], color="#444444", marker="o", linestyle="", markersize=5, fillstyle="none", label="ran out of time (○)"
)


@dataclass(frozen=True)
class Options:
    """`problems`: world.task whose sizes are compared for quality (default: all with two or more sizes), `methods`."""

    problems: list[str] | None = None
    methods: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: gap at equal evaluations per problem, overhead per evaluation, peak memory, against dimensions."""
    facts = tables.tasks()
    scores = tables.read("scores.csv", COLUMNS)
    scores = scores[scores.task.isin(facts.index)].merge(facts[["problem"]], left_on="task", right_index=True)
    sizes = facts.groupby("problem").dim.nunique()
    families = choose("problem", options.problems or sizes.index[sizes > 1].tolist(), sizes.index)
    if not families:
        raise UsageError(
            f"{tables.folder / 'tasks.csv'} has no problem at two or more sizes: scaling needs at least two"
        )
    scores = scores[scores.problem.isin(families)]
    methods = choose("method", options.methods, scores.method)
    scores = scores[scores.method.isin(methods)]
    strong = panels.emphasised(methods, scores.groupby("method").gap_median.median())
    columns = len(families) + 2
    figure, (grid,) = plt.subplots(1, columns, figsize=(2.45 * columns, 3.9), squeeze=False)
    for axes, family in zip(grid, families, strict=False):
        here = scores[scores.problem == family]
        draw_measure(axes, here, methods, strong, "gap_median", interval=True)
        panels.gap_axis(axes, *panels.gap_range(here.rename(columns={"gap_median": "gap"})))
        axes.set_title(f"{spell(family.split('.')[-1])}: quality at equal evaluations")
        axes.set_ylabel(panels.GAP_LABEL)
    for axes, column, label in (
        (grid[-2], "overhead_ms", "ask + tell (ms per evaluation)"),
        (grid[-1], "memory_mib", "peak memory above the start (MiB)"),
    ):
        draw_measure(axes, scores.assign(memory_mib=scores.memory_mib.clip(lower=1)), methods, strong, column)
        axes.set_yscale("log")
        axes.set_title({"overhead_ms": "overhead of the method", "memory_mib": "memory"}[column])
        axes.set_ylabel(label)
    for axes in grid:
        axes.set_xscale("log")
        axes.set_xlabel("dimensions")
    panels.legend_below(figure, methods, strong, [ENDED, TIMED])
    panels.footnote(figure, endings(scores, methods))
    return figure


def draw_measure(
    axes: Axes, scores: pd.DataFrame, methods: list[str], strong: list[str], column: str, interval: bool = False
) -> None:
    """Draw one measure against the dimension; × where the method's last size is, ○ where time ran out."""
    drawn = False
    for method in methods:
        rows = scores[scores.method == method]
        good = rows[rows[column].notna() & (rows.status != "unsupported")]
        if good.empty:
            continue
        drawn = True
        line = good.groupby("dim")[column].median()
        style = panels.stroke(method, method in strong)
        axes.plot(line.index, line, marker=look(method).marker, markersize=3.6 if method in strong else 2.2, **style)
        if interval and method in strong:
            band = good.groupby("dim")[["gap_low", "gap_high"]].median()
            axes.fill_between(band.index, band.gap_low, band.gap_high, color=style["color"], alpha=0.13, linewidth=0)
        timed = line[line.index.isin(good.dim[good.status == "timeout"])]
        axes.plot(timed.index, timed, marker="o", markersize=7, fillstyle="none", linestyle="", color=style["color"])
        failed = rows.dim[rows.status == "unsupported"]
        if (failed > line.index.max()).any():
            axes.plot(line.index[-1], line.iloc[-1], marker="x", markersize=8, markeredgewidth=1.6, color=style["color"],
                      linestyle="", zorder=6)  # fmt: skip
    if not drawn:
        panels.note(axes, "no method has a number here")


def endings(scores: pd.DataFrame, methods: list[str]) -> str:
    """Return, per method that cannot run at some size, the first such size and its reason."""
    lines = []
    for method in methods:
        rows = scores[(scores.method == method) & (scores.status == "unsupported")].sort_values("dim", kind="stable")
        if not rows.empty:
            reason = textwrap.shorten(str(rows.reason.iloc[0]), 90)
            lines.append(f"× {look(method).name}, {panels.number(rows.dim.iloc[0])} dimensions: {reason}")
    return "  ·  ".join(lines)
