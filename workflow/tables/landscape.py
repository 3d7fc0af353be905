"""The loss of the moving square along its way, as it is and smoothed: `python -m workflow.tables.landscape`.

Writes landscape.parquet (case, x, kind, sigma, value). `x` is the signed distance to the target along the line from the
target to the start, in natural steps (1.0 = the σ of PRDPT's example, .05 of the picture). Kinds:

* loss: L at 2,001 points of the line, each evaluated; beyond the box at the nearest point of the box, as in every run;
* smoothed: ∫ N(t; 0, σ²) L(x + t) dt by the trapezoidal rule over the same dense line, ±6σ; smoothed along the line
  only, the other coordinate stays where it is;
* start, target: where the two are, and their loss;
* start_picture, target_picture: their grey values in [0, 1], `x` being the pixel's number, row by row.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pandas as pd
import torch

from benchmarks.contract.parameters import check
from benchmarks.harness.job import entry, limit_threads, open_device
from benchmarks.harness.kept import write_table
from benchmarks.raster.square import Square
from workflow.suite import load_suite

PROBLEM = "raster.square"
POINTS = 2001
SIGMAS = (1.0, 2.0, 4.0)  # the example's bandwidth, and two of those that an annealing comes down from
REACH = 6.0  # standard deviations on either side that the quadrature covers


def smooth(x: np.ndarray, values: np.ndarray, at: np.ndarray, sigma: float) -> np.ndarray:
    """Return (N(0, σ²) ⋆ values)(at), trapezoidal over the evenly spaced `x` (m,), which must reach 6σ beyond `at`."""
    kernel = np.exp(-0.5 * ((at[:, None] - x[None]) / sigma) ** 2)
    return kernel @ values / kernel.sum(1)


def case_table(problem: Square, case: str) -> pd.DataFrame:
    """Return the rows of one case."""
    begin, target = problem.begin, problem.reference
    distance = float((begin - target).norm())
    direction = (begin - target) / distance
    step = (distance + 12.0) / (POINTS - 1)
    shown = -6.0 + step * np.arange(POINTS)  # from 6 steps before the target to 6 beyond the start
    margin = int(np.ceil(REACH * max(SIGMAS) / step))
    x = -6.0 + step * np.arange(-margin, POINTS + margin)
    line = target + torch.as_tensor(x, dtype=target.dtype, device=target.device)[:, None] * direction
    line = line.clamp(problem.lower, problem.upper)
    with torch.no_grad():
        loss = torch.cat([problem.loss(part, 0) for part in line.split(problem.max_batch)]).double().cpu().numpy()
        ends = problem.loss(torch.stack([begin, target]), 0).tolist()
        pictures = [problem.image(z).double().flatten().cpu().numpy() for z in (begin, target)]
    parts = [frame(x=shown, kind="loss", value=loss[margin : margin + POINTS])]
    parts += [frame(x=shown, kind="smoothed", sigma=s, value=smooth(x, loss, shown, s)) for s in SIGMAS]
    for kind, place, value, picture in zip(("start", "target"), (distance, 0.0), ends, pictures, strict=True):
        parts.append(frame(x=[place], kind=kind, value=[value]))
        parts.append(frame(x=np.arange(picture.size), kind=f"{kind}_picture", value=picture))
    return pd.concat(parts, ignore_index=True).assign(case=case)


def frame(sigma: float = np.nan, **columns: Any) -> pd.DataFrame:
    """Return rows of one kind; σ is missing where nothing is smoothed."""
    return pd.DataFrame({**columns, "sigma": sigma}).astype({"x": float, "value": float, "sigma": float})


def make_landscape(config: Path) -> pd.DataFrame:
    """Return the table for all cases of the square, at the size that the suite's squares have."""
    suite = load_suite(config)
    open_device(suite.device)
    limit_threads(suite.threads)
    sizes = [task.params["size"] for task in suite.tasks.values() if task.problem == PROBLEM and "size" in task.params]
    cases = get_args(get_type_hints(Square.setup)["case"])
    tables = []
    for case in cases:
        params = check(Square.setup, {"case": case, **({"size": sizes[0]} if sizes else {})}, PROBLEM)
        tables.append(case_table(Square(device=suite.device, **params), case))
    return pd.concat(tables, ignore_index=True)[["case", "x", "kind", "sigma", "value"]]


def main() -> None:
    """Parse the command line and write the table."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables.landscape", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="the suite's config file")
    parser.add_argument("--out", required=True, type=Path, help="landscape.parquet")
    arguments = parser.parse_args()
    table = make_landscape(arguments.config)
    write_table(arguments.out, table)


if __name__ == "__main__":
    entry(main)
