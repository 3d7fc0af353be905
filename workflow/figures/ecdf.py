"""How much of everything is reached at which cost: ECDF of the targets, and a performance profile."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from methods._ranges import Count
from workflow.figures import _panels as panels
from workflow.figures.style import look, main_methods
from workflow.figures.tables import Tables, choose

RATIOS = np.geomspace(1, 1000, 120)
Band = tuple[np.ndarray, np.ndarray, np.ndarray]  # middle, low, high


@dataclass(frozen=True)
class Options:
    """`tasks`, `methods` (default: all but ablations), `edges`: dimensions that separate the columns."""

    tasks: list[str] | None = None
    methods: list[str] | None = None
    edges: list[Count] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: above ECDFs over the cost, below performance profiles, a column per class of dimension.

    A column shows the methods that met all of its tasks: others would be compared on different ones.
    """
    facts = tables.tasks()
    hits = tables.read("hits.parquet", ["task", "method", "seed", "target", "hit", "cost"])
    spent = tables.read("runs.parquet", ["task", "method", "seed", "cost"]).rename(columns={"cost": "spent"})
    oracles = tables.oracles()
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(hits.task)], facts.index)
    methods = choose("method", options.methods, main_methods(tables.methods()), tables.methods())
    hits = hits[hits.task.isin(tasks) & hits.method.isin(methods)].merge(spent, on=["task", "method", "seed"])
    hits["hit"] = hits.hit.astype(bool)
    ended = tables.endings(tasks, methods)
    ran = {*ended.method[ended.good], *hits.method[hits.hit]}
    absent = panels.absences(tables, methods, ran, tasks)
    methods = [method for method in methods if method in ran]
    classes = split(facts.dim.reindex(tasks), options.edges or [100, 10_000])
    if not classes:
        raise UsageError(f"no task of known size has targets: {tables.why(tasks)}")
    figure, grid = plt.subplots(
        2, len(classes), figsize=(max(2.6 * len(classes), 4.2), 4.6), squeeze=False, sharey="row"
    )
    met = {title: hits[hits.task.isin(members)].groupby("method").task.nunique() for title, members in classes.items()}
    complete = {title: [m for m in methods if met[title].get(m, 0) == len(classes[title])] for title in classes}
    drawn = [method for method in methods if any(method in shown for shown in complete.values())]
    strong = panels.emphasised(drawn, panels.typical_gap(tables))
    omitted: dict[str, list[str]] = {}
    for (title, members), (top, bottom) in zip(classes.items(), grid.T, strict=True):
        here, shown = hits[hits.task.isin(members)], complete[title]
        partial = [look(method).name for method in methods if 0 < met[title].get(method, 0) < len(members)]
        if partial:
            omitted.setdefault(", ".join(partial), []).append(title)
        top.set_title(f"{title}, {len(members)} task{'s' * (len(members) > 1)}")
        if shown:
            draw_class(top, bottom, here[here.method.isin(shown)], shown, strong, oracles)
        else:
            for axes in (top, bottom):
                panels.emptied(axes, "no method was run on every task of this class")
    for axes in grid.flat:
        if not axes.lines:
            continue
        axes.set_xscale("log")
        panels.log_axis(axes.xaxis)
        axes.set_ylim(-0.03, 1.03)
    grid[0, 0].set_ylabel("share of (task, seed, target)\nreached")
    grid[1, 0].set_ylabel("share of (task, target)\nwithin τ of the best")
    if not drawn:
        raise UsageError(
            f"{tables.folder / 'hits.parquet'}: no method was run on every task of a class: name other `tasks`"
            + (f" ({tables.why(tasks)})" if absent else "")
        )
    remarks = [f"Left out at {', '.join(titles)}, not run on every task: {who}." for who, titles in omitted.items()]
    panels.legend_below(
        figure, drawn, strong, remark=panels.lines(*remarks, absent, panels.uncalibrated(tables, tasks))
    )
    return figure


def draw_class(
    top: Axes, bottom: Axes, hits: pd.DataFrame, methods: list[str], strong: list[str], oracles: set[str]
) -> None:
    """Draw the ECDFs and the profiles of one class of tasks."""
    first = np.nan_to_num(hits.cost[hits.hit].clip(lower=1).min(), nan=1.0)
    cost = np.geomspace(max(1.0, first / 2), max(2.0, first, hits.spent.max()), 200)
    for method in methods:
        draw_steps(top, cost, ecdf(hits[hits.method == method], cost), method, method in strong)
    top.set_xlabel("cost (evaluations)")
    bottom.set_xlabel("τ, times the best method's cost")
    bottom.set_xlim(0.8, RATIOS[-1] * 1.25)
    shares = profiles(hits, oracles)
    if not shares:
        panels.emptied(bottom, "no method reached a target")
        return
    for method in methods:
        draw_steps(bottom, RATIOS, shares[method], method, method in strong)


def split(dims: pd.Series, edges: list[int]) -> dict[str, list[str]]:
    """Return title → tasks, by dimension; classes without a task are dropped."""
    bounds = [0, *sorted(edges), np.inf]
    found = {}
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        members = dims.index[(dims > low) & (dims <= high)].tolist()
        if members:
            ends = dict.fromkeys((dims[members].min(), dims[members].max()))
            found[f"{' … '.join(map(panels.number, ends))}-D"] = members
    return found


def ecdf(hits: pd.DataFrame, cost: np.ndarray) -> Band:
    """Return the share of (task, seed, target) hit by `cost`, with a 95 % bootstrap interval over seeds."""
    shares = []
    for _, run in hits.groupby("seed", sort=True):
        reached = np.sort(run.cost[run.hit].to_numpy(dtype=float))
        shares.append(np.searchsorted(reached, cost, side="right") / len(run))
    return mean_interval(np.stack(shares))


def mean_interval(values: np.ndarray) -> Band:
    """Return the mean over the first axis and its 95 % bootstrap interval."""
    draws = np.random.default_rng(0).integers(0, len(values), (panels.RESAMPLES, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975], axis=0)
    return values.mean(0), low, high


def profiles(hits: pd.DataFrame, oracles: set[str]) -> dict[str, Band]:
    """Return method → share of (task, target) whose expected running time is within τ of the best method's.

    Dolan & Moré 2002 on COCO's expected running time: cost of all runs up to success or end / number of successes.
    Methods that read the true gradient are measured against the best of the others but are not the best themselves;
    targets that no other method reaches are left out. The interval is a 95 % bootstrap over (task, target).
    """
    paid = hits.assign(paid=np.where(hits.hit, hits.cost, hits.spent))
    sums = paid.groupby(["task", "target", "method"])[["paid", "hit"]].sum()
    expected = (sums.paid / sums.hit.where(sums.hit > 0)).unstack("method")
    rivals = [method for method in expected if method not in oracles]
    expected = expected[expected[rivals].notna().any(axis=1)]
    if expected.empty:
        return {}
    ratio = expected.div(expected[rivals].min(axis=1), axis=0).fillna(np.inf)
    return {method: mean_interval(ratio[method].to_numpy()[:, None] <= RATIOS * (1 + 1e-12)) for method in expected}


def draw_steps(axes: Axes, x: np.ndarray, band: Band, method: str, strong: bool) -> None:
    """Draw one method's rising share."""
    middle, low, high = band
    style = panels.stroke(method, strong)
    marker = look(method).marker if strong else ""
    axes.plot(x, middle, marker=marker, markevery=(0.05, 0.2), markersize=3.4, **style)
    if strong:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.1, linewidth=0, zorder=1)
