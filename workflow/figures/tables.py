"""Reading a suite's tables; a missing table or column is named, with the command that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness.errors import UsageError, unknown
from workflow.tables.collect import GOOD
from workflow.tables.pictures import read_pictures
from workflow.tables.targets import GAPS, gap

GAP_FLOOR = float(GAPS[-1])  # figures show smaller gaps as this one


class Tables:
    """The tables in one folder, read once each."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._frames: dict[str, pd.DataFrame] = {}

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UsageError(f"{path} is missing; make the tables first: `snakemake tables`")
        return path

    def read(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return these columns of a .csv or .parquet.

        Raises:
            UsageError: the table or a column is missing, or the table has no rows.
        """
        if name not in self._frames:
            path = self._path(name)
            try:
                frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
            except (ValueError, OSError) as error:
                raise UsageError(
                    f"{path} cannot be read ({error}); delete it and make it again: `snakemake tables`"
                ) from error
            self._frames[name] = frame
        frame = self._frames[name]
        for column in columns:
            if column not in frame.columns:
                raise UsageError(f"{self.folder / name} has no column {column!r}; make it again: `snakemake tables`")
        if frame.empty:
            raise UsageError(
                f"{self.folder / name} has no rows: the suite ran nothing that belongs there;"
                " add such tasks to its config, or leave the figure out"
            )
        return frame[list(columns)].copy()

    def pictures(self, name: str = "pictures.npz") -> dict[str, np.ndarray]:
        """Return key → picture (h, w) or (h, w, 3) of bytes."""
        return read_pictures(self._path(name))

    def tasks(self) -> pd.DataFrame:
        """Return tasks.csv indexed by task, smallest first."""
        columns = ["task", "problem", "dim", "loss_start", "loss_floor"]
        return self.read("tasks.csv", columns).sort_values(["dim", "task"], kind="stable").set_index("task")

    def oracles(self) -> set[str]:
        """Return the methods that read the true gradient: bounds, not rivals."""
        scores = self.read("scores.csv", ["method", "oracle"])
        return set(scores.method[scores.oracle.astype(bool)])

    def curves(self, metric: str) -> pd.DataFrame:
        """Return one metric's checkpoints: task, method, seed, cost, wall_s, value."""
        columns = ["task", "method", "seed", "cost", "wall_s", "metric", "value"]
        frame = self.read("curves.parquet", columns)
        return frame[frame.metric == metric].drop(columns="metric").reset_index(drop=True)

    def to_gap(self, task: pd.Series, loss: pd.Series) -> pd.Series:
        """Return (loss − floor) / (start − floor): 1 at the start, 0 at the optimum; never below GAP_FLOOR."""
        return gap(loss, task, self.tasks().reset_index()).clip(lower=GAP_FLOOR)

    def gap_curves(self) -> pd.DataFrame:
        """Return the loss curves with a column `gap`; a run that broke down has an infinite gap from there on."""
        frame = self.curves("loss")
        frame["gap"] = self.to_gap(frame.task, frame.value)
        runs = self.read("runs.parquet", ["task", "method", "seed", "status", "cost", "wall_s"])
        broken = runs[~runs.status.isin([*GOOD, "unsupported"])].drop(columns="status")
        return pd.concat([frame, broken.assign(gap=np.inf, value=np.inf)], ignore_index=True)

    def final_gaps(self) -> pd.DataFrame:
        """Return the runs with a column `gap`; infinite where a run left no final loss."""
        frame = self.read("runs.parquet", ["task", "method", "seed", "dim", "status", "reason", "loss_final"])
        frame["gap"] = self.to_gap(frame.task, frame.loss_final).fillna(np.inf)
        return frame


def choose(kind: str, wanted: Iterable[str] | None, present: Iterable[str]) -> list[str]:
    """Return the wanted labels in their order, or all that are present; raises UsageError for one that is not."""
    present = list(dict.fromkeys(present))
    if wanted is None:
        return present
    for label in wanted:
        if label not in present:
            raise unknown(f"{kind} (the tables have no rows for it):", label, present)
    return list(wanted)
