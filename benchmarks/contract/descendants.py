"""The end of a process with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import psutil


def end_all(process: subprocess.Popen[bytes]) -> None:
    """End a process for good, with all that it started: what shares its group even when it is dead itself.

    Those that left the group can be found only while it lives; so can it itself where it never had one of its own.
    """
    family = []
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for one in family:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()
