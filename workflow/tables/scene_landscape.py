"""The loss of rendered scenes with one or two unknowns, as it is and smoothed.

`python -m workflow.tables.scene_landscape` writes scene_landscape.parquet (task, kind, sigma, z_0, z_1, value) for
every task of the suite in `benchmarks/rendering` that has at most two dimensions. Places are z, in natural steps; z_1
is missing in one dimension. Kinds:

* loss: L = criterion(observe(z)) on a regular grid, from 3.5 natural steps before the nearer to 3.5 steps beyond the
  farther of start and target, cut at the task's bounds; all with the random numbers of seed 0;
* smoothed: ∫ N(t; 0, σ²I) L(z + t) dt on the same grid, by a separable discrete convolution up to ±3σ. The loss is
  evaluated that far around the grid, beyond a bound at the nearest point of the box, as in every run;
* start, target: where the two are, and their loss.
"""

from __future__ import annotations

import argparse
import traceback
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.contract.errors import Unsupported
from benchmarks.contract.parameters import check
from benchmarks.harness.job import entry, limit_threads, open_device
from benchmarks.harness.kept import write_table
from benchmarks.harness.registry import task_class
from benchmarks.rendering._scene import Scene
from workflow.suite import Task, load_suite
from workflow.tables.schema import check as check_table

WORLD = "rendering"
POINTS = {1: 361, 2: 41}  # dimensions → points per axis
SIGMAS = (0.5, 1.0, 2.0)  # half, once and twice the bandwidth of the paper
ROOM = 3.5  # natural steps shown beyond start and target: a little more than half a turn of the mug on either side
REACH = 3.0  # standard deviations on either side that the convolution covers


def reach(sigma: float, step: float) -> int:
    """Return how many steps cover 3σ; a rounding error of the step does not add one."""
    return int(np.ceil(REACH * sigma / step - 1e-6))


def kernel(sigma: float, step: float) -> np.ndarray:
    """Return N(0, σ²) at multiples of `step` within ±3σ, of sum 1."""
    half = reach(sigma, step)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) * step / sigma) ** 2)
    return weights / weights.sum()


def smooth(values: np.ndarray, sigma: float, steps: list[float], margins: list[int]) -> np.ndarray:
    """Return N(0, σ²I) ⋆ values on the grid without its margins, axis by axis."""
    for axis, (step, margin) in enumerate(zip(steps, margins, strict=True)):
        weights = kernel(sigma, step)
        spare = margin - len(weights) // 2
        values = np.take(values, np.arange(spare, values.shape[axis] - spare), axis)
        values = np.apply_along_axis(np.convolve, axis, values, weights, "valid")
    return values


def axis_of(problem: Scene, axis: int) -> tuple[np.ndarray, int]:
    """Return the evenly spaced values of a coordinate, margins included, and the number of points of a margin."""
    ends = sorted(float(point[axis]) for point in (problem.begin, problem.reference))
    low, high = ends[0] - ROOM, ends[1] + ROOM
    if problem.lower is not None:
        low = max(low, float(problem.lower[axis]))
    if problem.upper is not None:
        high = min(high, float(problem.upper[axis]))
    shown = POINTS[problem.dim]
    step = (high - low) / (shown - 1)
    margin = reach(max(SIGMAS), step)
    return low + step * np.arange(-margin, shown + margin), margin


def loss_on(problem: Scene, axes: list[np.ndarray]) -> np.ndarray:
    """Return the loss on the product of the axes; points outside the box share their nearest one's evaluation."""
    places, index = [], []
    for axis, values in enumerate(axes):
        values = values.astype(np.float32)
        if problem.lower is not None:
            values = values.clip(min=float(problem.lower[axis]))
        if problem.upper is not None:
            values = values.clip(max=float(problem.upper[axis]))
        place, where = np.unique(values, return_inverse=True)
        places.append(place)
        index.append(where)
    z = torch.tensor(list(product(*(place.tolist() for place in places))), device=problem.device)
    with torch.no_grad():
        parts = [problem.criterion(problem.observe(part, 0)) for part in z.split(problem.max_batch)]
    loss = torch.cat(parts).double().cpu().numpy().reshape([len(place) for place in places])
    return loss[np.ix_(*index)]


def task_table(problem: Scene) -> pd.DataFrame:
    """Return the rows of one task."""
    axes, margins = zip(*(axis_of(problem, axis) for axis in range(problem.dim)), strict=True)
    loss = loss_on(problem, list(axes))
    steps = [float(values[1] - values[0]) for values in axes]
    inner = [slice(margin, -margin) for margin in margins]
    grid = np.meshgrid(*(values[part] for values, part in zip(axes, inner, strict=True)), indexing="ij")
    parts = [frame(grid, "loss", loss[tuple(inner)])]
    parts += [frame(grid, "smoothed", smooth(loss, sigma, steps, list(margins)), sigma) for sigma in SIGMAS]
    with torch.no_grad():
        for kind, place in (("start", problem.begin), ("target", problem.reference)):
            value = float(problem.criterion(problem.observe(place[None], 0))[0])
            parts.append(frame([np.array(float(part)) for part in place], kind, np.array(value)))
    return pd.concat(parts, ignore_index=True)


def frame(places: list[np.ndarray], kind: str, value: np.ndarray, sigma: float = np.nan) -> pd.DataFrame:
    """Return rows of one kind; σ is missing where nothing is smoothed, z_1 in one dimension."""
    second = places[1].ravel() if len(places) > 1 else np.nan
    columns = {"kind": kind, "sigma": sigma, "z_0": places[0].ravel(), "z_1": second, "value": value.ravel()}
    return pd.DataFrame(columns).astype(dict.fromkeys(("sigma", "z_0", "z_1", "value"), float))


def build(task: Task, device: str) -> Scene:
    """Return the task's problem."""
    kind = task_class(task.problem)
    params: dict[str, Any] = check(kind.setup, task.params, f"task {task.label!r} ({task.problem})")
    return kind(device=device, **params)


def make_scene_landscape(config: Path) -> pd.DataFrame:
    """Return the table for the suite's rendered tasks of at most two dimensions; without rows where it has none.

    A scene that cannot be rendered here has no rows, and the log says why.
    """
    suite = load_suite(config)
    open_device(suite.device)
    limit_threads(suite.threads)
    tables = []
    for task in suite.tasks.values():
        if not task.problem.startswith(f"{WORLD}."):
            continue
        try:
            problem = build(task, suite.device)
            if problem.dim not in POINTS:
                continue
            tables.append(task_table(problem).assign(task=task.label))
            print(f"{task.label}: {problem.dim}-D, {len(tables[-1])} rows", flush=True)
        except Unsupported as error:
            print(f"{task.label}: {error}", flush=True)
        except Exception:  # noqa: BLE001  (one scene must not keep the others from being shown)
            print(f"{task.label}: left out:\n{traceback.format_exc()}", flush=True)
    empty = frame([np.empty(0)], "", np.empty(0)).assign(task="")
    return check_table(pd.concat(tables, ignore_index=True) if tables else empty, "scene_landscape")


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.scene_landscape", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="the suite's config file")
    parser.add_argument("--out", required=True, type=Path, help="scene_landscape.parquet")
    arguments = parser.parse_args()
    table = make_scene_landscape(arguments.config)
    write_table(arguments.out, table)


if __name__ == "__main__":
    entry(main)
