"""The same tuning effort for every learner on every family: its own grid of six cells, judged on validation members.

`python -m benchmarks.harness.meta_tune --spec JSON --out FOLDER` writes rows like those of `benchmarks.harness.tune`. A
grid cell's score is the geometric mean of the family's metric (median over members) over log-spaced steps: being good
early counts as much as being good late. Test members are never seen, nor are the comparison's seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.adapt import ADAPTATION, MODELS, adapt_all
from benchmarks.harness.cell import entry, limit_threads
from benchmarks.harness.kept import load_table, write_table
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import train_all
from benchmarks.harness.registry import learner_class
from benchmarks.harness.seeds import TUNING_REPLICATES
from benchmarks.harness.tune import TABLE, grid, str_of


def scores(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return `start` and `score` by seed: the metric before adaptation, and its geometric mean over steps from 1 on."""
    points = points[points["metric"] == metric]
    values = points["value"].fillna(np.inf)
    medians = values.groupby([points["seed"], points["step"]]).median().clip(lower=1e-12)
    later = medians[medians.index.get_level_values("step") > 0]
    return pd.DataFrame(
        {"start": medians.xs(0, level="step"), "score": np.exp(np.log(later).groupby(level="seed").mean())}
    )


def tune(cell: MetaCell, out: Path) -> None:
    """Train and adapt with every cell of the learner's grid, and store one row per grid cell and replicate."""
    replicates = [TUNING_REPLICATES + replicate for replicate in cell.replicates]
    cell = replace(cell, replicates=replicates, part="validation", pictured=0)
    tables = []
    for number, choice in enumerate(grid(dict(learner_class(cell.algorithm).grid))):
        folder, variant = out / f"cell_{number}", replace(cell, params={**cell.params, **choice})
        train_all(variant, folder / "models")
        adapt_all(variant, folder / "models", folder)
        models = load_table(folder / MODELS).set_index("seed")
        found = scores(load_table(folder / ADAPTATION), models["metric"].iloc[0])
        ended = np.isfinite(found["score"])
        tables.append(
            pd.DataFrame(
                {
                    "suite": cell.suite,
                    "task": cell.family,
                    "method": cell.learner,
                    "cell": number,
                    "choice": str_of(choice),
                    "status": np.where(ended, "finished", "diverged"),
                    "reason": np.where(ended, "", models["reason"].reindex(found.index)),
                    "loss_start": found["start"],
                    "loss_final": found["score"].where(ended),
                    "cost": models["train_samples"].reindex(found.index).astype(float),
                    "wall_s": models["train_s"].reindex(found.index),
                }
            )
        )
    write_table(out / TABLE, pd.concat(tables, ignore_index=True))


def main() -> None:
    """Parse the command line and tune."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="learner and family as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for the grid's results")
    arguments = parser.parse_args()
    cell = MetaCell.from_json(arguments.spec)
    limit_threads(cell.threads)
    tune(cell, arguments.out)


if __name__ == "__main__":
    entry(main)
