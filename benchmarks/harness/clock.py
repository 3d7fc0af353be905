"""Wall-clock time, split by who spent it, with the device synchronised."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import torch


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@dataclass
class Clock:
    """Seconds spent in set-up, ask, evaluate and tell."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("setup", "ask", "eval", "tell"), 0.0))

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the time of the block to `part`."""
        synchronize(self.device)
        begin = time.perf_counter()
        try:
            yield
        finally:
            synchronize(self.device)
            self.seconds[part] += time.perf_counter() - begin

    @property
    def total(self) -> float:
        """Seconds charged to the run: all parts; validation and images are not among them."""
        return sum(self.seconds.values())


class HardTimeout(BaseException):
    """A single step took far longer than the whole run may; not an Exception, so that no library swallows it."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise HardTimeout in the block after `seconds` of wall time, also inside an endless step."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise HardTimeout

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
