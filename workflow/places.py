"""Where a suite may write and what it reads: paths that no job, shell or wildcard takes for something else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contract.errors import UsageError, shown

if TYPE_CHECKING:
    from workflow.suite import Suite

ROOMS = ("benchmarks", "config", "methods", "profiles", "tests", "workflow")  # never results
LONGEST_PART, LONGEST = 200, 1000  # characters of one part of a path, and of all; files get names below it


def check_places(suite: Suite) -> None:
    """Raise UsageError for a `results` or `tuned` that is not a plain path, or would leave the working folder."""
    config = suite.config
    for key, example in (("results", "results"), ("tuned", f"results/{suite.name}/tuning/best.csv")):
        if key in config:
            wrong = _what_is_wrong(config[key], key)
            if wrong:
                raise UsageError(f"{suite.path}: {key}: is {shown(config[key])}, {wrong}; for example {example}")


def _what_is_wrong(text: str, key: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) < 0xE000 for character in text):
        return "must not hold control characters, line breaks or halves of characters"
    for character in "{}":
        if character in text:
            return f"must not hold {character!r}, which marks wildcards"
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        return "there is no such user; write the folder out"
    parts = path.parts
    if ".." in parts:
        return "must not hold '..': write the path from the working folder, or an absolute one"
    if text.startswith("-") or text != text.strip():
        return "must not begin with '-' or a space, nor end with a space"
    if len(str(path)) > LONGEST or any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"must be shorter: at most {LONGEST_PART} bytes between two slashes"
    if not path.name:
        return "must name a folder" if key == "results" else "must name a file"
    if key == "results" and not path.is_absolute() and (parts[0] in ROOMS or parts[0].startswith(".")):
        return "is where the code lives; take a folder of its own"
    return ""
