"""How a run ended, in words that the tables show: every exception has a status, and none of them is lost."""

from __future__ import annotations

import traceback
from pathlib import Path

from benchmarks.contract.errors import Unsupported, UsageError
from benchmarks.contract.statuses import Status
from benchmarks.harness import memory
from benchmarks.harness.clock import HardTimeout
from benchmarks.harness.sources import ROOT
from methods.base import Stopped

ENDS = (Exception, HardTimeout, SystemExit)  # what ends a run; an interrupt ends the program
LONGEST = 300  # characters of a reason


class Ended(Exception):
    """Carries status and reason of a run that ended before its budget."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def ending_of(error: BaseException) -> Ended:
    """Return how a run ended that raised this; the traceback of a crash goes to the log.

    What a user can mend (a missing file, a combination of parameters) is a reason why it is unsupported.
    """
    if isinstance(error, Ended):
        return error
    if isinstance(error, Stopped):
        return Ended("stopped", str(error))
    if isinstance(error, HardTimeout):
        return Ended("timeout", "a single step took longer than the whole run may")
    if isinstance(error, Unsupported | UsageError):
        return Ended("unsupported", cut(str(error)))
    if memory.is_out_of_memory(error):
        return Ended("out_of_memory", cut(str(error)) or type(error).__name__)
    traceback.print_exception(error)
    return Ended("crashed", f"{cut(f'{type(error).__name__}: {error}')}{_where(error)}")


def cut(text: str) -> str:
    """Return the first line of a text that may be long or empty."""
    lines = text.strip().splitlines()
    return lines[0][:LONGEST] if lines else ""


def ending_of_building(error: BaseException) -> Ended:
    """Return the like for what is built before the run: there, a library that cannot be imported is `unsupported`."""
    if isinstance(error, ImportError):
        return Ended("unsupported", f"{cut(str(error))}; install what is missing: pip install -r requirements.lock")
    return ending_of(error)


def _where(error: BaseException) -> str:
    """Return the last of our own lines that an exception came through, or the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT) and ".venv" not in frame.filename]
    for frame in reversed(ours or frames):
        return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
