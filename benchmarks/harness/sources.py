"""Which project files a module depends on: the inputs of a pipeline job and the fingerprint of a stored run.

Imports nothing heavy, so that the Snakefile can use it while it is parsed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("benchmarks", "methods", "workflow")
FAMILIES = "appearance"  # the folder of benchmarks/ that holds families for meta-learning, not tasks


def _file(module: str) -> Path | None:
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
    """Return the project's files that these modules import, themselves included, as paths relative to the root."""
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        path = _file(module) if module.split(".")[0] in ROOMS else None
        if path is None or path in found or path.name == "__init__.py":
            continue
        found.add(path)
        queue.extend(_imports(path))
    return sorted(str(path.relative_to(ROOT)) for path in found)


def cell_sources(problem: str, algorithm: str | None = None) -> list[str]:
    """Return the files that decide the outcome of a (task, method) cell: task, method, runner and what they import."""
    modules = [f"benchmarks.{problem}", "benchmarks.harness.runner"]
    return sources(*modules, *([f"methods.{algorithm}"] if algorithm else []))


def fingerprint(files: Iterable[str], *facts: str) -> str:
    """Return a hash of the files' contents and of further facts: a stored run with another one is stale."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    for fact in facts:
        digest.update(fact.encode() + b"\0")
    return digest.hexdigest()[:16]
