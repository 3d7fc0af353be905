"""What every job does, whatever it runs: threads, device, facts of the machine, a task built, errors told in a line."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract.errors import UsageError
from benchmarks.harness.phases import Phases
from benchmarks.harness.sources import ROOT
from benchmarks.harness.store import cannot_write, is_full
from benchmarks.harness.watch import Death, Guard, child, supervise

if TYPE_CHECKING:
    from benchmarks.contract.problem import Problem
    from benchmarks.harness.ending import Ended

LIBRARIES = ("torch", "numpy", "scipy", "nevergrad", "cma", "cmaes", "pymoo", "evotorch", "mitsuba")


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


@cache
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


def build(task_type: type[Problem], device: str, params: dict[str, Any]) -> Problem | Ended:
    """Return the task, or why there is none."""
    from benchmarks.harness.ending import ENDS, ending_of_building

    try:
        return task_type(device=device, **params)
    except ENDS as error:
        return ending_of_building(error)


def to_bytes(picture: Any) -> Any:
    """Return a picture in [0, 1] as an array of bytes, (h, w) or (h, w, 3)."""
    return (picture.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy()


@dataclass(frozen=True)
class Job:
    """What a command computes in a child, and what its parent does meanwhile."""

    work: Callable[[Phases], None]
    bury: Callable[[Death], int]  # writes the rows of what a dead child was at, returns how many
    guard: Guard
    device: str
    threads: int
    whole: bool = False  # one piece: once it is buried nothing is left to do
    before: Callable[[], None] = lambda: None  # what the parent does first


def watched(module: str, about: str, job_of: Callable[[argparse.Namespace], Job], *folders: str) -> int:
    """Parse `--spec JSON --out FOLDER` and further folders; watch a child that does the job, or be that child."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--spec", required=True, help="everything that decides the numbers, as JSON")
    for name in (*folders, "out"):
        parser.add_argument(f"--{name}", required=True, type=Path, help="folder of its tables" if name == "out" else "")
    parser.add_argument("--beat", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    job = job_of(arguments)
    if arguments.beat is None:
        job.before()
        return supervise([sys.executable, "-m", module, *sys.argv[1:]], job.guard, job.bury, job.whole, job.device)
    limit_threads(job.threads)
    return child(job.work, arguments.beat)


def tell(error: UsageError) -> int:
    """Show a user's error, where there is still room for it; return the exit code that goes with it."""
    with suppress(OSError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    return 2


def entry(program: Any) -> None:
    """Run a command's `main`; show a user's error without a traceback; leave no thread of a library behind."""
    code = 0
    try:
        code = program() or 0
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
