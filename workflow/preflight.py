"""The config files on a command line, checked before Snakemake reads them.

Snakemake answers a config that is no YAML with a traceback, or without its name. The profiles call this first: a wrong
file is one line, whatever is wrong. The Snakefile checks again, for commands that take no profile.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.contract.errors import UsageError, shown
from workflow.suite import load_suite

OPTIONS = ("--configfile", "--configfiles")


def config_files(arguments: Sequence[str]) -> list[str]:
    """Return the files that a Snakemake command line names as configs."""
    found, taking = [], False
    for argument in arguments:
        if argument.startswith("-"):
            option, equals, value = argument.partition("=")
            taking = option in OPTIONS and not equals
            found.extend([value] if option in OPTIONS and equals else [])
        elif taking:
            found.append(argument)
    return found


def check_command_line(arguments: Sequence[str]) -> None:
    """End the program with one line on stderr if a config named on its command line is wrong."""
    try:
        files = config_files(arguments)
        if len(files) > 1:
            raise UsageError(
                f"a suite is one config file, got {len(files)}: {', '.join(map(shown, files))}; "
                "targets stand before --configfile or behind --"
            )
        for path in files:
            load_suite(path)
    except UsageError as error:
        sys.exit(f"error: {error}")
