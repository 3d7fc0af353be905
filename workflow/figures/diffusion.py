"""Distance to the truth over evaluations of the denoiser, for diffusion samplers on every law, with the floor."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from benchmarks.contract.errors import UsageError, unknown
from workflow.figures import _panels as panels
from workflow.figures.style import in_order, look, spell
from workflow.figures.tables import Tables, choose

METRICS = {"sliced_w2": "sliced W₂", "frechet": "Fréchet distance"}
HIGHEST = 40.0  # times the floor: what lies above leaves the panel
FLOOR = {"color": "#8a8a8a", "linestyle": (0, (2, 2)), "linewidth": 1.2}


@dataclass(frozen=True)
class Options:
    """`tasks` and `metrics` (default: all there are), each pair a column."""

    tasks: list[str] | None = None
    metrics: list[str] = field(default_factory=lambda: list(METRICS))


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: plain samplers above, smoothed ones below; medians over seeds with 95 % intervals."""
    import matplotlib.pyplot as plt

    columns = ["task", "sampler", "budget", "seed", "metric", "value", "floor"]
    table = tables.read("diffusion.csv", columns)
    for metric in options.metrics:
        if metric not in METRICS:
            raise unknown("metric of figure 'diffusion':", metric, METRICS)
    tasks = choose("task", options.tasks, table.task)
    pairs = [(t, m) for t in tasks for m in options.metrics if ((table.task == t) & (table.metric == m)).any()]
    if not pairs:
        raise UsageError(f"{tables.folder / 'diffusion.csv'} has no {' or '.join(options.metrics)} of these tasks")
    known = tables.labels("sampler")
    plain = dict(zip(known.label, known.ablation_of, strict=True))  # smoothed sampler → the one without
    samplers = in_order(table.sampler)
    smoothed = [label for label in samplers if isinstance(plain.get(label), str)]
    rows = [[label for label in samplers if label not in smoothed]]
    rows += [[*dict.fromkeys(plain[label] for label in smoothed), *smoothed]] if smoothed else []
    figure, grid = plt.subplots(
        len(rows), len(pairs), figsize=(1.2 + 2.1 * len(pairs), 2.3 * len(rows)), squeeze=False, sharey="col"
    )
    for line, labels in zip(grid, rows, strict=True):
        for axes, (task, metric) in zip(line, pairs, strict=True):
            draw_panel(axes, table[(table.task == task) & (table.metric == metric)], labels)
    for axes, (task, metric) in zip(grid[0], pairs, strict=True):
        axes.set_title(f"{spell(task)}\n{METRICS[metric]}")
    for axes in grid[-1]:
        axes.set_xlabel("evaluations")
    for axes in grid.flat:
        panels.log_axis(axes.yaxis)
    floor = Line2D([], [], **FLOOR, label="floor: as many true draws")
    remark = f"Medians over {table.seed.nunique()} seeds with 95 % bootstrap intervals; lines may leave a panel."
    panels.legend_below(figure, [*rows[0], *smoothed], extra=[floor], remark=remark)
    return figure


def draw_panel(axes: Axes, table: pd.DataFrame, labels: list[str]) -> None:
    """Draw one law's lines and its floor."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    budgets = sorted(table.budget.unique())
    axes.xaxis.set_major_locator(FixedLocator(budgets))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    floor = float(table.floor.iloc[0])
    axes.axhline(floor, zorder=2, **FLOOR)
    for label in labels:
        rows = table[table.sampler == label]
        if rows.value.notna().sum() == 0:
            continue
        values = rows.assign(value=rows.value.fillna(np.inf)).pivot(index="seed", columns="budget", values="value")
        middle, low, high = panels.median_interval(values.to_numpy())
        style = panels.stroke(label)
        axes.plot(values.columns, middle, **style, **marks(label))
        axes.fill_between(values.columns, low, high, color=style["color"], alpha=0.12, linewidth=0, zorder=1)
    if not axes.lines[1:]:
        panels.note(axes, "no finite value for these samplers")
    lowest, highest = table.value.min(), table.value.max()
    top = HIGHEST * max(floor, 1e-12) if floor > 0.01 * lowest else highest
    axes.set_ylim(0.85 * min(floor, lowest), 1.15 * min(top, highest))


def marks(label: str) -> dict[str, object]:
    """Return the keyword arguments of a sampler's markers."""
    return {"marker": look(label).marker, "markersize": 3.6, "markeredgecolor": "white", "markeredgewidth": 0.3}
