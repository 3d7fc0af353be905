"""Which project files a module depends on: the inputs of a pipeline job and the fingerprint of a stored run.

Imports nothing heavy, so that the Snakefile can use it while it is parsed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.contract.reading import ROOT, find_file

ROOMS = ("benchmarks", "methods", "workflow")


def is_file(name: str) -> bool:
    """Tell whether a task, method, family or learner is named by a file of its own, anywhere on disk."""
    return name.endswith(".py")


def module_of(room: str, name: str) -> str:
    """Return what `sources` and the registry call a task, method …: `room.name`, or the path of a file of its own."""
    return name if is_file(name) else f"{room}.{name}"


def short(name: str) -> str:
    """Return what tables call it: no folder of anybody's disk."""
    return Path(name).stem if is_file(name) else name


def _file(module: str) -> Path | None:
    if is_file(module):
        return Path(module).resolve() if Path(module).is_file() else None
    if module.split(".")[0] not in ROOMS:
        return None
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(path: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def sources(*modules: str) -> list[str]:
    """Return the project's files that these modules import, themselves included.

    Paths are relative to the root; that of a file outside is absolute.
    """
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        path = _file(module)
        if path is None or path in found or path.name == "__init__.py":
            continue
        found.add(path)
        queue.extend(_imports(path))
    return sorted(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path) for path in found)


def cell_sources(problem: str, algorithm: str | None = None) -> list[str]:
    """Return the files that decide the outcome of a (task, method) cell: task, method, runner and what they import."""
    modules = [module_of("benchmarks", problem), "benchmarks.harness.runner"]
    return sources(*modules, *([module_of("methods", algorithm)] if algorithm else []))


def named_files(params: Mapping[str, Any]) -> list[str]:
    """Return the YAML files that parameters name, and the files beside them that these mention."""
    found: set[Path] = set()
    for value in params.values():
        path = find_file(value).resolve() if isinstance(value, str) and value.endswith((".yaml", ".yml")) else None
        if path is not None and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found |= {path, *(one for one in path.parent.iterdir() if one.is_file() and one.name in text)}
    return sorted(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path) for path in found)


def fingerprint(files: Iterable[str], *facts: str) -> str:
    """Return a hash of the files' contents and of further facts: a stored run with another one is stale."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()[:16]
