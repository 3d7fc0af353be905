"""One run per suite and working directory, by a lock that ends with its holder, whatever ends it.

Snakemake's own locks are files that outlive a kill and do not say whose they are; the first run to end in a folder also
deletes those of the others. Here the kernel holds the lock (flock), and a file beside it says who that is.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.persistence import PersistenceBase

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

MARK = "BEYOND_GD_RUN"  # in the environment of every job: which run started it
PATIENCE_S = 5  # for processes to end
LOOKS = 10
FACTS = {"host", "boot", "pid", "since", "command", "local", "mark"}
OWN = PersistenceBase.lock  # Snakemake's


def guard(workflow: Workflow, folder: Path) -> None:
    """Let this workflow hold the lock on a suite's folder while it runs, and tell of it in a dry run."""

    @contextmanager
    def lock(persistence: PersistenceBase) -> Iterator[None]:
        path = lock_of(persistence.path, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as file:
            if not acquire(file, folder):
                with OWN(persistence):  # the file system cannot lock
                    yield
                return
            take_over(file, folder)
            write(file, workflow.local_exec)
            try:
                yield
            finally:
                file.truncate(0)

    @contextmanager
    def look(persistence: PersistenceBase) -> Iterator[None]:
        holder = living(lock_of(persistence.path, folder))
        if holder:
            logger.info(f"{folder} is being made by {name(holder)}.")
        yield

    PersistenceBase.lock, PersistenceBase.lock_warn_only = lock, look


def lock_of(state: Path, folder: Path) -> Path:
    """Return the file that a run on `folder` holds, in the folder of Snakemake's own records."""
    return state / "runs" / quote(folder.as_posix(), safe="")[-200:]


def acquire(file: IO[str], folder: Path) -> bool:
    """Lock the file; False where the file system has no locks; raises WorkflowError while somebody else holds it."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if holder := read(file):
                end = f", or end it (kill {holder['pid']})" if here(holder) else ", or end it there"
                raise WorkflowError(
                    f"{folder} is being made by {name(holder)}. Wait until it has finished{end}, "
                    "and run the same command again."
                ) from None
            sleep(PATIENCE_S / LOOKS)  # a dry run looks at the lock, or its holder has not signed yet
        except OSError:
            return False
    raise WorkflowError(f"{folder} is being made by another run. Wait until it has finished.")


def take_over(file: IO[str], folder: Path) -> None:
    """Go on from a run that was killed: end what it left running; raises WorkflowError if that was elsewhere."""
    last = read(file)
    if not last:
        return
    if not here(last):
        raise WorkflowError(
            f"{folder} was last made by {name(last)}, which did not finish. Whether it still runs cannot be seen from "
            f"{socket.gethostname()}: if not, delete {os.path.relpath(file.name)} and run the same command again."
        )
    ended = end_orphans(last["mark"]) if last["local"] else 0
    what = f"; ended {ended} processes that it left behind" if ended else ""
    logger.info(f"Going on after {name(last)}, which was killed{what}.")


def end_orphans(mark: str) -> int:
    """End what a dead run started, found by its mark in the environment; return how many processes that were.

    All are stopped before any is killed: none sees another one die and takes that for the end of a run.
    """
    ended = 0
    while left := [p for p in psutil.process_iter(["environ"]) if (p.info["environ"] or {}).get(MARK) == mark]:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        ended += len(left)
        psutil.wait_procs(left, PATIENCE_S)
    return ended


def write(file: IO[str], local: bool) -> None:
    """Say who holds the lock, durably: it is read after a power cut. Mark the jobs to come."""
    mark = f"{socket.gethostname()}:{os.getpid()}:{datetime.now().timestamp()}"
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "boot": boot(),
        "pid": os.getpid(),
        "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "local": local,
        "mark": mark,
    }
    file.truncate(0)
    file.write(json.dumps(facts))
    file.flush()
    os.fsync(file.fileno())
    os.environ[MARK] = mark


def read(file: IO[str]) -> dict[str, Any]:
    """Return who holds or held the lock; empty where the last one ended by itself, or was cut off while it signed."""
    file.seek(0)
    try:
        facts = json.loads(file.read())
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) and facts.keys() >= FACTS else {}


def living(path: Path) -> dict[str, Any]:
    """Return who holds the lock at this moment; empty if nobody does. Writes nothing."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return read(file)
    except OSError:
        pass
    return {}


def here(holder: Mapping[str, Any]) -> bool:
    """Return whether the holder ran on this machine, in a container or before a reboot included."""
    return holder["host"] == socket.gethostname() or (boot() is not None and holder["boot"] == boot())


def boot() -> str | None:
    """Return what identifies this start of this machine's kernel, where Linux says so."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def name(holder: Mapping[str, Any]) -> str:
    """Return the holder in words."""
    return f"process {holder['pid']} on {holder['host']} since {holder['since']} ({holder['command']})"
