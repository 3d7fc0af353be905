"""How much of the way does a tuned choice give away? `python -m tests.campaign.regret --out FOLDER`.

For 19 pairs of task and method of the desk suite: the search that tunes everybody (benchmarks/harness/search.py), then
every cell that it tried in its first round at the full budget on starts that no tuning saw. A pair's regret is the gap
that the choice leaves minus the gap that the best of these cells leaves, both medians over the fresh starts: a share
of the way from start to optimum. The best cell is picked on the very runs it is judged by, so this overstates regret.
Writes regret.csv (one row per pair) and regret_cells.csv; killed and typed again, it goes on.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.cell import RUNS, Cell, run_cell
from benchmarks.harness.job import limit_threads
from benchmarks.harness.kept import load_table
from benchmarks.harness.registry import task_class
from benchmarks.harness.search import chosen, text_of
from benchmarks.harness.sources import ROOT
from benchmarks.harness.tune import TuningCell, done, steps_of, tune
from workflow.suite import load_suite

FRESH = 2_000_000  # replicates from here on: neither tuning nor the comparison sees them
PAIRS = {
    "caustic": (
        *("evolution_strategy", "evolution_strategy_one_sided", "spsa_adam", "prdpt", "cma_es_separable", "snes"),
    ),
    "digit_mlp": ("evolution_strategy", "evolution_strategy_one_sided", "spsa_adam", "prdpt", "cma_es_separable"),
    "texture_32": ("evolution_strategy", "evolution_strategy_one_sided", "spsa_adam", "prdpt"),
    "squares_4": ("prdpt", "evolution_strategy", "snes"),
    "square_apart": ("snes",),
}


def study(cell: TuningCell, out: Path, starts: int) -> pd.DataFrame:
    """Tune one pair, then run what was tried at the full budget; return one row per cell of the first round."""
    limit_threads(1)
    folder = out / cell.task / cell.method
    tune(cell, folder)
    known = {}
    steps = steps_of(cell, folder, known)
    assert all(done(step, known) for step in steps)
    rounds = [[known[step.number] for step in steps if step.round == number] for number in (1, 2)]
    choice = chosen(*rounds) or rounds[0][0].choice  # the defaults stand first
    problem = task_class(cell.problem)(**cell.problem_params)
    floor, rows = problem.floor(), []
    for step in steps:
        if step.round == 2:
            continue
        facts = replace(cell.run(step.choice, second=True), replicates=[FRESH + start for start in range(starts)])
        runs = folder / f"fresh_{sha256(text_of(step.choice).encode()).hexdigest()[:12]}"
        run_cell(facts, runs)
        rows.append(row(facts, runs, floor, step.choice, step.choice == choice))
    return pd.DataFrame(rows)


def row(cell: Cell, folder: Path, floor: float, choice: dict[str, object], picked: bool) -> dict[str, object]:
    """Return how a cell of the search does on fresh starts."""
    runs = load_table(folder / RUNS)
    gap = ((runs["loss_final"] - floor) / (runs["loss_start"] - floor)).fillna(np.inf)
    return {
        "task": cell.task,
        "method": cell.method,
        "choice": text_of(choice),
        "chosen": picked,
        "gap": float(gap.median()),
        "gaps": json.dumps([round(float(value), 6) for value in gap]),
    }


def regrets(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per pair: gap of the choice, of the defaults, of the best cell, and what the choice gives away."""
    rows = []
    for (task, method), group in cells.groupby(["task", "method"], sort=False):
        found = group.loc[group["chosen"], "gap"].item()
        best = group.loc[group["gap"].idxmin()]
        rows.append(
            {
                "task": task,
                "method": method,
                "choice": group.loc[group["chosen"], "choice"].item(),
                "best": best["choice"],
                "gap_chosen": found,
                "gap_defaults": group["gap"].iloc[0],
                "gap_best": best["gap"],
                "regret": min(found, 1.0) - best["gap"],
                "regret_defaults": min(group["gap"].iloc[0], 1.0) - best["gap"],
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Parse the command line, study every pair and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.regret", description=__doc__)
    parser.add_argument("--out", required=True, type=Path, help="folder for runs and tables")
    parser.add_argument("--starts", type=int, default=2, help="fresh starts per cell")
    parser.add_argument("--jobs", type=int, default=1, help="pairs at once")
    given = parser.parse_args()
    suite = load_suite(ROOT / "config" / "desk.yaml")
    cells = {(cell.task, cell.method): cell for cell in suite.tuning_cells}
    wanted = [cells[task, method] for task, methods in PAIRS.items() for method in methods]
    with ProcessPoolExecutor(given.jobs) as pool:
        jobs = [pool.submit(study, cell, given.out, given.starts) for cell in wanted]
        found = pd.concat([job.result() for job in jobs], ignore_index=True)
    table = regrets(found)
    found.to_csv(given.out / "regret_cells.csv", index=False)
    table.to_csv(given.out / "regret.csv", index=False)
    print(table.drop(columns=["choice", "best"]).round(4).to_string(index=False))
    print(
        f"{len(table)} pairs: mean regret {table.regret.mean():.1%} of the way, median {table.regret.median():.1%}; "
        f"of the defaults {table.regret_defaults.mean():.1%}"
    )


if __name__ == "__main__":
    main()
