"""What becomes of a picture: start, the best rival after so many evaluations, random search, target."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.gallery import draw_picture
from workflow.figures.style import look
from workflow.figures.tables import Tables, choose

WIDE, WIDER = 1.7, 3.0  # width by height, from where pictures stand in two rows, in three
ROW = 0.7  # inches, of a task without pictures
COLUMN = 20  # letters
MISSED = "_too_many"  # of a count's name: the value that tells how far it is from the target's


@dataclass(frozen=True)
class Options:
    """`tasks`, in their order (default: all that worlds.npz has pictures of)."""

    tasks: list[str] | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: per task start, iterations of the best rival, random search at the end, target."""
    facts, shown, made = tables.tasks(), tables.pictures(), tables.pictures("worlds.npz")
    there = [task for task in facts.index if any(key.startswith(f"{task}/") for key in made)]
    tasks = choose("task with pictures", options.tasks, there, facts.index)
    if not tasks:
        raise UsageError(f"{tables.folder / 'worlds.npz'} holds no picture: name tasks that have some")
    gaps, ends = tables.gap_curves(), tables.read("runs.parquet", ["task", "method", "seed"], {"values": ""})
    rows = [items_of(task, shown, made, gaps[gaps.task == task], ends[ends.task == task]) for task in tasks]
    lines = [lines_of(items) for items in rows]
    heights = [count * height_of(items, count) + 0.3 for items, count in zip(rows, lines, strict=True)]
    figure = plt.figure(figsize=(7.6, sum(heights)))
    blocks = figure.subfigures(len(tasks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for task, items, count, block in zip(tasks, rows, lines, blocks, strict=True):
        block.suptitle(panels.sized(task, facts.dim[task]), fontsize=8.5)
        grid = list(block.subplots(count, -(-max(len(items), 1) // count), squeeze=False).flat)
        for axes in grid:
            axes.set_axis_off()
        if not items:
            panels.emptied(grid[0], tables.why([task]))
        for axes, (name, text, color, picture) in zip(grid, items, strict=False):
            draw_picture(axes, picture)
            axes.set_title(f"{textwrap.fill(name, COLUMN)}\n{text}".strip(), fontsize=6.2, color=color, pad=2)
    return figure


Item = tuple[str, str, str, np.ndarray | None]  # name, what is told of it, colour, picture


def items_of(
    task: str, shown: dict[str, np.ndarray], made: dict[str, np.ndarray], gaps: pd.DataFrame, ends: pd.DataFrame
) -> list[Item]:
    """Return what a task's block shows, nothing where nobody left a picture; counts are told of ends and target."""
    keys = [key for key in made if key.rsplit("/", 2)[0] == task]
    if not keys:
        return []
    order = sorted(keys, key=lambda key: (key.split("/")[1] == "random_search", int(key.split("/")[2])))
    last = {key.split("/")[1]: key for key in order}
    items: list[Item] = [("start", "", "#222222", shown.get(f"{task}/start"))]
    wanted = ""
    for key in order:
        _, method, at = key.split("/")
        mine = gaps[(gaps.method == method) & (gaps.cost <= float(at))]
        mine = mine[mine.seed == mine.seed.min()].sort_values("cost", kind="stable")
        gap = f", gap {mine.gap.iloc[-1]:.2g}" if len(mine) and np.isfinite(mine.gap.iloc[-1]) else ""
        text = f"{panels.number(int(at))}{gap}"
        if key == last[method]:
            values = ends[ends.method == method].sort_values("seed")["values"].head(1)
            counts, target = counts_of(values.iloc[0] if len(values) else "")
            text, wanted = f"{text}\n{counts}".strip(), target or wanted
        items.append((look(method).name, text, look(method).color, made[key]))
    return [*items, ("target", wanted, "#222222", shown.get(f"{task}/target"))]


def counts_of(values: str) -> tuple[str, str]:
    """Return the counts among decoded values (JSON) and those of the target, in lines; "" where there are none."""
    named = json.loads(values or "{}")
    counts = {name: int(named[name]) for name in named if f"{name}{MISSED}" in named}
    target = {name: count - int(named[f"{name}{MISSED}"]) for name, count in counts.items()}
    mine, wanted = (", ".join(f"{name} {count}" for name, count in each.items()) for each in (counts, target))
    return textwrap.fill(mine, COLUMN), textwrap.fill(wanted, COLUMN)


def aspect(items: list[Item]) -> float:
    """Return width by height of the pictures of a block."""
    for *_, picture in items:
        if picture is not None:
            return picture.shape[1] / picture.shape[0]
    return 1.0


def lines_of(items: list[Item]) -> int:
    """Return in how many rows a block's pictures stand: the wider they are, the more."""
    return 3 if aspect(items) >= WIDER else 2 if aspect(items) >= WIDE else 1


def height_of(items: list[Item], count: int) -> float:
    """Return the height of a row in inches, its titles included."""
    if not items:
        return ROW
    columns = -(-len(items) // count)
    lines = max(text.count("\n") for _, text, *_ in items)
    return max(0.5, 7.2 / columns / aspect(items) + 0.32 + 0.1 * lines)
