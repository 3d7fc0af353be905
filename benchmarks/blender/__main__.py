"""`python -m benchmarks.blender install`: Blender in an environment of its own, made once.

Exit code 2 where something has to be mended first, 3 where the packages cannot be downloaded.
"""

from __future__ import annotations

import sys

from benchmarks.blender._environment import NoDownload, install
from benchmarks.contract.errors import UsageError
from benchmarks.harness.job import entry

NO_DOWNLOAD = 3


def main() -> None:
    """Install, or say what there is."""
    arguments = sys.argv[1:]
    if arguments in ([], ["-h"], ["--help"]):
        print(__doc__)
        return
    if arguments != ["install"]:
        raise UsageError(f"unknown command {' '.join(arguments)!r}; there is one: install")
    try:
        install()
    except NoDownload as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(NO_DOWNLOAD)


if __name__ == "__main__":
    entry(main)
