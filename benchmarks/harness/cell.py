"""A cell of the grid: one method on one task, its replicates in turn, each kept as soon as it is finished.

`python -m benchmarks.harness.cell --spec JSON --out FOLDER` is what the pipeline calls.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness.errors import UsageError, unknown
from benchmarks.harness.kept import load_pictures, read_json, unless_damaged, write_json, write_pictures, write_table
from benchmarks.harness.sources import ROOT, cell_sources, fingerprint
from benchmarks.harness.store import cannot_write, is_full, require_writable

RUNS, CURVES, IMAGES = "runs.parquet", "curves.parquet", "images.npz"
PICTURE = "picture"  # of one replicate, in its own file
LIBRARIES = ("torch", "numpy", "scipy", "nevergrad", "cma", "pymoo", "evotorch", "mitsuba")


@dataclass(frozen=True)
class Cell:
    """What the pipeline asks for: everything that decides the numbers, nothing that does not."""

    suite: str
    task: str  # label in the tables
    problem: str  # world.task
    method: str  # label in the tables
    algorithm: str  # file in methods/
    evaluations: int
    seconds: float
    replicates: list[int]
    problem_params: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    memory_gib: float | None = None
    checkpoints: int = 30

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
        for key in ("suite", "replicates"):
            facts.pop(key)
        return fingerprint(cell_sources(self.problem, self.algorithm), json.dumps(facts, sort_keys=True))


def limit_threads(threads: int) -> None:
    """Give BLAS, OpenMP and torch this many threads; before they are imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import torch

    torch.set_num_threads(threads)


def versions() -> str:
    """Return the versions of Python and of the libraries loaded, as one line for the tables."""
    loaded = [name for name in LIBRARIES if name in sys.modules]
    return " ".join([f"python={platform.python_version()}", *(f"{name}={metadata.version(name)}" for name in loaded)])


def device_name(device: str) -> str:
    """Return the processor's or the GPU's name."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores"


def commit() -> str:
    """Return the checked-out commit, with a + where files differ from it; empty outside git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def open_device(device: str) -> None:
    """Raise UsageError where the device is not there."""
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        raise UsageError(f"device {device!r}: methods and tasks run on cpu, cuda or cuda:N; name one of these")
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {device!r}: torch sees no GPU; set `device: cpu` in the suite's config")
    if int(device.partition(":")[2] or 0) >= max(1, torch.cuda.device_count()):
        raise UsageError(
            f"device {device!r}: torch sees {torch.cuda.device_count()} GPUs, counted from 0; name one of them"
        )


def run_cell(cell: Cell, out: Path) -> None:
    """Run the missing replicates of a cell, then write its tables into `out`."""
    import pandas as pd
    import torch

    from benchmarks.harness import memory
    from benchmarks.harness.loop import Limits
    from benchmarks.harness.parameters import check
    from benchmarks.harness.registry import method_class, task_class
    from benchmarks.harness.runner import run

    open_device(cell.device)
    require_writable(out)
    task_type, method_type = task_class(cell.problem), method_class(cell.algorithm)
    problem_params = check(task_type.setup, cell.problem_params, f"task {cell.task!r} ({cell.problem})")
    params = check(method_type.setup, cell.params, f"method {cell.method!r} ({cell.algorithm})")
    mark = cell.fingerprint()
    if cell.memory_gib:
        memory.limit_gib(cell.memory_gib, torch.device(cell.device))
    problem = None
    rows, curves, images = [], [], {}
    for replicate in cell.replicates:
        kept = out / f"replicate_{replicate}.json"
        stored, pictures = read_replicate(kept, mark)
        if stored is None:
            problem = problem or task_type(device=cell.device, **problem_params)
            state_file = kept.with_suffix(".state")
            result = run(
                problem,
                method_type,
                params,
                Limits(cell.evaluations, cell.seconds),
                task=cell.task,
                label=cell.method,
                replicate=replicate,
                checkpoints=cell.checkpoints,
                state_file=state_file,
                fingerprint=mark,
            )
            picture = None if result.incumbent is None else problem.image(result.incumbent)
            pictures = {} if picture is None else {PICTURE: to_bytes(picture)}
            write_pictures(kept.with_suffix(".npz"), pictures)
            row = {
                "suite": cell.suite,
                **result.row,
                "params": json.dumps(params, sort_keys=True),
                "device": device_name(cell.device),
                "versions": versions(),
                "commit": commit(),
            }
            stored = {"fingerprint": mark, "row": row, "curve": result.curve}
            write_json(kept, stored)
            state_file.unlink(missing_ok=True)
            loss = row["loss_final"]
            print(f"{cell.task} {cell.method} replicate {replicate}: {result.status} {result.reason} loss {loss:.4g}")
        rows.append({**stored["row"], "suite": cell.suite})
        keys = {"suite": cell.suite, "task": cell.task, "method": cell.method, "seed": replicate}
        curves += [{**keys, **point} for point in stored["curve"]]
        if PICTURE in pictures:
            images[str(replicate)] = pictures[PICTURE]
    columns = ["suite", "task", "method", "seed", "cost", "wall_s", "metric", "value"]
    write_table(out / CURVES, pd.DataFrame(curves, columns=columns))
    write_pictures(out / IMAGES, images)
    write_table(out / RUNS, pd.DataFrame(rows))


def read_replicate(kept: Path, mark: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return what is kept of a finished replicate, `row` and `curve`, and its picture.

    None where it is not there, not whole, or of other code or settings: it has to be computed.
    """
    stored = read_json(kept, ("fingerprint", "row", "curve"))
    if stored is None or stored["fingerprint"] != mark:
        return None, {}
    pictures = unless_damaged(load_pictures, kept.with_suffix(".npz"))
    return (None, {}) if pictures is None else (stored, pictures)


def to_bytes(picture: Any) -> Any:
    """Return a picture in [0, 1] as an array of bytes, (h, w) or (h, w, 3)."""
    return (picture.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy()


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the cell as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for its tables")
    arguments = parser.parse_args()
    cell = Cell.from_json(arguments.spec)
    limit_threads(cell.threads)
    run_cell(cell, arguments.out)


def tell(error: UsageError) -> int:
    """Show a user's error, where there is still room for it; return the exit code that goes with it."""
    with suppress(OSError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    return 2


def entry(program: Any) -> None:
    """Run a command's `main`; show a user's error without a traceback; leave no thread of a library behind."""
    code = 0
    try:
        program()
    except UsageError as error:
        code = tell(error)
    except OSError as error:
        if not is_full(error):
            raise
        code = tell(cannot_write(error.filename or "what belongs here", error))
    with suppress(OSError):  # a log on a full disk
        sys.stdout.flush()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)  # nevergrad's threads can keep a finished process alive


if __name__ == "__main__":
    entry(main)
