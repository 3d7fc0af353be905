"""Reading a suite's tables; a missing table or column is named, with the command that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.contract.statuses import GOOD, UNSCORED
from workflow.figures.style import look, spell, wear
from workflow.tables.pictures import read_pictures
from workflow.tables.schema import schema
from workflow.tables.targets import GAPS, gap
from workflow.tables.written import read_written

MARKED = {"status": "", "phase": "", "reason": ""}  # columns that tell how a row ended, and what an older table means
LABELS = "labels.csv"
GAP_FLOOR = float(GAPS[-1])  # figures show smaller gaps as this one


class Tables:
    """The tables in one folder, read once each; opened, its labels.csv says how everybody looks."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._frames: dict[str, pd.DataFrame] = {}
        wear(self.labels())

    def labels(self, what: str | None = None) -> pd.DataFrame:
        """Return labels.csv, the rows of methods, learners or families alone; empty where there is none."""
        if not (self.folder / LABELS).is_file():
            return pd.DataFrame(columns=list(schema("labels")["columns"]))
        labels = self.read(LABELS, list(schema("labels")["columns"]), empty=True)
        return labels if what is None else labels[labels["what"] == what]

    def sources(self) -> str:
        """Return which rows are fresh and where the others come from; "" where nothing stored is among them."""
        if not (self.folder / "reference.csv").is_file():
            return ""
        runs = self.read("runs.parquet", ["source", "wall_s"])
        stored = runs[runs.source.str.startswith("stored")]
        fresh = [look(label).name for label in self.fresh()]
        where = dict.fromkeys(stored.source.str.removeprefix("stored: "))
        told = f"Run here: {', '.join(fresh) or 'nothing'}. Stored: {'; '.join(where) or 'nothing'}."
        return told + " Seconds of another machine are left out." * bool(stored.wall_s.isna().any())

    def fresh(self) -> list[str]:
        """Return the methods that ran here, where others are stored."""
        if not (self.folder / "reference.csv").is_file():
            return []
        runs = self.read("runs.parquet", ["method", "source"])
        return runs.method[runs.source == "fresh"].unique().tolist()

    def of_kind(self, kind: str, methods: Iterable[str]) -> list[str]:
        """Return those of these methods that are of a kind, in the order of legends."""
        labels, asked = self.labels("method"), set(methods)
        return [label for label in labels.label[labels.kind == kind] if label in asked]

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UsageError(f"{path} is missing; make the tables first: `snakemake tables`")
        return path

    def read(
        self, name: str, columns: Sequence[str], optional: Mapping[str, Any] | None = None, empty: bool = False
    ) -> pd.DataFrame:
        """Return these columns of a .csv or .parquet; `optional` ones have the given value where they are missing.

        Raises:
            UsageError: the table or a column is missing, or the table has no rows although it may not be `empty`.
        """
        if name not in self._frames:
            path = self._path(name)
            self._frames[name] = read_written(path)
        frame = self._frames[name]
        for column, value in (optional or {}).items():
            frame = frame.assign(**{column: frame[column].fillna(value) if column in frame else value})
        for column in columns:
            if column not in frame.columns:
                raise UsageError(f"{self.folder / name} has no column {column!r}; make it again: `snakemake tables`")
        if frame.empty and not empty:
            raise UsageError(
                f"{self.folder / name} has no rows: the suite ran nothing that belongs there;"
                " add such tasks to its config, or leave the figure out"
            )
        return frame[[*columns, *(optional or ())]].copy()

    def pictures(self, name: str = "pictures.npz") -> dict[str, np.ndarray]:
        """Return key → picture (h, w) or (h, w, 3) of bytes."""
        return read_pictures(self._path(name), sealed=False)

    def tasks(self) -> pd.DataFrame:
        """Return tasks.csv indexed by task, smallest first; where calibration failed there are no numbers."""
        columns = ["task", "problem", "dim", "loss_start", "loss_floor"]
        facts = self.read("tasks.csv", columns, MARKED).sort_values(["dim", "task"], kind="stable")
        return facts.set_index("task")

    def methods(self) -> list[str]:
        """Return the methods that were asked for, whatever became of them."""
        return self.read("runs.parquet", ["method"]).method.unique().tolist()

    def endings(self, tasks: Iterable[str] | None = None, methods: Iterable[str] | None = None) -> pd.DataFrame:
        """Return task, method, seed, status, phase, reason, good of the runs of these tasks and methods."""
        runs = self.read("runs.parquet", ["task", "method", "seed", "loss_final"], MARKED)
        for column, wanted in (("task", tasks), ("method", methods)):
            if wanted is not None:
                runs = runs[runs[column].isin(list(wanted))]
        return runs.assign(good=runs.status.isin(GOOD) & runs.loss_final.notna()).drop(columns="loss_final")

    def why(self, tasks: Iterable[str] | None = None, methods: Iterable[str] | None = None) -> str:
        """Return why there is nothing to show of these methods on these tasks, the commonest reason first."""
        runs = self.endings(tasks, methods)
        bad = runs[~runs.good]
        if bad.empty:
            facts = self.tasks()
            facts = facts if tasks is None else facts[facts.index.isin(list(tasks))]
            bad = facts[~facts.status.isin(["", "ok"])]
        return endings_in_words(bad) or ("not run" if runs.empty else "nothing of this kind was logged")

    def spoilt(self) -> list[str]:
        """Return the tasks whose calibration failed."""
        facts = self.tasks()
        return facts.index[~facts.status.isin(["", "ok"])].tolist()

    def oracles(self) -> set[str]:
        """Return the methods that read the true gradient: bounds, not rivals."""
        scores = self.read("scores.csv", ["method", "oracle"])
        return set(scores.method[scores.oracle.astype(bool)])

    def curves(self, metric: str) -> pd.DataFrame:
        """Return one metric's checkpoints: task, method, seed, cost, wall_s, value; no rows where nobody ran."""
        columns = ["task", "method", "seed", "cost", "wall_s", "metric", "value"]
        frame = self.read("curves.parquet", columns, empty=True)
        frame = frame.astype({"cost": float, "wall_s": float, "value": float})
        return frame[frame.metric == metric].drop(columns="metric").reset_index(drop=True)

    def to_gap(self, task: pd.Series, loss: pd.Series) -> pd.Series:
        """Return (loss − floor) / (start − floor): 1 at the start, 0 at the optimum; never below GAP_FLOOR."""
        return gap(loss, task, self.tasks().reset_index()).clip(lower=GAP_FLOOR)

    def gap_curves(self) -> pd.DataFrame:
        """Return the loss curves with a column `gap`; a run that broke down has an infinite gap from there on."""
        frame = self.curves("loss")
        frame["gap"] = self.to_gap(frame.task, frame.value)
        runs = self.read("runs.parquet", ["task", "method", "seed", "status", "cost", "wall_s"])
        return pd.concat([frame, broken(runs).assign(gap=np.inf, value=np.inf)], ignore_index=True)

    def final_gaps(self) -> pd.DataFrame:
        """Return the runs with a column `gap`; infinite where a run left no final loss."""
        frame = self.read("runs.parquet", ["task", "method", "seed", "dim", "status", "reason", "loss_final"])
        frame["gap"] = self.to_gap(frame.task, frame.loss_final).fillna(np.inf)
        return frame


def broken(runs: pd.DataFrame) -> pd.DataFrame:
    """Return task, method, seed, cost, wall_s of the runs that broke down after they had begun."""
    begun = ~runs.status.isin([*GOOD, *UNSCORED]) & runs.cost.notna() & runs.wall_s.notna()
    return runs.loc[begun, ["task", "method", "seed", "cost", "wall_s"]]


def endings_in_words(rows: pd.DataFrame, most: int = 2) -> str:
    """Return `status in phase: reason` of rows that have these columns, the commonest first; "" for no rows."""
    counts = rows.groupby(["status", "phase", "reason"], sort=False).size().sort_values(ascending=False, kind="stable")
    found = []
    for status, phase, reason in counts.index[:most]:
        where = f" in {spell(phase, capital=False)}" if phase else ""
        found.append(f"{spell(status or 'not run', capital=False)}{where}{': ' * bool(reason)}{reason}")
    if len(counts) > most:
        found.append(f"{len(counts) - most} other reason{'s' * (len(counts) - most > 1)}")
    return "; ".join(found)


def choose(kind: str, wanted: Iterable[str] | None, present: Iterable[str], known: Iterable[str] = ()) -> list[str]:
    """Return the wanted labels in their order, or all that are present.

    A wanted one may also be among those `known`, for instance because all of its runs failed.

    Raises:
        UsageError: a wanted label is neither present nor known.
    """
    present = list(dict.fromkeys(present))
    if wanted is None:
        return present
    known = dict.fromkeys([*present, *known])
    for label in wanted:
        if label not in known:
            raise unknown(f"{kind} (the tables have no rows for it):", label, known)
    return list(wanted)
