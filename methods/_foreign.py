"""What other people's libraries need around them: global random states of their own, silence, and to be installed."""

# The global state of NumPy is what is guarded here.
# ruff: noqa: NPY002

from __future__ import annotations

import importlib
import random
import warnings
from types import TracebackType

import numpy as np


class Sandbox:
    """Inside `with sandbox:`, numpy's and Python's global random states are private ones, kept from visit to visit.

    Many libraries draw from the global states or even seed them; outside the block nothing is touched. Warnings that
    only a library's authors can mend are silenced inside.
    """

    def __init__(self, seed: int) -> None:
        self.numpy = np.random.RandomState(seed % 2**32).get_state()
        self.python = random.Random(seed).getstate()

    def __enter__(self) -> Sandbox:
        self.outside = np.random.get_state(), random.getstate()
        np.random.set_state(self.numpy)
        random.setstate(self.python)
        self.filters = warnings.catch_warnings(action="ignore")
        self.filters.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.filters.__exit__(kind, error, trace)
        self.numpy, self.python = np.random.get_state(), random.getstate()
        np.random.set_state(self.outside[0])
        random.setstate(self.outside[1])


def missing(library: str) -> str | None:
    """Import `library` (some draw random numbers while imported); return None, or why it cannot be used."""
    try:
        with Sandbox(0):
            importlib.import_module(library)
    except ImportError as error:
        return f"needs the package {library} ({error}): pip install 'beyond-gd[rivals]'"
    return None
