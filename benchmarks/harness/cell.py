"""A cell of the grid: one method on one task, its replicates in turn, each kept as soon as it is finished.

`python -m benchmarks.harness.cell --spec JSON --out FOLDER` is what the pipeline calls.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.harness.costs import GUARD
from benchmarks.harness.job import (
    Job,
    build,
    commit,
    device_name,
    entry,
    open_device,
    to_bytes,
    versions,
    watched,
)
from benchmarks.harness.kept import load_pictures, read_json, unless_damaged, write_json, write_pictures, write_table
from benchmarks.harness.phases import NOBODY, Phases
from benchmarks.harness.sources import cell_sources, fingerprint, named_files
from benchmarks.harness.store import require_writable
from benchmarks.harness.watch import Death, Guard, hard_seconds

if TYPE_CHECKING:
    from benchmarks.contract.problem import Problem
    from methods.base import Method

RUNS, CURVES, IMAGES = "runs.parquet", "curves.parquet", "images.npz"
PICTURE = "picture"  # of one replicate, in its own file


@dataclass(frozen=True)
class Cell:
    """What the pipeline asks for: everything that decides the numbers, nothing that does not."""

    suite: str
    task: str  # label in the tables
    problem: str  # world.task
    method: str  # label in the tables
    algorithm: str  # file in methods/
    evaluations: int
    minutes: float  # that a run may be predicted to take
    replicates: list[int]
    problem_params: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    memory_gib: float | None = None
    checkpoints: int = 30
    improvements: bool = True  # logged besides the checkpoints
    elsewhere: str = ""  # the suite that has what is too dear here

    @property
    def guard_s(self) -> float:
        """Seconds after which a run is ended: it hangs, or this machine is far slower than predicted."""
        return GUARD * 60 * self.minutes

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """Parse a specification; raises UsageError naming an unknown key."""
        content = json.loads(text)
        known = [item.name for item in fields(cls)]
        for key in content:
            if key not in known:
                raise unknown("key of a cell's specification:", key, known)
        return cls(**content)

    def fingerprint(self) -> str:
        """Return the hash of code and settings that a stored replicate must carry to be reused."""
        facts = asdict(self)
        for key in ("suite", "replicates", "elsewhere"):
            facts.pop(key)
        files = [*cell_sources(self.problem, self.algorithm), *named_files(self.problem_params)]
        return fingerprint(files, json.dumps(facts, sort_keys=True))


@dataclass(frozen=True)
class Piece:
    """A cell and the folder of its tables."""

    cell: Cell
    out: Path


def run_cell(cell: Cell, out: Path, phases: Phases | None = None, item: int = 0) -> None:
    """Run the missing replicates of a cell, then write its tables into `out`.

    Args:
        cell: What to run.
        out: Folder of the tables.
        phases: Where the job notes what it is doing, for a process that watches it.
        item: Number of this cell among the job's.
    """
    phases = phases or Phases()
    phases.begin(item)
    open_device(cell.device)
    require_writable(out)
    mark = cell.fingerprint()
    missing = [number for number in cell.replicates if read_replicate(replicate_file(out, number), mark)[0] is None]
    if missing:
        run_missing(cell, out, mark, missing, phases)
    phases.begin(item)
    phases.enter("tables")
    write_tables(cell, out)


def run_missing(cell: Cell, out: Path, mark: str, missing: Sequence[int], phases: Phases) -> None:
    """Run these replicates of a cell and keep each as soon as it is finished."""
    import torch

    from benchmarks.contract.parameters import check
    from benchmarks.harness import memory
    from benchmarks.harness.ending import Ended
    from benchmarks.harness.registry import method_class, task_class

    task_type, method_type = task_class(cell.problem), method_class(cell.algorithm)
    problem_params = check(task_type.setup, cell.problem_params, f"task {cell.task!r} ({cell.problem})")
    params = check(method_type.setup, cell.params, f"method {cell.method!r} ({cell.algorithm})")
    if cell.memory_gib:
        memory.limit_gib(cell.memory_gib, torch.device(cell.device))
    phases.enter("task")
    task = build(task_type, cell.device, problem_params)
    for replicate in missing:
        kept = replicate_file(out, replicate)
        phases.begin(phases.item, replicate)
        if isinstance(task, Ended):
            facts = {"status": task.status, "phase": "task", "reason": task.reason}
            keep(cell, kept, mark, facts, params)
        else:
            run_replicate(cell, task, method_type, params, kept, mark, phases)


def run_replicate(
    cell: Cell,
    task: Problem,
    method_type: type[Method],
    params: dict[str, Any],
    kept: Path,
    mark: str,
    phases: Phases,
) -> None:
    """Run one replicate and keep its row, curve and picture."""
    from benchmarks.harness.ending import ENDS, ending_of
    from benchmarks.harness.loop import Limits
    from benchmarks.harness.runner import run

    result = run(
        task,
        method_type,
        params,
        Limits(cell.evaluations, cell.guard_s, 60 * cell.minutes, cell.elsewhere),
        task=cell.task,
        label=cell.method,
        replicate=phases.replicate,
        checkpoints=cell.checkpoints,
        improvements=cell.improvements,
        state_file=kept.with_suffix(".state"),
        fingerprint=mark,
        phases=phases,
    )
    row, pictures = result.row, {}
    if result.incumbent is not None:
        phases.enter("image")
        try:
            picture = task.image(result.incumbent)
            pictures = {} if picture is None else {PICTURE: to_bytes(picture)}
        except ENDS as error:
            ended = ending_of(error)
            row |= {"status": ended.status, "phase": "image", "reason": ended.reason, "loss_final": math.nan}
    phases.enter("tables")
    keep(cell, kept, mark, row, params, result.curve, pictures)


def keep(
    cell: Cell,
    kept: Path,
    mark: str,
    facts: dict[str, Any],
    params: dict[str, Any],
    curve: Sequence[dict[str, Any]] = (),
    pictures: dict[str, Any] | None = None,
) -> None:
    """Keep a replicate: what is known of it over what holds for one of which nothing is."""
    replicate = int(kept.stem.removeprefix("replicate_"))
    row = {
        "suite": cell.suite,
        "task": cell.task,
        "method": cell.method,
        "seed": replicate,
        "dim": math.nan,
        "phase": "",
        "budget": cell.evaluations,
        **dict.fromkeys(("n_evals", "n_grads", "n_steps"), 0),
        **dict.fromkeys(("cost", "wall_s", "setup_s", "ask_s", "eval_s", "tell_s"), 0.0),
        **dict.fromkeys(("memory_base_mib", "memory_peak_mib", "gpu_peak_mib", "loss_start", "loss_final"), math.nan),
        "values": "",
        "n_failed": 0,
        "failure": "",
        "params": json.dumps(params, sort_keys=True),
        "device": device_name(cell.device),
        "versions": versions(),
        "commit": commit(),
        **facts,
    }
    write_pictures(kept.with_suffix(".npz"), pictures or {})
    write_json(kept, {"fingerprint": mark, "row": row, "curve": list(curve)})
    kept.with_suffix(".state").unlink(missing_ok=True)
    told = " ".join(str(row[key]) for key in ("status", "phase", "reason") if row[key])
    print(f"{cell.task} {cell.method} replicate {replicate}: {told} loss {row['loss_final']:.4g}", flush=True)


def write_tables(cell: Cell, out: Path) -> None:
    """Write the tables of all replicates, which are there."""
    import pandas as pd

    mark, rows, curves, images = cell.fingerprint(), [], [], {}
    for replicate in cell.replicates:
        stored, pictures = read_replicate(replicate_file(out, replicate), mark)
        if stored is None:
            raise UsageError(f"{out}: what was kept of replicate {replicate} changed meanwhile; run the same again")
        rows.append({**stored["row"], "suite": cell.suite})
        keys = {"suite": cell.suite, "task": cell.task, "method": cell.method, "seed": replicate}
        curves += [{**keys, **point} for point in stored["curve"]]
        if PICTURE in pictures:
            images[str(replicate)] = pictures[PICTURE]
    columns = ["suite", "task", "method", "seed", "cost", "wall_s", "metric", "value"]
    write_table(out / CURVES, pd.DataFrame(curves, columns=columns))
    write_pictures(out / IMAGES, images)
    write_table(out / RUNS, pd.DataFrame(rows))


def bury(pieces: Sequence[Piece], death: Death) -> int:
    """Keep the rows of what a dead job was at: of one replicate, or of all that are missing where none had begun."""
    cell, out, beat = pieces[death.beat.item].cell, pieces[death.beat.item].out, death.beat
    mark = cell.fingerprint()
    facts = {
        "dim": beat.dim or math.nan,
        "status": death.status,
        "phase": beat.phase,
        "reason": death.reason,
        **{name: getattr(beat, name) for name in ("n_evals", "n_grads", "n_steps", "cost")},
        "wall_s": death.wall_s,
        "memory_peak_mib": death.peak_mib,
    }
    missing = [number for number in cell.replicates if read_replicate(replicate_file(out, number), mark)[0] is None]
    given_up = missing if beat.replicate == NOBODY else [number for number in missing if number == beat.replicate]
    for number in given_up:
        keep(cell, replicate_file(out, number), mark, facts, cell.params)
    return len(given_up)


def forget_unsupported(pieces: Sequence[Piece]) -> None:
    """Try again what this machine could not do, or not in time: it may be another, with more installed, by now."""
    for piece in pieces:
        for number in piece.cell.replicates:
            file = replicate_file(piece.out, number)
            stored = read_json(file, ("row",))
            if stored is not None and stored["row"].get("status") in ("unsupported", "timeout"):
                file.unlink(missing_ok=True)


def replicate_file(out: Path, replicate: int) -> Path:
    """Return where a finished replicate is kept."""
    return out / f"replicate_{replicate}.json"


def guard_of(cell: Cell) -> Guard:
    """Return what one replicate may take before the job is ended from outside: far more than the runner grants."""
    hard = hard_seconds(cell.guard_s)
    on_device = cell.device.startswith("cuda")  # there the limit is the GPU's memory, which its library watches
    return Guard(phase_s=hard + 60, replicate_s=2 * hard + 120, memory_gib=None if on_device else cell.memory_gib)


def read_replicate(kept: Path, mark: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return what is kept of a finished replicate, `row` and `curve`, and its picture.

    None where it is not there, not whole, or of other code or settings: it has to be computed.
    """
    stored = read_json(kept, ("fingerprint", "row", "curve"))
    if stored is None or stored["fingerprint"] != mark:
        return None, {}
    pictures = unless_damaged(load_pictures, kept.with_suffix(".npz"))
    return (None, {}) if pictures is None else (stored, pictures)


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    cell = Cell.from_json(arguments.spec)
    pieces = [Piece(cell, arguments.out)]
    work = partial(run_cell, cell, arguments.out)
    return Job(
        work,
        partial(bury, pieces),
        guard_of(cell),
        cell.device,
        cell.threads,
        before=partial(forget_unsupported, pieces),
    )


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
