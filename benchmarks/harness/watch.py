"""A parent that watches a job: its time, its memory, its death. Every end becomes a row.

The job's command starts itself again as a child (`--beat`), which does the work and notes what it is doing
(`benchmarks.harness.phases`). The parent only looks. A child that hangs, takes more memory than it may, dies of a
signal or ends without a word is buried, i.e. the row of what it was at is written with the reason, and a fresh child
does what is left.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from benchmarks.contract.descendants import end_all
from benchmarks.contract.errors import UsageError
from benchmarks.harness.gpu import own_gpu
from benchmarks.harness.phases import NOBODY, SIZE, Beat, Phases, look, shared_file
from benchmarks.harness.store import is_full

if TYPE_CHECKING:
    from benchmarks.contract.statuses import Status

MIB = 2**20
LOOK_S = 0.2  # between two looks
WEIGH_S = 1.0  # between two looks at the memory
START_S = 900.0  # for Python, the libraries and what belongs to no replicate; a busy machine is slow
SLACK_MIB = 1024  # beyond the memory granted, for Python and the libraries
NEARLY = 0.8  # of that memory: a death by a signal counts as a lack of memory
WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # somebody ended the job: no row, the next run goes on
REFUSED = 2  # exit code of a user's error


def hard_seconds(seconds: float) -> float:
    """Return the wall time, validation included, after which a run of so many seconds is cut off from inside."""
    return 1.5 * seconds + 60


@dataclass(frozen=True)
class Guard:
    """What a child may take before it is ended; generous, for it decides no number."""

    phase_s: float  # wall time of one phase of a replicate
    replicate_s: float  # wall time of a replicate
    start_s: float = START_S
    memory_gib: float | None = None


@dataclass(frozen=True)
class Death:
    """The end of a child that did not end well."""

    status: Status | str  # crashed, timeout, out_of_memory; or what the child said itself
    reason: str
    beat: Beat
    wall_s: float  # since its replicate began
    peak_mib: float
    killed: bool = False  # SIGKILL from outside: it may be worth a second try


def supervise(
    command: Sequence[str], guard: Guard, bury: Callable[[Death], int], whole: bool = False, device: str = "cpu"
) -> int:
    """Run `command` in children until all of its work is done; return the exit code.

    Args:
        command: gets `--beat DESCRIPTOR` appended; must skip what is finished, and end with the phase `done`.
        guard: what a child may take.
        bury: writes the rows of what the child was at and returns how many; 0 ends the job with exit code 1.
        whole: the job is one piece: once it is buried nothing is left to do.
        device: what the children compute on; of several GPUs the job holds one to itself.
    """
    with own_gpu(device):
        return _supervise(command, guard, bury, whole)


def _supervise(command: Sequence[str], guard: Guard, bury: Callable[[Death], int], whole: bool) -> int:
    spared: tuple[int, int] | None = None
    while True:
        death = _watch(command, guard)
        if isinstance(death, int):
            return death
        where = death.beat.item, death.beat.replicate
        if death.killed and where != spared:
            spared = where
            print("the job was killed (SIGKILL), it goes on where it was; the next time it is given up", flush=True)
            continue
        print(f"{death.status} in {death.beat.phase}: {death.reason}", flush=True)
        if not bury(death):
            print("error: nothing was left to give up; the log above tells what happened", file=sys.stderr)
            return 1
        if whole:
            return 0


def child(work: Callable[[Phases], None], descriptor: int) -> int:
    """Do a child's work and return the exit code; a user's error is passed on, so that the parent ends as well.

    What no run is to blame for, a module that cannot be imported for instance, is told to the parent before the end.
    """
    phases = Phases(descriptor)
    try:
        work(phases)
    except UsageError:
        phases.enter("refused")
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            phases.enter("refused")
            raise
        from benchmarks.harness.ending import ending_of_building

        ended = ending_of_building(error)
        phases.leave(ended.status, ended.reason)
        return 1
    phases.enter("done")
    return 0


def _watch(command: Sequence[str], guard: Guard) -> Death | int:
    descriptor = shared_file()
    told: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: told.append(number)) for number in WANTED}
    try:
        with mmap.mmap(descriptor, SIZE) as memory:
            process = subprocess.Popen(
                [*command, "--beat", str(descriptor)],
                pass_fds=[descriptor],
                process_group=0,  # its own, so that all it started can be ended with it
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
            try:
                death = _look_after(process, memory, guard, told)
            finally:
                end_all(process)
    finally:
        os.close(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        return 128 + told[0]
    return death


def _look_after(process: subprocess.Popen[bytes], memory: mmap.mmap, guard: Guard, told: list[int]) -> Death | int:
    last = look(memory)
    begun = since = weighed = time.monotonic()
    peak, limit = 0.0, (guard.memory_gib or 0.0) * 1024 + SLACK_MIB
    while not told:
        try:
            code: int | None = process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            code = None
        now, beat = time.monotonic(), look(memory)
        if beat.beats != last.beats:
            since = now
        if (beat.item, beat.replicate) != (last.item, last.replicate):
            begun = now
        last = beat
        if code is None and now - weighed > WEIGH_S:
            weighed, peak = now, max(peak, _weigh(process.pid))
        end = _verdict(code, beat, now - since, now - begun, peak, limit, guard)
        if end is None:
            continue
        if isinstance(end, int):
            return end
        if code is not None and -code in WANTED:
            told.append(-code)
            break
        status, reason = end
        return Death(status, reason, beat, now - begun, peak, killed=code == -signal.SIGKILL)
    return 1


def _verdict(
    code: int | None, beat: Beat, phase_s: float, replicate_s: float, peak: float, limit: float, guard: Guard
) -> tuple[str, str] | int | None:
    """Return None while all is well, the exit code of a good end, or what is to be said of a bad one."""
    if (code, beat.phase) in ((0, "done"), (REFUSED, "refused")):
        return code
    if code is not None:
        if code < 0 and guard.memory_gib and peak > NEARLY * limit:
            return "out_of_memory", f"ended by {_name(-code)} with {peak:.0f} MiB of {limit:.0f}"
        if code < 0:
            lack = " (no memory left on this machine, or by hand)" if -code == signal.SIGKILL else ""
            return "crashed", f"the process died of {_name(-code)}{lack}"
        if beat.status:
            return beat.status, beat.reason
        return "crashed", f"the process ended by itself, with exit code {code}"
    if guard.memory_gib and peak > limit:
        return "out_of_memory", f"{peak:.0f} MiB, granted {1024 * guard.memory_gib:.0f} and {SLACK_MIB} to start with"
    granted = guard.start_s if beat.replicate == NOBODY else guard.phase_s
    if phase_s > granted:
        return "timeout", f"nothing happened within {granted:g} s"
    if beat.replicate != NOBODY and replicate_s > guard.replicate_s:
        return "timeout", f"no end within {guard.replicate_s:g} s, validation included"
    return None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _weigh(pid: int) -> float:
    """Return the resident memory of a process and its children in MiB."""
    total = 0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        pass
    return total / MIB


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies (PR_SET_PDEATHSIG = 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
