"""Files that are either whole or not there, and a disk that may be full.

What is inside them, and whether it is still what was written, is `benchmarks.harness.kept`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.contract.errors import UsageError

HOST = re.sub(r"[^\w.-]", "_", platform.node()) or "unknown"
PART = re.compile(r"\..+\.(?P<pid>\d+)@(?P<host>[\w.-]+)\.part")  # what `atomic` calls a file that is not whole yet
STRAY = re.compile(r"\..+\.part")
DAY = 86_400.0  # seconds after which a file that is not whole yet is nobody's, whichever host began it
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ROOM = 65_536  # bytes that must be free before hours of work begin
WAY_OUT = "free some space or make the folder writable and run the same command again, what is finished is kept"


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block succeeds; a killed job leaves the old file or none.

    What killed jobs left in this folder is removed first.

    Raises:
        UsageError: the folder cannot be written or the disk is full; finished results stay as they are.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}@{HOST}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    with atomic(target) as part:
        shutil.copyfile(source, part)


def cannot_write(path: Path | str, error: OSError) -> UsageError:
    """Return the one line about a file that could not be written."""
    return UsageError(f"cannot write {path}: {error.strerror or error}; {WAY_OUT}")


def is_full(error: BaseException) -> bool:
    """Tell a full disk (or a quota used up) from other errors."""
    return isinstance(error, OSError) and error.errno in FULL


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that no longer run began to write into `folder` and did not finish.

    Of other hosts nobody here knows what runs there: theirs go when they are a day old.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if STRAY.fullmatch(entry.name):
                with contextlib.suppress(OSError):  # another process was quicker, or the file is not ours to remove
                    if _is_left_over(entry):
                        os.unlink(entry.path)


def _is_left_over(entry: os.DirEntry[str]) -> bool:
    written = entry.stat(follow_symlinks=False).st_mtime
    if time.time() - written > DAY:
        return True
    name = PART.fullmatch(entry.name)
    if name is None or name["host"] != HOST or int(name["pid"]) == os.getpid():
        return False
    try:
        process = psutil.Process(int(name["pid"]))
        # A number is given again: a process that is younger than the file did not write it.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + 1
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OverflowError):
        return False


def require_writable(folder: Path) -> None:
    """Find out before hours of work whether their result can be kept; raises UsageError."""
    probe = folder / f".writable.{os.getpid()}@{HOST}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
