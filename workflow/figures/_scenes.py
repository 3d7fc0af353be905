"""What the figures of rendered scenes share: errors over a run, paths of the unknowns, losses on grids."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.plateau import COLORS
from workflow.figures.style import look
from workflow.figures.tables import Tables, broken, choose
from workflow.tables.reproduction import approach_of

FLOOR = 1e-9  # smaller errors are shown as this one
OURS = "prdpt"
START = {"color": "#0072b2", "marker": "o", "linestyle": "", "label": "start"}
TARGET = {"color": "#009e73", "marker": "*", "linestyle": "", "label": "target"}
LANDSCAPE = "scene_landscape.parquet"


def scenes(tables: Tables) -> pd.DataFrame:
    """Return the rows of tasks.csv of rendered scenes, smallest first; raises UsageError where there are none."""
    facts = tables.tasks()
    facts = facts[facts.problem.str.startswith("rendering.")]
    if facts.empty:
        raise UsageError(f"{tables.folder / 'tasks.csv'} has no task of benchmarks/rendering: this figure shows those")
    return facts


def errors(tables: Tables, metric: str, tasks: Iterable[str]) -> pd.DataFrame:
    """Return one metric's checkpoints on these tasks; a run that broke down has an infinite value from there on."""
    frame = tables.curves(metric)
    runs = tables.read("runs.parquet", ["task", "method", "seed", "status", "cost", "wall_s"])
    frame = pd.concat([frame, broken(runs).assign(value=np.inf)], ignore_index=True)
    frame["value"] = frame.value.clip(lower=FLOOR)
    return frame[frame.task.isin(list(tasks))]


def finals(frame: pd.DataFrame) -> pd.Series:
    """Return the values at the end of `errors`, (task, method, seed) → value."""
    return frame.sort_values("cost", kind="stable").groupby(["task", "method", "seed"]).value.last()


def typical(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the median over seeds of those ends, task × method, missing where a method was not run."""
    if frame.empty:
        return pd.DataFrame(index=pd.Index([], name="task"))
    return finals(frame).groupby(["task", "method"]).median().unstack("method")


def ranked(medians: pd.DataFrame, labels: Iterable[str]) -> list[str]:
    """Return those labels that were run on all of the tasks (or, failing that, on some), the best first."""
    labels = [label for label in labels if label in medians and medians[label].notna().any()]
    everywhere = [label for label in labels if medians[label].notna().all()]
    score = np.log10(medians[everywhere or labels].clip(upper=1e3)).mean()
    return score.sort_values(kind="stable").index.tolist()


def mitsuba(tables: Tables) -> list[str]:
    """Return the labels that descend the path tracer's own gradient."""
    runs = tables.read("runs.parquet", ["method", "algorithm", "params"]).drop_duplicates("method")
    rows = runs[["method", "algorithm", "params"]].itertuples(index=False)
    return [row.method for row in rows if approach_of(*row) == "mitsuba_ad"]


def landscapes(tables: Tables, dims: tuple[int, ...]) -> dict[str, pd.DataFrame]:
    """Return task → rows of the loss on a grid, for tasks of these numbers of dimensions.

    Raises:
        UsageError: there is no table, no such task, or a task without rows of one kind.
    """
    table = tables.read(LANDSCAPE, ["task", "kind", "sigma", "z_0", "z_1", "value"])
    found = {}
    for task, rows in table.groupby("task", sort=False):
        for kind in ("loss", "smoothed", "start", "target"):
            if kind not in set(rows.kind):
                raise UsageError(f"{tables.folder / LANDSCAPE}: task {task!r} has no rows of kind {kind!r}")
        if (2 if rows.z_1.notna().any() else 1) in dims:
            found[task] = rows
    if not found:
        raise UsageError(f"{tables.folder / LANDSCAPE} has no task of {' or '.join(map(str, dims))} unknowns")
    return found


def draw_missing(axes: Axes, tables: Tables, task: str) -> None:
    """Say in a panel why a task's loss is not there."""
    panels.emptied(axes, f"no loss on a grid: {tables.why([task])}" if task in tables.spoilt() else "no loss on a grid")


def paths(tables: Tables, tasks: Iterable[str], wanted: list[str] | None) -> tuple[pd.DataFrame, list[str]]:
    """Return the checkpoints' unknowns (task, method, seed, cost, z_0[, z_1]) and the methods to show.

    By default the path tracer's best gradient and ours, where they were run. Without a path there are no rows.
    """
    parts = [tables.curves(metric).assign(metric=metric) for metric in ("z_0", "z_1")]
    frame = pd.concat(parts)
    frame = frame[frame.task.isin(list(tasks))]
    if wanted is None:
        medians = typical(errors(tables, "loss", tasks))
        present = list(dict.fromkeys(frame.method))
        best = ranked(medians, [label for label in mitsuba(tables) if label in present])[:1]
        wanted = [*best, *(label for label in [OURS] if label in present)] or ranked(medians, present)[:2]
    methods = choose("method", wanted, frame.method, tables.methods())
    keys = ["task", "method", "seed", "cost"]
    wide = frame[frame.method.isin(methods)].pivot_table(index=keys, columns="metric", values="value")
    wide = wide.reset_index().reindex(columns=[*keys, "z_0", "z_1"])
    return wide[wide.z_0.notna()], methods


def remark(tables: Tables, tasks: Iterable[str], wanted: list[str] | None, shown: list[str]) -> str:
    """Return why methods miss on all of these tasks, a line each; by default of PRDPT and Mitsuba's gradients."""
    if wanted is None:
        gradients = mitsuba(tables)
        wanted = [OURS] if set(gradients) & set(shown) else [OURS, *gradients]
        wanted = [label for label in wanted if label in tables.methods()]
    return panels.absences(tables, wanted, shown, tasks)


def draw_losses(axes: Axes, rows: pd.DataFrame, sigmas: Iterable[float]) -> pd.DataFrame:
    """Draw loss and smoothed losses along z_0 on the scale of the start's loss; return the loss on that scale."""
    scale = rows.value[rows.kind == "start"].iloc[0]
    loss = rows[rows.kind == "loss"].sort_values("z_0")
    loss = loss.assign(value=loss.value / scale)
    axes.plot(loss.z_0, loss.value, color="#111111", linewidth=1.4, label="loss")
    for index, sigma in enumerate(sigmas):
        smoothed = rows[(rows.kind == "smoothed") & (rows.sigma == sigma)].sort_values("z_0")
        color = COLORS[min(index, len(COLORS) - 1)]
        axes.plot(smoothed.z_0, smoothed.value / scale, color=color, linewidth=1.1, label=f"smoothed, σ = {sigma:g}")
    for kind, style, size in (("start", START, 6), ("target", TARGET, 10)):
        place = rows[rows.kind == kind].iloc[0]
        axes.plot(place.z_0, place.value / scale, markersize=size, zorder=6, **style)
    axes.axvline(rows.z_0[rows.kind == "start"].iloc[0], color=START["color"], linewidth=0.6, linestyle=":")
    axes.set_xlim(loss.z_0.min(), loss.z_0.max())
    axes.set_ylim(bottom=-0.06)
    return loss


def bandwidths(rows: pd.DataFrame, wanted: list[float] | None) -> list[float]:
    """Return the bandwidths to draw; raises UsageError for one that the table does not have."""
    present = sorted(rows.sigma.dropna().unique().tolist())
    for sigma in wanted or []:
        if sigma not in present:
            raise UsageError(f"{LANDSCAPE} has no loss smoothed with sigma {sigma!r}; known: {present}")
    return present if wanted is None else wanted


def dot(label: str) -> dict[str, object]:
    """Return the keyword arguments of a method's dot."""
    style = look(label)
    edge = style.color if style.marker == "x" else "white"
    return {"color": style.color, "marker": style.marker, "markeredgecolor": edge, "markeredgewidth": 0.4}
