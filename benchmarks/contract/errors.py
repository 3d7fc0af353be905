"""Errors a user can mend: they name the file or key and the way out, and are printed without a traceback."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

LONGEST = 80  # characters of a value in a message


class UsageError(Exception):
    """Something in a config, a command line or the environment has to be changed by the user."""


class Unsupported(Exception):
    """This machine cannot run a task or a method, for instance because a library is missing: a row, not a crash.

    The text is the reason that the tables show; it names the way out, for example a command that installs the library.
    """


def shown(value: Any) -> str:
    """Return a value as a message shows it: on one line, cut where it is long or nested deeply."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 3, LONGEST, LONGEST
    try:
        text = short.repr(value)
    except ValueError:  # Python refuses to print whole numbers of thousands of digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 2 * LONGEST else f"{text[: 2 * LONGEST]}…"


def unknown(kind: str, name: object, known: Iterable[str]) -> UsageError:
    """Return the error for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    near = difflib.get_close_matches(str(name)[:LONGEST], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return UsageError(f"unknown {kind} {shown(name)}; {hint}")
