"""A job of labelled pieces: every label's rows are kept as soon as they are there, so that a killed job goes on.

The specification that the pipeline states is a subclass of `Pieces`; `main` is its program. A piece that broke off has
rows without numbers that say why.
"""

from __future__ import annotations

import argparse
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.harness.job import Job, open_device, watched
from benchmarks.harness.kept import read_json, write_json, write_table
from benchmarks.harness.phases import NOBODY, Phases
from benchmarks.harness.store import require_writable
from benchmarks.harness.watch import Death, Guard

Rows = dict[str, list[dict[str, Any]]]  # file of a table → its rows
PIECE_S = 3600.0
DIGITS = 6  # significant ones in the tables


class Pieces(ABC):
    """What a job is asked for: a dataclass with at least suite, task, device and threads."""

    kind: ClassVar[str]  # in messages
    columns: ClassVar[Mapping[str, list[str]]]  # file → columns of the table, suite and task the first

    suite: str
    task: str
    device: str
    threads: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse a specification; raises UsageError for a key that nobody knows."""
        content = json.loads(text)
        known = [item.name for item in fields(cls)]
        for key in content:
            if key not in known:
                raise unknown(f"key of a specification of {cls.kind}:", key, known)
        return cls(**content)

    @property
    @abstractmethod
    def labels(self) -> Sequence[str]:
        """Return the pieces' labels."""

    @abstractmethod
    def fingerprint(self, label: str) -> str:
        """Return the hash of code and settings that what is kept of a piece must carry to be reused."""

    @abstractmethod
    def compute(self, label: str) -> Rows:
        """Return the rows of a piece, without suite and task."""

    @abstractmethod
    def endings(self, label: str, status: str, reason: str) -> Rows:
        """Return the rows of a piece that did not come to its end."""

    def told(self, rows: Rows) -> str:
        """Return what the log says of a piece."""
        return ", ".join(f"{len(found)} rows of {name}" for name, found in rows.items())

    def file(self, out: Path, label: str) -> Path:
        """Return where a piece's rows are kept."""
        return out / f"{label}.json"


def rounded(value: float) -> float | None:
    """Return a number with few digits, for tables that are kept; None where it is not finite."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def run_pieces(spec: Pieces, out: Path, phases: Phases | None = None) -> None:
    """Compute what is missing, then write the tables into `out`.

    Args:
        spec: What to compute.
        out: Folder of the tables.
        phases: Where the job notes what it is doing, for a process that watches it.
    """
    from benchmarks.harness.ending import ENDS, ending_of

    phases = phases or Phases()
    open_device(spec.device)
    require_writable(out)
    for number, label in enumerate(spec.labels):
        mark = spec.fingerprint(label)
        if read_kept(spec, out, label, mark) is not None:
            continue
        phases.begin(number, 0)
        phases.enter("train")
        try:
            rows = spec.compute(label)
        except ENDS as error:
            ended = ending_of(error)
            rows = spec.endings(label, ended.status, ended.reason)
        keep(spec, out, label, mark, rows)
    phases.begin(0)
    phases.enter("tables")
    write_tables(spec, out)


def read_kept(spec: Pieces, out: Path, label: str, mark: str) -> dict[str, Any] | None:
    """Return what is kept of a piece, if it is of this code and these settings."""
    stored = read_json(spec.file(out, label), ("fingerprint", *spec.columns))
    return stored if stored is not None and stored["fingerprint"] == mark else None


def keep(spec: Pieces, out: Path, label: str, mark: str, rows: Rows) -> None:
    """Keep the rows of a piece."""
    write_json(spec.file(out, label), {"fingerprint": mark, **{name: rows.get(name, []) for name in spec.columns}})
    print(f"{spec.task} {label}: {spec.told(rows)}", flush=True)


def bury(spec: Pieces, out: Path, death: Death) -> int:
    """Keep the end of the piece that a dead job was at, of all that are missing where none had begun."""
    given_up = 0
    for number, label in enumerate(spec.labels):
        mark = spec.fingerprint(label)
        at_it = number == death.beat.item or death.beat.replicate == NOBODY
        if at_it and read_kept(spec, out, label, mark) is None:
            keep(spec, out, label, mark, spec.endings(label, death.status, death.reason))
            given_up += 1
    return given_up


def write_tables(spec: Pieces, out: Path) -> None:
    """Write the tables of all pieces, which are there."""
    import pandas as pd

    kept = [read_kept(spec, out, label, spec.fingerprint(label)) for label in spec.labels]
    if None in kept:
        raise UsageError(f"{out}: what was kept changed meanwhile; run the same again")
    for name, columns in spec.columns.items():
        rows = [{"suite": spec.suite, "task": spec.task, **row} for stored in kept for row in stored[name]]
        write_table(out / name, pd.DataFrame(rows, columns=columns))


def main(kind: type[Pieces], module: str, description: str) -> int:
    """Parse the command line; watch a child that computes, or be that child."""

    def job_of(arguments: argparse.Namespace) -> Job:
        spec, out = kind.from_json(arguments.spec), arguments.out
        guard = Guard(phase_s=math.inf, replicate_s=PIECE_S)
        return Job(partial(run_pieces, spec, out), partial(bury, spec, out), guard, spec.device, spec.threads)

    return watched(module, description, job_of)
