"""Workers that render, one at a time or several at once; one that dies, hangs or talks nonsense is replaced."""

from __future__ import annotations

import os
import queue
import select
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from benchmarks.blender._protocol import ANSWER, PICTURE, SORRY, length, question
from benchmarks.contract.descendants import end_all
from benchmarks.programs._execution import Failed, died, last_lines


@dataclass(frozen=True)
class Program:
    """How a worker is started, and how long it may take."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    start_s: float = 300.0  # until it is ready: Blender loads 900 MB, which a busy disk makes slow
    timeout: float = 60.0  # for one picture


class Worker:
    """One child process and the pipes to it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.said = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            # In the group of its job, which is ended as a whole: no worker is left when the job is killed.
            self.process = subprocess.Popen(
                list(program.command),
                env=dict(program.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
                bufsize=0,
            )
        except OSError as error:
            self.said.close()
            raise Failed("crashed", f"{program.command[0]} cannot be started ({error.strerror or error})") from error
        os.set_blocking(self.process.stdin.fileno(), False)
        try:
            self._answer(program.start_s, "it was not ready")
        except BaseException:
            self.end()
            raise

    def render(self, values: np.ndarray) -> np.ndarray:
        """Return the picture (h, w, 3) of values (n,); raises Failed, after most of which the worker is of no use."""
        self._send(question(values))
        head, content = self._answer(self.program.timeout, "there was no picture")
        if head[0] != PICTURE:
            raise Failed("crashed", "the worker answers with no picture")
        picture = np.frombuffer(content, "<f4").reshape(head[1:])
        if not np.isfinite(picture).all():
            raise Failed("invalid_loss", "the picture has values that are not finite")
        return picture

    def _send(self, content: bytes) -> None:
        rest, until = memoryview(content), time.monotonic() + self.program.timeout
        while rest:
            self._wait(self.process.stdin.fileno(), select.POLLOUT, until, "it took no question")
            try:
                rest = rest[os.write(self.process.stdin.fileno(), rest) :]
            except OSError as error:
                raise self._dead() from error

    def _answer(self, seconds: float, what: str) -> tuple[tuple[int, ...], bytearray]:
        until = time.monotonic() + seconds
        head = self._read(ANSWER.size, until, f"{what} within {seconds:g} s")
        try:
            count = length(head)
        except ValueError as error:
            raise Failed("crashed", str(error), last_lines(self.said)) from error
        content = self._read(count, until, f"{what} within {seconds:g} s")
        kind, *sizes = ANSWER.unpack(head)
        if kind == SORRY:
            raise Failed("crashed", content.decode(errors="replace"))
        return (kind, *sizes), content

    def _read(self, count: int, until: float, what: str) -> bytearray:
        parts = bytearray()
        while len(parts) < count:
            self._wait(self.process.stdout.fileno(), select.POLLIN, until, what)
            part = os.read(self.process.stdout.fileno(), count - len(parts))
            if not part:
                raise self._dead()
            parts += part
        return parts

    def _wait(self, descriptor: int, event: int, until: float, what: str) -> None:
        ready = select.poll()
        ready.register(descriptor, event)
        if not ready.poll(max(0.0, 1000 * (until - time.monotonic()))):
            raise Failed("timeout", what, last_lines(self.said))

    def _dead(self) -> Failed:
        try:
            how = died(self.process.wait(10.0))
        except subprocess.TimeoutExpired:
            how = "closed its pipes"
        return Failed("crashed", f"the worker's end: {how}", last_lines(self.said))

    def end(self) -> None:
        """End the process and close the pipes."""
        end_all(self.process)
        for pipe in (self.process.stdin, self.process.stdout, self.said):
            pipe.close()


@dataclass(eq=False)
class Pool:
    """Workers that are started when they are needed first, at most as many as are asked to work at once.

    Which of them renders a picture makes no difference to it: every question holds all that a picture depends on.
    """

    program: Program
    idle: queue.SimpleQueue[Worker] = field(default_factory=queue.SimpleQueue)
    started: int = 0  # how often: a test sees who was replaced

    def __post_init__(self) -> None:
        weakref.finalize(self, _end_idle, self.idle)

    def render(self, values: np.ndarray) -> np.ndarray:
        """Return the picture (h, w, 3) of values (n,); raises Failed."""
        if not np.isfinite(values).all():  # Blender renders NaN as if it were a number
            raise Failed("invalid_loss", "values are not finite")
        try:
            worker = self.idle.get_nowait()
        except queue.Empty:
            worker = Worker(self.program)
            self.started += 1
        try:
            picture = worker.render(values)
        except BaseException:
            worker.end()
            raise
        self.idle.put(worker)
        return picture

    def try_all(self, values: Sequence[np.ndarray], at_once: int) -> list[np.ndarray | str]:
        """Return for each of values (n,) its picture, or why there is none."""
        with ThreadPoolExecutor(max(1, min(len(values), at_once))) as threads:
            return list(threads.map(self._try, values))

    def _try(self, values: np.ndarray) -> np.ndarray | str:
        try:
            return self.render(values)
        except Failed as error:
            return str(error)

    def end(self) -> None:
        """End all workers that rest; the next picture starts one anew."""
        _end_idle(self.idle)


def _end_idle(idle: queue.SimpleQueue[Worker]) -> None:
    while True:
        try:
            idle.get_nowait().end()
        except queue.Empty:
            return
