"""How much of everything is reached at which cost: ECDF of the targets, and a performance profile."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.harness.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.style import look
from workflow.figures.tables import Tables, choose

RATIOS = np.geomspace(1, 1000, 120)


@dataclass(frozen=True)
class Options:
    """`tasks`, `methods` (default: all), `edges`: dimensions at which the tasks are split into columns."""

    tasks: list[str] | None = None
    methods: list[str] | None = None
    edges: list[int] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: above ECDFs over the cost, below performance profiles, a column per class of dimension."""
    facts = tables.tasks()
    hits = tables.read("hits.parquet", ["task", "method", "seed", "target", "hit", "cost"])
    spent = tables.read("runs.parquet", ["task", "method", "seed", "cost"]).rename(columns={"cost": "spent"})
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(hits.task)])
    methods = choose("method", options.methods, hits.method)
    hits = hits[hits.task.isin(tasks) & hits.method.isin(methods)].merge(spent, on=["task", "method", "seed"])
    classes = split(facts.dim.reindex(tasks), options.edges or [100, 10_000])
    score = -hits.groupby("method").hit.mean()
    strong = panels.emphasised(methods, score)
    width = 3.6 if len(classes) == 1 else 2.5 * len(classes)
    figure, grid = plt.subplots(2, len(classes), figsize=(max(width, 4.2), 5.2), squeeze=False, sharey="row")
    drawn, remarks = [], []
    for column, (title, members) in enumerate(classes.items()):
        here = hits[hits.task.isin(members)]
        complete = here.groupby("method").task.nunique() == len(members)
        shown = [method for method in methods if complete.get(method, False)]
        missing = [look(method).name for method in methods if method in complete and method not in shown]
        if missing:
            remarks.append(f"{title}: not run on every task, left out: {', '.join(missing)}.")
        top, bottom = grid[:, column]
        top.set_title(f"{title} ({len(members)} task{'s' * (len(members) > 1)})")
        if not shown:
            for axes in (top, bottom):
                panels.note(axes, "no method was run on every task of this class")
            continue
        cost = np.geomspace(1, max(here.spent.max(), 2), 200)
        for method in shown:
            rows = here[here.method == method]
            draw_steps(top, cost, ecdf(rows, cost), method, method in strong)
        for method, share in profiles(here[here.method.isin(shown)]).items():
            draw_steps(bottom, RATIOS, share, method, method in strong)
        top.set_xlabel("cost (evaluations)")
        bottom.set_xlabel("τ: times the best method's cost")
        drawn += shown
    for axes in grid.flat:
        axes.set_xscale("log")
        axes.set_ylim(-0.02, 1.02)
    grid[0, 0].set_ylabel("share of (task, seed, target)\nreached")
    grid[1, 0].set_ylabel("share of (task, target)\nwithin τ of the best")
    if not drawn:
        raise UsageError(
            f"{tables.folder / 'hits.parquet'}: no method was run on every task of a class; name `tasks` that share methods"
        )
    panels.legend_below(figure, [method for method in methods if method in drawn], strong)
    panels.footnote(figure, "\n".join(remarks))
    return figure


def split(dims: pd.Series, edges: list[int]) -> dict[str, list[str]]:
    """Return title → tasks, by dimension; classes without a task are dropped."""
    bounds = [0, *sorted(edges), np.inf]
    found = {}
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        members = dims.index[(dims > low) & (dims <= high)].tolist()
        if not members:
            continue
        smallest, largest = dims[members].min(), dims[members].max()
        title = (
            panels.number(smallest) if smallest == largest else f"{panels.number(smallest)} … {panels.number(largest)}"
        )
        found[f"dim {title}"] = members
    return found


def ecdf(rows: pd.DataFrame, cost: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the share of (task, seed, target) hit by `cost`, with a 95 % bootstrap interval over seeds."""
    seeds = sorted(rows.seed.unique())
    shares = []
    for seed in seeds:
        run = rows[rows.seed == seed]
        reached = np.sort(run.cost[run.hit.astype(bool)].to_numpy(dtype=float))
        shares.append(np.searchsorted(reached, cost, side="right") / len(run))
    shares = np.stack(shares)
    draws = shares[np.random.default_rng(0).integers(0, len(seeds), (panels.RESAMPLES, len(seeds)))].mean(1)
    return shares.mean(0), np.quantile(draws, 0.025, 0), np.quantile(draws, 0.975, 0)


def profiles(hits: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return method → share of (task, target) whose expected running time is within τ of the best method's.

    Dolan & Moré 2002 on COCO's expected running time: cost of all runs up to success or end / number of successes.
    Targets that no method reaches are left out. The interval is a 95 % bootstrap over (task, target).
    """
    hit = hits.hit.astype(bool)
    paid = hits.assign(paid=np.where(hit, hits.cost, hits.spent), hit=hit)
    sums = paid.groupby(["task", "target", "method"])[["paid", "hit"]].sum()
    expected = (sums.paid / sums.hit.where(sums.hit > 0)).unstack("method")
    expected = expected.dropna(how="all")
    if expected.empty:
        return {}
    ratio = expected.div(expected.min(axis=1), axis=0).fillna(np.inf)
    draws = np.random.default_rng(0).integers(0, len(ratio), (panels.RESAMPLES, len(ratio)))
    found = {}
    for method in ratio:
        within = ratio[method].to_numpy()[:, None] <= RATIOS * (1 + 1e-12)
        resampled = within[draws].mean(1)
        found[method] = within.mean(0), np.quantile(resampled, 0.025, 0), np.quantile(resampled, 0.975, 0)
    return found


def draw_steps(
    axes: Axes, x: np.ndarray, band: tuple[np.ndarray, np.ndarray, np.ndarray], method: str, strong: bool
) -> None:
    """Draw one method's rising share."""
    middle, low, high = band
    style = panels.stroke(method, strong)
    axes.plot(x, middle, marker=look(method).marker, markevery=(0.05, 0.2), markersize=3.4 if strong else 2, **style)
    if strong:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.1, linewidth=0, zorder=1)
