"""What each part of a method is worth: the gap of every ablation relative to the full method's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.contract.errors import UsageError, unknown
from workflow.figures import _panels as panels
from workflow.figures.style import MARKERS, look, spell, variants, wholes
from workflow.figures.tables import Tables, choose

TASK_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
WIDEST = 100.0  # factor; what lies beyond is drawn at the edge with its number


@dataclass(frozen=True)
class Options:
    """`families`: full method → its ablations (default: all that are `tuned_as` it); `tasks`."""

    families: dict[str, list[str]] | None = None
    tasks: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: one panel per full method, one line per ablation, one marker per task, interval over seeds."""
    facts = tables.tasks()
    runs = tables.final_gaps()
    families = read_families(options.families, tables.methods(), tables)
    calibrated = runs[~runs.task.isin(tables.spoilt())]
    rows = [row for full, parts in families.items() for row in compare(calibrated, full, parts)]
    ratios = pd.DataFrame(rows, columns=["task", "full", "part", "ratio", "low", "high", "word"])
    ratios = ratios.astype({"ratio": float, "low": float, "high": float})
    tasks = choose("task", options.tasks, [task for task in facts.index if task in set(ratios.task)], facts.index)
    ratios = ratios[ratios.task.isin(tasks)]
    if ratios.empty:
        involved = [label for full, parts in families.items() for label in (full, *parts)]
        raise UsageError(
            f"{tables.folder / 'runs.parquet'}: no task has both a full method and one of its ablations "
            f"({tables.why(options.tasks, involved)})"
        )
    longest = max(len(parts) for parts in families.values())
    height = 1.2 + 0.16 * longest * (1 + 0.45 * len(tasks))
    figure, (grid,) = plt.subplots(1, len(families), figsize=(3.9 * len(families), max(2.4, height)), squeeze=False)
    for axes, (full, parts) in zip(grid, families.items(), strict=True):
        here = ratios[ratios.full == full]
        if np.isfinite(here.ratio).any():
            draw_family(axes, here, parts, tasks, longest)
        else:
            panels.emptied(axes, f"nothing to compare: {tables.why(tasks, [full])}")
        axes.set_title(f"{look(full).name}: one part changed")
    names = [panels.sized(task, facts.dim[task]) for task in tasks]
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="") for color, marker in map(task_look, range(len(tasks)))
    ]
    panels.footer(figure, list(zip(handles, names, strict=True)), panels.uncalibrated(tables, facts.index))
    return figure


def task_look(index: int) -> tuple[str, str]:
    """Return colour and marker of the task of this number."""
    return TASK_COLORS[index % len(TASK_COLORS)], MARKERS[index % len(MARKERS)]


def read_families(given: dict[str, list[str]] | None, present: list[str], tables: Tables) -> dict[str, list[str]]:
    """Return full method → ablations, all of them in the tables."""
    if given is None:
        families = {full: variants(full, present) for full in wholes(present)}
        if not families:
            raise UsageError(
                f"{tables.folder / 'runs.parquet'} has no ablation: no label is `tuned_as` a method beside it; "
                "set `families` in the figure's options"
            )
        return families
    for full, parts in given.items():
        for label in (full, *parts):
            if label not in present:
                raise unknown("method (the tables have no rows for it):", label, present)
    return given


def compare(runs: pd.DataFrame, full: str, parts: list[str]) -> list[dict[str, Any]]:
    """Return rows of task, full, part, ratio, low, high: median gap of the part / of the full method.

    Bootstrapped over seeds, in pairs, as replicates start from the same point for every method.
    """
    rows = []
    gaps = runs.pivot_table(index=["task", "seed"], columns="method", values="gap", dropna=False)
    for task in dict.fromkeys(runs.task):
        here = gaps.loc[task]
        for part in parts:
            if full not in here or part not in here:
                continue
            pair = here[[part, full]].dropna().to_numpy()
            if not len(pair):
                continue
            draws = np.random.default_rng(0).integers(0, len(pair), (panels.RESAMPLES, len(pair)))
            with np.errstate(invalid="ignore"):
                ratio = np.divide(*panels.quantile(pair, 0.5, 0))
                resampled = panels.quantile(pair[draws], 0.5, 1)
                resampled = np.nan_to_num(resampled[:, 0] / resampled[:, 1], nan=1.0)
            low, high = panels.quantile(resampled, 0.025, 0), panels.quantile(resampled, 0.975, 0)
            status = runs.status[(runs.task == task) & (runs.method == part)]
            word = "" if np.isfinite(ratio) else spell(status.mode().iloc[0], capital=False)
            if not np.isfinite(panels.quantile(pair[:, 1], 0.5, 0)):  # nothing to compare with
                ratio, word = np.nan, "no full method"
            rows.append(
                {"word": word, "task": task, "full": full, "part": part, "ratio": ratio, "low": low, "high": high}
            )
    return rows


def draw_family(axes: Axes, ratios: pd.DataFrame, parts: list[str], tasks: list[str], rows: int) -> None:
    """Draw ratios on a log axis, in `rows` equal rows; right of one the part was worth having."""
    finite = ratios[np.isfinite(ratios.ratio)]
    if finite.empty:
        panels.note(axes, "no ablation of this method has a final loss")
        return
    limit = max(3.0, finite.ratio.max(), 1 / finite.ratio.min(), finite.high[np.isfinite(finite.high)].max()) * 1.4
    limit = min(limit, WIDEST)
    for row, part in enumerate(parts):
        for index, task in enumerate(tasks):
            found = ratios[(ratios.part == part) & (ratios.task == task)]
            if found.empty:
                continue
            ratio, low, high, word = found[["ratio", "low", "high", "word"]].iloc[0]
            y = row + (index - (len(tasks) - 1) / 2) * min(0.16, 0.7 / len(tasks))
            color, marker = task_look(index)
            if not np.isfinite(ratio):
                axes.text(limit, y, word + " ", color=color, fontsize=6, ha="right", va="center")
                continue
            axes.plot([max(low, 1 / limit), min(high, limit)], [y, y], color=color, linewidth=1.2, alpha=0.7)
            inside = min(max(ratio, 1 / limit), limit)
            axes.plot(inside, y, marker=marker, color=color, markersize=4.5, linestyle="", clip_on=False)
            if inside != ratio:
                side = {"ha": "right", "xytext": (-5, 0)} if ratio > 1 else {"ha": "left", "xytext": (5, 0)}
                text = f"{ratio:.0f}" if ratio > 1 else f"1/{1 / ratio:.0f}"
                place = {
                    "va": "center",
                    "textcoords": "offset points",
                    "zorder": 5,
                    "bbox": panels.GROUND | {"alpha": 1},
                    **side,
                }
                axes.annotate(text, (inside, y), color=color, fontsize=6, **place)
        if row % 2:
            axes.axhspan(row - 0.5, row + 0.5, color="#f5f5f5", zorder=0)
    axes.axvline(1, color="#444444", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(1 / limit, limit)
    panels.log_axis(axes.xaxis)
    axes.set_ylim(rows - 0.5, -0.5)
    names = [look(part).name for part in parts]
    axes.set_yticks(range(len(parts)), [name.split(" (", 1)[1][:-1] if " (" in name else name for name in names])
    axes.set_xlabel("gap / gap of the full method\n← better than it       worse than it →")
    axes.grid(axis="y", visible=False)
