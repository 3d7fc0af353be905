"""Imports run one way: workflow → harness and experiments → worlds and methods → contract."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KEPT = "benchmarks.harness.kept"  # the form of a file of weights, which the network of a law reads


def imports(path):
    """Return the modules that a file imports, at its head or later; those for types alone are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typed = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    nodes = [node for node in ast.walk(tree) if node not in typed]
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return named + [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]


def files(*rooms, without=()):
    """Return the Python files of these rooms, commands (`__main__.py`) left out: they are run, not imported."""
    found = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    return [
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.name != "__main__.py" and not any(path.is_relative_to(ROOT / room) for room in without)
    ]


def reached(name, *rooms):
    return [module for module in imports(ROOT / name) if any(f"{module}.".startswith(f"{room}.") for room in rooms)]


@pytest.mark.parametrize("name", files("benchmarks/contract"))
def test_the_contract_needs_neither_harness_nor_worlds(name):
    allowed = {"methods.base", "methods.meta.base", "methods._discrete", "methods._work"}
    found = reached(name, "benchmarks", "methods", "workflow")
    assert {module for module in found if not module.startswith("benchmarks.contract.")} <= allowed


@pytest.mark.parametrize(
    "name",
    files("benchmarks", without=("benchmarks/contract", "benchmarks/harness", "benchmarks/experiments")),
)
def test_worlds_know_neither_harness_nor_workflow(name):
    if name.endswith("/_train.py"):
        pytest.skip("a command, run by hand before a release")
    assert {*reached(name, "benchmarks.harness", "benchmarks.experiments", "workflow")} <= {KEPT}


@pytest.mark.parametrize("name", files("methods"))
def test_methods_know_no_task_and_no_harness(name):
    assert not reached(name, "benchmarks.harness", "benchmarks.experiments", "workflow")
    worlds = [module for module in reached(name, "benchmarks") if not module.startswith("benchmarks.contract")]
    assert not worlds


@pytest.mark.parametrize("name", files("benchmarks/harness", "benchmarks/experiments"))
def test_the_harness_does_not_know_the_workflow(name):
    assert not reached(name, "workflow")
