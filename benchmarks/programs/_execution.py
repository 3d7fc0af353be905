"""One run of a command: its picture, or what became of it. No shell is involved."""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.contract.descendants import end_all
from benchmarks.contract.statuses import Status

LAST = 2000  # bytes of output that are looked at for the last lines
LINES = 3


class Failed(Exception):
    """One evaluation has no picture; the text is its status, why, and the command's last lines."""

    def __init__(self, status: Status, why: str, output: str = "") -> None:
        super().__init__(f"{status}: {why}" + (f"; it said: {output}" if output else ""))


def picture_of(
    arguments: Sequence[str], picture: str, text: str | None, timeout: float, environment: dict[str, str]
) -> np.ndarray:
    """Run a command in an empty folder of its own and return its picture (h, w, 3), float32 in [0, 1].

    Raises Failed: exit code, signal, hang, no picture, a picture that cannot be read, values that are not finite.
    """
    with (
        tempfile.TemporaryDirectory(prefix="beyond-gd-", ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as files,
    ):
        # Files and no pipes: a grandchild that lives on cannot keep anybody waiting for the end of a pipe.
        given, out, told = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write((text or "").encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(arguments), cwd=folder, env=environment, stdin=given, stdout=out, stderr=told, process_group=0
            )
        except OSError as error:
            raise Failed("crashed", f"{arguments[0]} cannot be started ({error.strerror or error})") from error
        try:
            ended = _wait(process, timeout)
        finally:
            end_all(process)
        code = process.returncode
        said = last_lines(told) or ("" if picture == "stdout" else last_lines(out))
        if not ended:
            raise Failed("timeout", f"no end within {timeout:g} s", said)
        if code:
            raise Failed("crashed", died(code), said)
        if picture == "stdout":
            out.seek(0)
            content = out.read()
        else:
            file = Path(folder, picture)
            if not file.is_file():
                raise Failed("crashed", f"it left no file {picture}", said)
            content = file.read_bytes()
        return read_picture(content, said)


def read_picture(content: bytes, said: str = "") -> np.ndarray:
    """Return a picture's numbers (h, w, 3) in [0, 1]; what is transparent is put on white."""
    if not content:
        raise Failed("crashed", "the picture is empty", said)
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.mode == "F":
                numbers = np.asarray(image, np.float32)[..., None].repeat(3, 2)
            else:
                if image.has_transparency_data:
                    colours = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours)  # noqa: PLW2901
                numbers = np.asarray(image.convert("RGB"), np.float32) / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Failed("crashed", f"the picture cannot be read ({str(error).splitlines()[0]})", said) from error
    if not np.isfinite(numbers).all():
        raise Failed("invalid_loss", "the picture has values that are not finite", said)
    return numbers.clip(0, 1)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process without polling where Linux can; return whether it ended in time."""
    if not hasattr(os, "pidfd_open"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.returncode is not None
    handle = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(1000 * seconds))
    finally:
        os.close(handle)


def died(code: int) -> str:
    """Return how a process ended that ended badly."""
    return f"exit code {code}" if code >= 0 else f"died of {signal.Signals(-code).name}"


def last_lines(file: io.BufferedRandom) -> str:
    """Return the last lines of what was written into a file, on one line."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LAST))
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    return " / ".join([line for line in lines if line][-LINES:])
