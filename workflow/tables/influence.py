"""What `influence` learns while it runs: `python -m workflow.tables.influence --out FILE`.

Writes influence.parquet (kind, evaluations, x, value). The method runs in the harness's own loop, with its default
parameters and the start of replicate 0. Of the digit network:

* entry: an entry of S that was learned (value) against the true ∂P/∂z (x), at the θ where the memory held most;
* true, false: how many entries of S belong to a parameter that moves the pixel, and to one that does not; both zero,
  without rows of kind entry, where the run ended before anything was learned;
* picture, target: numbers of a picture, x being their place, after so many evaluations.

Of the caustic, over the run: gap (the criterion at θ over that at the start), and, unless losses alone were read, r2
(of the picture's responses, held out) and level (of blur).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.caustics.height_field import HeightField
from benchmarks.contract.problem import Problem
from benchmarks.contract.seeds import derive
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock
from benchmarks.harness.job import entry, limit_threads
from benchmarks.harness.kept import write_table
from benchmarks.harness.loop import Limits, Run
from benchmarks.networks.digit_mlp import DigitMlp
from methods._influence_model import Influence as Model
from methods._influence_sparse import Sparse
from methods.base import Stopped
from methods.influence import Influence

SHOWN = (10, 50, 200, 600)  # evaluations after which the digit is shown, the last is the run's budget
CAUSTIC = 1300  # evaluations
SECONDS = 1200.0
POINTS = 3000  # entries of S that are kept, drawn evenly
ROWS = 128  # of a Jacobian at once


def true_jacobian(problem: Problem, z: Tensor) -> Tensor:
    """Return ∂P/∂z (pixels, dim) at z (dim,), by automatic differentiation."""

    def rendered(z: Tensor) -> Tensor:
        return problem.observe(z[None], 0).flatten()

    return torch.func.jacrev(rendered, chunk_size=ROWS)(z)


def steps(problem: Problem, task: str, evaluations: int) -> Iterator[tuple[int, Influence]]:
    """Yield the evaluations spent and the method, after each of its batches."""
    space = problem.space(derive(task, "start", 0), evaluations)
    seed = derive(task, "influence", 0)
    method = Influence(space, seed)
    limits = Limits(evaluations, SECONDS)
    run = Run(problem, method, Budget(evaluations, problem.grad_cost), Clock(problem.device), limits, seed, [])
    try:
        while run.step():
            yield method.used, method
    except Stopped:  # nothing is left to gain
        return


def frame(kind: str, evaluations: float, x: Any, value: Any) -> pd.DataFrame:  # noqa: ANN401  (arrays of any kind)
    """Return rows of one kind."""
    columns = {"kind": kind, "evaluations": evaluations, "x": np.asarray(x, float), "value": np.asarray(value, float)}
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class Snapshot:
    """What was known after so many evaluations: S, at θ (dim,), from so many renders."""

    used: int
    renders: float
    theta: Tensor
    sparse: Sparse

    @classmethod
    def of(cls, method: Influence) -> Snapshot:
        return cls(method.used, float(method.weight.sum()), method.incumbent(), Model(**method.model).sparse)


def learned(problem: Problem, snapshot: Snapshot, points: int = POINTS) -> list[pd.DataFrame]:
    """Return entries of S beside the true ones, and how many are true and false."""
    sparse = snapshot.sparse
    pixel, column = (sparse.index >= 0).nonzero(as_tuple=True)
    truth = true_jacobian(problem, snapshot.theta)[pixel, sparse.index[pixel, column]]
    value, moved = sparse.value[pixel, column], truth != 0
    kept = np.linspace(0, len(truth) - 1, min(points, len(truth))).round().astype(int)
    counts = {"true": int(moved.sum()), "false": int((~moved).sum())}
    used = snapshot.used
    return [
        frame("entry", used, truth[kept], value[kept]),
        *(frame(kind, used, [0], [count]) for kind, count in counts.items()),
    ]


def digit_rows(shown: Sequence[int] = SHOWN) -> list[pd.DataFrame]:
    """Return what the digit network's run tells, of as many evaluations as the last of `shown`."""
    problem, pending, parts = DigitMlp(device="cpu"), list(shown), []
    most: Snapshot | None = None  # where the memory held most, which has nothing to do with what it says
    picture = problem.image(problem.space(derive("digit_mlp", "start", 0), max(shown)).start)
    for used, method in steps(problem, "digit_mlp", max(shown)):
        while pending and pending[0] < used:
            parts.append(frame("picture", pending.pop(0), np.arange(picture.numel()), picture.flatten()))
        picture = problem.image(method.incumbent())
        if method.model and (most is None or float(method.weight.sum()) > most.renders):
            most = Snapshot.of(method)
    parts += [frame("picture", at, np.arange(picture.numel()), picture.flatten()) for at in pending]
    target = problem.target_image().flatten()
    parts.append(frame("target", max(shown), np.arange(len(target)), target))
    if most is None:
        return [*parts, *(frame(kind, max(shown), [0], [0]) for kind in ("true", "false"))]
    return [*parts, *learned(problem, most)]


def caustic_rows(evaluations: int = CAUSTIC, **params: int) -> list[pd.DataFrame]:
    """Return what the caustic's run tells."""
    problem, rows = HeightField(device="cpu", **params), []
    for used, method in steps(problem, "caustic", evaluations):
        loss = float(problem.loss(method.incumbent()[None], 0)[0])
        start = rows[0]["loss"] if rows else loss
        read = method.phase != "blind" and method.r2 != 0  # there is no fit before the first batch
        rows.append(
            {"used": used, "loss": loss, "gap": loss / start, "r2": method.r2, "level": method.level, "read": read}
        )
    table = pd.DataFrame(rows)
    fitted = table[table["read"]]
    return [
        frame("gap", np.nan, table.used, table.gap),
        frame("r2", np.nan, fitted.used, fitted.r2),
        frame("level", np.nan, fitted.used, fitted.level),
    ]


def make_influence(shown: Sequence[int] = SHOWN, evaluations: int = CAUSTIC, **params: int) -> pd.DataFrame:
    """Return the table; `params` are the caustic's."""
    return pd.concat([*digit_rows(shown), *caustic_rows(evaluations, **params)], ignore_index=True)


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.influence", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, help="influence.parquet")
    arguments = parser.parse_args()
    limit_threads(1)
    write_table(arguments.out, make_influence())


if __name__ == "__main__":
    entry(main)
