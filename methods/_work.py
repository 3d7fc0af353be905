"""What a method or a task does per evaluation, in counts without a clock: the basis of every cost estimate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """Work of one evaluation, shared out evenly over the evaluations of a batch.

    A number is one float32 read, used and written, on the task's device; arithmetic that is not hidden behind the
    memory's traffic counts as more of them. A launch is one call of a tensor library.
    """

    launches: float
    numbers: float
    host: float = 0.0  # numbers that are worked on by the CPU wherever the task is
    kept: float = 0.0  # numbers that a method keeps from step to step: its memory, and the size of its state file

    def __add__(self, other: Work) -> Work:
        return Work(
            self.launches + other.launches,
            self.numbers + other.numbers,
            self.host + other.host,
            self.kept + other.kept,
        )

    def __mul__(self, factor: float) -> Work:
        """Return the work of `factor` evaluations; what is kept is kept once."""
        return Work(self.launches * factor, self.numbers * factor, self.host * factor, self.kept)
