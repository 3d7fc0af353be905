"""What ZeroGrads believes about the toy spline while it runs: `python -m workflow.tables.surrogate --out FILE`.

Writes surrogate.parquet (iteration, kind, x, value); x is z in natural steps (1.0 = the paper's σ), value a loss. The
method runs in the harness's own loop, with its default parameters and the start of replicate 0. Kinds, each after the
iteration:

* loss, smoothed: the true curve, and smoothed with N(0, σ²), with the σ of the method;
* sample: where the iteration evaluated the loss, and what it got;
* surrogate: h_φ along the curve after it was fitted, on the scale of the loss (the method fits losses divided by the
  mean of its first batch; that factor is multiplied back, nothing else is done to h_φ);
* theta: θ and its true loss; `path`: all θ up to the iteration.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from benchmarks.analytic.toy_spline import STEP, ToySpline
from benchmarks.contract.seeds import derive
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock
from benchmarks.harness.job import entry, limit_threads
from benchmarks.harness.kept import write_table
from benchmarks.harness.loop import Limits, Run
from methods.base import Evaluation
from methods.zerograds import Zerograds

ITERATIONS = (1, 30, 120, 300, 600)
POINTS = 601
EVALUATIONS_EACH = 20  # an upper bound of what one iteration spends, checked below
TASK = "toy_spline"


class Watched(Run):
    """A run that remembers its last batch."""

    batch: tuple[Tensor, Tensor]  # (n, dim), (n,)

    def _evaluate(self, z: Tensor) -> Evaluation:
        evaluation = super()._evaluate(z)
        self.batch = self.method.space.project(z), evaluation.loss
        return evaluation


def make_surrogate(iterations: tuple[int, ...] = ITERATIONS) -> pd.DataFrame:
    """Return the table; the last of `iterations` decides how long the run is."""
    problem = ToySpline(device="cpu")
    evaluations = EVALUATIONS_EACH * max(iterations)
    space = problem.space(derive(TASK, "start", 0), evaluations)
    seed = derive(TASK, "zerograds", 0)
    method = Zerograds(space, seed)
    limits = Limits(evaluations, 600.0)
    run = Watched(problem, method, Budget(evaluations, problem.grad_cost), Clock(problem.device), limits, seed, [])
    ends = problem.knots[[0, -1]] / STEP
    x = torch.linspace(float(ends[0]), float(ends[1]), POINTS)
    truth, smoothed = problem.loss(x[:, None], 0), problem.smoothed(x[:, None], method.sigma)
    parts, path = [], [method.incumbent()]
    for iteration in range(1, max(iterations) + 1):
        if not run.step():
            raise RuntimeError(f"ZeroGrads spends more than {EVALUATIONS_EACH} evaluations per iteration")
        path.append(method.incumbent())
        if iteration not in iterations:
            continue
        theta, ways = path[-1], torch.stack(path)
        rows = {
            "loss": (x, truth),
            "smoothed": (x, smoothed),
            "sample": (run.batch[0][:, 0], run.batch[1]),
            "surrogate": (x, method.predict(x[:, None])),
            "theta": (theta, problem.loss(theta[None], 0)),
            "path": (ways[:, 0], problem.loss(ways, 0)),
        }
        parts += [
            pd.DataFrame({"iteration": iteration, "kind": kind, "x": place.double(), "value": value.double()})
            for kind, (place, value) in rows.items()
        ]
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.surrogate", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, help="surrogate.parquet")
    arguments = parser.parse_args()
    limit_threads(1)
    table = make_surrogate()
    write_table(arguments.out, table)


if __name__ == "__main__":
    entry(main)
