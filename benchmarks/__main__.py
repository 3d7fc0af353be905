"""`python -m benchmarks COMMAND`: what a user asks of the whole benchmark, outside the pipeline.

A command is a module of `workflow` with a `main(arguments)`.
"""

from __future__ import annotations

import importlib
import sys

from benchmarks.contract.errors import unknown
from benchmarks.harness.job import entry

COMMANDS = ("compare", "estimate", "merge", "publish")


def main() -> None:
    """Hand the command line on to the command that it names."""
    name, *arguments = sys.argv[1:] or [""]
    if name in ("", "-h", "--help"):
        print(f"{__doc__}\npython -m benchmarks {' | '.join(COMMANDS)} --help")
        return
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    importlib.import_module(f"workflow.{name}").main(arguments)


if __name__ == "__main__":
    entry(main)
