"""Errors a user can mend: they name the file or key and the way out, and are printed without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """Something in a config, a command line or the environment has to be changed by the user."""


class Unsupported(Exception):
    """This machine cannot run a task or a method, for instance because a library is missing: a row, not a crash.

    The text is the reason that the tables show; it names the way out, for example a command that installs the library.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")
