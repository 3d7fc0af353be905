"""How a run can end, in the words of the tables. Imports nothing: the tables, the figures and the harness share it."""

from __future__ import annotations

from typing import Literal

Status = Literal[
    "finished",  # the budget is used up
    "stopped",  # the method ended by its own criterion
    "timeout",  # the guard struck: a hang, or a machine ten times slower than predicted
    "too_dear",  # not begun: predicted to take longer than this suite grants
    "diverged",  # candidates or incumbent are no longer finite
    "invalid_loss",  # the task answered NaN or infinity to sensible candidates
    "crashed",  # the task or the method raised an exception, or the process died
    "out_of_memory",
    "unsupported",
]
GOOD = ("finished", "stopped")  # it ended by its evaluations or by itself: there is a final loss
LEFT_OUT = ("unsupported", "too_dear")  # decided before the run, for a reason that the row gives
UNSCORED = (*LEFT_OUT, "timeout")  # says nothing about how good a method is: no score, rank or claim uses it
