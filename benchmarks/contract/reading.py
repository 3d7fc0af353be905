"""YAML as users write it, read so strictly that nothing is taken for something else; complaints name file and line.

PyYAML lets the last of two equal keys win, takes `010` for 8, `1:30` for 90 and `yes` for true. Here such a file is
refused, with the way out.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contract.errors import UsageError, shown

ROOT = Path(__file__).resolve().parents[2]

MOST_BYTES = 2**20
MOST_NODES = 100_000  # aliases counted each time: a few lines can stand for billions
DEEPEST = 40
MOST_BITS = 1024  # of a whole number: Python takes long over larger ones, or does not print them at all
TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MARKS = ((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def read_yaml(path: Path | str) -> Any:
    """Return the content of a file; raises UsageError with file, line and way out where it cannot be read as meant."""
    try:
        file = Path(path)
        if file.exists() and not file.is_file():
            raise UsageError(f"{shown(str(path))[1:-1]}: is not a file; name a suite's config, e.g. config/smoke.yaml")
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a suite's config, e.g. config/smoke.yaml") from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{str(path)!r}: not the name of a file ({error}); name a suite's config") from error
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{path}: larger than {MOST_BYTES:,} bytes, no suite's config is; split it into several suites"
        )
    return parse_yaml(_decoded(content, str(path)), str(path))


def parse_yaml(text: str, owner: str) -> Any:
    """Return the content of YAML text; raises UsageError that begins with `owner` where it cannot be read as meant."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Inspection(owner, loader).look(node, 0)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        said = " ".join(" ".join(part for part in (error.context, error.problem) if part).split())
        way_out = "indent with spaces" if "\\t" in said else "mend it there or in the line before"
        raise UsageError(f"{owner}: {where}not valid YAML: {_clipped(said)}; {way_out}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = error.character if isinstance(error.character, int) else ord(error.character)
        raise UsageError(
            f"{owner}: line {line}: not valid YAML: the character U+{character:04X} is not allowed; take it out"
        ) from error
    except RecursionError as error:
        raise UsageError(f"{owner}: not valid YAML: nested too deeply; write it with fewer levels") from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(f"{owner}: not valid YAML: {_clipped(' '.join(str(error).split()))}; mend it") from error


def _decoded(content: bytes, path: str) -> str:
    guess = next((name for mark, name in MARKS if content.startswith(mark)), "UTF-16" if b"\0" in content[:4] else "")
    if not guess:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            guess = f"Latin-1 or the like (byte {content[error.start]:#04x} in line {line})"
    raise UsageError(f"{path}: not UTF-8 but {guess}; save it as UTF-8")


def _clipped(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


class _Inspection:
    """Walks the nodes of a document before anything is made of them."""

    def __init__(self, owner: str, loader: yaml.SafeLoader) -> None:
        self.owner, self.loader, self.seen = owner, loader, 0

    def look(self, node: yaml.Node, depth: int) -> None:
        self.seen += 1
        if depth > DEEPEST:
            raise self.wrong(node, "nested too deeply, or in a circle by an alias; write it with fewer levels")
        if self.seen > MOST_NODES:
            raise self.wrong(node, f"more than {MOST_NODES:,} values, aliases counted each time; write fewer")
        if isinstance(node, yaml.MappingNode):
            self.keys(node)
            for key, value in node.value:
                self.look(key, depth + 1)
                self.look(value, depth + 1)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self.look(item, depth + 1)
        elif isinstance(node, yaml.ScalarNode) and node.tag not in (TEXT, MERGE):
            self.scalar(node)

    def keys(self, node: yaml.MappingNode) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise self.wrong(key, "a key is a list or a mapping; write plain text before the colon")
            if key.tag != TEXT:
                raise self.wrong(
                    key, f"the key {shown(key.value)[1:-1]} is not text to YAML; write it in quotes, or another one"
                )
            if key.value in lines:
                raise self.wrong(
                    key, f"the key {shown(key.value)} is there twice, first in line {lines[key.value]}; keep one"
                )
            lines[key.value] = key.start_mark.line + 1

    def scalar(self, node: yaml.ScalarNode) -> None:
        if node.tag in NUMBERS and node.style is None:
            self.number(node)
        try:
            value = self.loader.construct_object(node)
        except yaml.YAMLError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever PyYAML's constructors raise)
            raise self.wrong(
                node, f"{shown(node.value)} is no number, date or such; quote it where it is text"
            ) from error

        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise self.wrong(node, f"{shown(node.value)} is too large a number; write a smaller one")

    def number(self, node: yaml.ScalarNode) -> None:
        digits = node.value.lstrip("+-").replace("_", "")
        if ":" in digits:
            raise self.wrong(
                node, f"YAML takes {node.value} for a number to base 60; write the seconds out, or quote it"
            )
        if re.fullmatch(r"0[0-7]+", digits):
            plain = digits.lstrip("0") or "0"
            raise self.wrong(
                node, f"YAML takes {shown(node.value)[1:-1]} for an octal number; write {shown(plain)[1:-1]}"
            )

    def wrong(self, node: yaml.Node, what: str) -> UsageError:
        return UsageError(f"{self.owner}: line {node.start_mark.line + 1}: {what}")


def find_file(name: str) -> Path:
    """Return the path of a file that a config names: as seen from the working directory, or else from the checkout."""
    path = Path(name).expanduser()
    return path if path.is_file() or not (ROOT / path).is_file() else ROOT / path
