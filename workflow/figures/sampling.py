"""How few measurements are enough: error of a fitted BRDF against their number, by how their directions were chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from benchmarks.contract.errors import UsageError, unknown
from workflow.figures import _panels as panels
from workflow.figures.tables import Tables, choose

MODELS = {"phong": "Phong", "cook_torrance": "Cook–Torrance", "pca": "PCA", "nbrdf": "NBRDF"}  # fewest weights first
LOOKS = {  # colour, marker and line of a method; what is learned is drawn in the strong colours
    "random": ("Random directions, Adam", "#8a8a8a", "o", "--"),
    "stratified": ("Stratified directions, Adam", "#1f78c8", "s", "--"),
    "meta": ("Random directions, learned start and rates", "#e69f00", "^", "-"),
    "learned": ("Learned directions, start and rates", "#cc1177", "D", "-"),
}
KINDS = {"model": MODELS, "method": LOOKS}
METRICS = {"log_l1": "log-L1 error", "mae": "mean absolute error, 1/sr", "psnr": "PSNR, dB", "dssim": "DSSIM"}


@dataclass(frozen=True)
class Options:
    """`family`, a label (default: the first one); `models` and `methods` (default: all there are); `metric`."""

    family: str | None = None
    models: list[str] | None = None
    methods: list[str] | None = None
    metric: str = "log_l1"


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a panel per model, a line per method, medians over test members with 95 % intervals."""
    columns = ["family", "model", "method", "n", "seed", "member", "metric", "value"]
    table = tables.read("sampling.parquet", columns)
    if options.metric not in METRICS:
        raise unknown("metric of figure 'sampling':", options.metric, METRICS)
    (family,) = choose("family", [options.family or table.family.iloc[0]], table.family)
    table = table[(table.family == family) & (table.metric == options.metric)]
    if table.value.notna().sum() == 0:
        raise UsageError(
            f"{tables.folder / 'sampling.parquet'} has no {options.metric!r} of family {family!r}; make it again: "
            "`snakemake tables`"
        )
    present = {kind: [item for item in known if item in set(table[kind])] for kind, known in KINDS.items()}
    models = choose("model", options.models or None, present["model"], MODELS)
    methods = choose("method", options.methods or None, present["method"], LOOKS)
    figure, grid = panels.grid_of_panels(len(models), "measurements n", METRICS[options.metric], height=2.3)
    for axes, model in zip(grid, models, strict=True):
        draw_model(axes, table[table.model == model], methods)
        axes.set_title(MODELS[model])
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(sorted(table.n.unique())))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        if options.metric != "psnr":  # which is a logarithm already
            axes.set_yscale("log")
    share_range(grid)
    for axes in grid:
        if options.metric != "psnr":
            panels.log_axis(axes.yaxis)
        axes.yaxis.set_minor_formatter(NullFormatter())
    seeds, members = table.seed.nunique(), table.member.nunique()
    each = f" (each the mean of {seeds} seeds)" if seeds > 1 else ""
    remark = f"Medians over {members} test members{each} with 95 % bootstrap intervals."
    panels.footer(figure, [(handle, LOOKS[method][0]) for method, handle in legend(methods)], remark)
    return figure


def draw_model(axes: Axes, table: pd.DataFrame, methods: list[str]) -> None:
    """Draw one model's lines; a value that is missing counts as the worst."""
    drawn = False
    for method in methods:
        rows = table[table.method == method]
        if rows.value.notna().sum() == 0:
            continue
        drawn = True
        sign = -1 if (rows.metric == "psnr").all() else 1  # lower is better
        counts = sorted(rows.n.unique())
        values = (
            (sign * rows.value).fillna(np.inf).groupby([rows.member, rows.n]).mean().unstack("n")
        )  # members × counts
        middle, low, high = panels.median_interval(values[counts].dropna().to_numpy())
        middle, low, high = (np.where(np.isfinite(item), sign * item, np.nan) for item in (middle, low, high))
        style = look(method)
        axes.plot(counts, middle, markersize=3.6, markeredgecolor="white", markeredgewidth=0.4, **style)
        axes.fill_between(counts, low, high, color=style["color"], alpha=0.14, linewidth=0, zorder=1)
    if not drawn:
        panels.note(axes, "no finite value for these methods")


def share_range(grid: list[Axes]) -> None:
    """Give all panels the range of all, so that models can be compared."""
    limits = [axes.get_ylim() for axes in grid if axes.lines]
    for axes in grid if limits else ():
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def look(method: str) -> dict[str, object]:
    """Return the keyword arguments of a method's line."""
    _, color, marker, line = LOOKS[method]
    strong = method == "learned"
    return {
        "color": color,
        "marker": marker,
        "linestyle": line,
        "linewidth": 1.9 if strong else 1.3,
        "zorder": 4 if strong else 3,
    }


def legend(methods: list[str]) -> list[tuple[str, Line2D]]:
    """Return a handle for every method."""
    return [(method, Line2D([], [], markersize=4, **look(method))) for method in methods]
