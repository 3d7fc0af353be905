"""The same tuning effort for every learner on every family: its own grid of six cells, judged on validation members.

`python -m benchmarks.harness.meta_tune --spec JSON --out FOLDER` writes rows like those of `benchmarks.harness.tune`. A
grid cell's score is the geometric mean of the family's metric (median over members) over log-spaced steps: being good
early counts as much as being good late. Test members are never seen, nor are the comparison's seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract.seeds import TUNING_REPLICATES
from benchmarks.harness.adapt import ADAPTATION, MODELS, adapt_all, bury
from benchmarks.harness.job import Job, entry, watched
from benchmarks.harness.kept import load_table, write_table
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import TRAINED, guard_of
from benchmarks.harness.phases import Phases
from benchmarks.harness.search import grid, text_of
from benchmarks.harness.tune import TABLE
from benchmarks.harness.watch import Death

if TYPE_CHECKING:
    import pandas as pd


def scores(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return `start` and `score` by seed: the metric before adaptation, and its geometric mean over steps from 1 on."""
    import numpy as np
    import pandas as pd

    points = points[points["metric"] == metric]
    if points.empty:
        return pd.DataFrame({"start": [], "score": []}, dtype=float)
    values = points["value"].fillna(np.inf)
    medians = values.groupby([points["seed"], points["step"]]).median().clip(lower=1e-12)
    later = medians[medians.index.get_level_values("step") > 0]
    return pd.DataFrame(
        {"start": medians.xs(0, level="step"), "score": np.exp(np.log(later).groupby(level="seed").mean())}
    )


def pieces_of(cell: MetaCell, out: Path) -> list[tuple[MetaCell, Path, Path]]:
    """Return the learner's grid on the replicates of tuning: cell, folder of its models, folder of its tables."""
    replicates = [TUNING_REPLICATES + replicate for replicate in cell.replicates]
    cell = replace(cell, replicates=replicates, part="validation", pictured=0)
    folders = ((choice, out / f"cell_{number}") for number, choice in enumerate(choices_of(cell)))
    return [(replace(cell, params={**cell.params, **choice}), folder / "models", folder) for choice, folder in folders]


def choices_of(cell: MetaCell) -> list[dict[str, Any]]:
    """Return the cells of the learner's grid."""
    from benchmarks.harness.registry import learner_class

    return grid(dict(learner_class(cell.algorithm).grid))


def tune(cell: MetaCell, out: Path, phases: Phases | None = None) -> None:
    """Train and adapt with every cell of the learner's grid, and store one row per grid cell and replicate."""
    import numpy as np
    import pandas as pd

    tables = []
    for number, (piece, choice) in enumerate(zip(pieces_of(cell, out), choices_of(cell), strict=True)):
        adapt_all(*piece, phases, number)
        models = load_table(piece[2] / MODELS).set_index("seed")
        found = scores(load_table(piece[2] / ADAPTATION), models["metric"].iloc[0]).reindex(models.index)
        ended = np.isfinite(found["score"])
        broken = np.where(models["status"].isin(TRAINED), "diverged", models["status"])
        tables.append(
            pd.DataFrame(
                {
                    "suite": cell.suite,
                    "task": cell.family,
                    "method": cell.learner,
                    "round": 1,
                    "cell": number,
                    "choice": text_of(choice),
                    "status": np.where(ended, "finished", broken),
                    "reason": np.where(ended, "", models["reason"]),
                    "loss_start": found["start"],
                    "loss_final": found["score"].where(ended),
                    "cost": models["train_samples"].astype(float),
                    "wall_s": models["train_s"].astype(float),
                }
            )
        )
    write_table(out / TABLE, pd.concat(tables, ignore_index=True))


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    cell, out = MetaCell.from_json(arguments.spec), arguments.out

    def bury_what_ran(death: Death) -> int:
        return bury(pieces_of(cell, out), death)

    return Job(partial(tune, cell, out), bury_what_ran, guard_of(cell), cell.device, cell.threads)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
