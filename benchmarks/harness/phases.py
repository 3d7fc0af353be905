"""What a job is doing, noted where the process that watches it can read it: a few numbers in shared memory.

Imports nothing heavy: the watching process must be there at once.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from dataclasses import dataclass
from typing import Literal, get_args

Phase = Literal[
    "start",  # Python and the libraries
    "task",  # the task (family) is built
    "warm_up",
    "setup",  # the method (learner) is built
    "state",  # what an interrupted run left is read, or kept for the next one
    "ask",
    "loss",
    "gradient",
    "tell",
    "incumbent",
    "validate",
    "image",
    "train",
    "adapt",
    "tables",  # finished pieces become tables
    "refused",  # a user's error was told
    "done",
]
NAMES: tuple[str, ...] = get_args(Phase)
LAYOUT = struct.Struct("8qd")
WORDS = struct.Struct("16s496s")  # status and reason of a job that cannot go on
SIZE = LAYOUT.size + WORDS.size
NOBODY = -1  # no replicate has begun


@dataclass(frozen=True)
class Beat:
    """A look at a job."""

    beats: int  # grows whenever a phase begins
    phase: str
    item: int  # which of the job's pieces, in their order
    replicate: int  # or NOBODY
    dim: int
    n_evals: int
    n_grads: int
    n_steps: int
    cost: float
    status: str = ""  # last words, if there were any
    reason: str = ""


def shared_file() -> int:
    """Return a descriptor of memory that this process and its children share; the caller closes it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("beyond-gd")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  (its duplicate outlives it)
        descriptor = os.dup(file.fileno())
        file.close()
    os.truncate(descriptor, SIZE)
    os.set_inheritable(descriptor, True)
    return descriptor


class Phases:
    """The job's side: call `enter` whenever something begins that could fail or hang. It costs a microsecond."""

    def __init__(self, descriptor: int | None = None) -> None:
        """Write to this descriptor of `shared_file`, or only remember."""
        self.memory = bytearray(SIZE) if descriptor is None else mmap.mmap(descriptor, SIZE)
        self.now: Phase = "start"
        self.beats, self.item, self.replicate = 0, 0, NOBODY
        self.forget()
        self.enter("start")

    def forget(self) -> None:
        """Begin a run: nothing is known of it yet."""
        self.dim, self.n_evals, self.n_grads, self.n_steps, self.cost = 0, 0, 0, 0, 0.0

    def begin(self, item: int, replicate: int = NOBODY) -> None:
        """Turn to a replicate of a piece."""
        self.item, self.replicate = item, replicate
        self.forget()
        self.enter("start")

    def enter(self, phase: Phase) -> None:
        """Say what begins now."""
        self.now = phase
        self.beats += 1
        counts = (self.dim, self.n_evals, self.n_grads, self.n_steps)
        numbers = (self.beats, NAMES.index(phase), self.item, self.replicate, *counts, self.cost)
        LAYOUT.pack_into(self.memory, 0, *numbers)

    def leave(self, status: str, reason: str) -> None:
        """Say why the job cannot go on; a long reason is cut."""
        WORDS.pack_into(self.memory, LAYOUT.size, status.encode(), reason.encode())


def look(memory: mmap.mmap) -> Beat:
    """Return what the job noted last."""
    beats, phase, *rest = LAYOUT.unpack_from(memory, 0)
    words = (part.rstrip(b"\0").decode(errors="ignore") for part in WORDS.unpack_from(memory, LAYOUT.size))
    return Beat(beats, NAMES[phase], *rest, *words)
