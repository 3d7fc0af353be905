"""Shared by all tests: one thread each, several processes for the whole, no Mitsuba where none can be loaded."""

from __future__ import annotations

import os
import shutil
from functools import cache

import pytest
import torch

from benchmarks.contract.errors import Unsupported, UsageError

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the programs that tests start
torch.set_num_threads(1)


def pytest_xdist_auto_num_workers(config):
    """`-n auto`: up to four processes for the whole suite, none for named files."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    return min(4, os.cpu_count() or 1) if whole else 0


def pytest_collection_modifyitems(items):
    """Contract tests run on every task: those of rendered scenes need Mitsuba or Blender."""
    for item in items:
        values = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value.startswith("rendering.") for value in values):
            item.add_marker(pytest.mark.llvm)
        if any(isinstance(value, str) and value.startswith("blender.") for value in values):
            item.add_marker(pytest.mark.blender)


@cache
def without_mitsuba() -> str:
    """Return why Mitsuba cannot be loaded here, or nothing."""
    from benchmarks.rendering._mitsuba import backend

    try:
        backend()
    except (Unsupported, UsageError) as error:
        return str(error)
    return ""


@cache
def without_blender() -> str:
    """Return why Blender cannot be loaded here, or nothing."""
    from benchmarks.blender._environment import MEND, installed, missing_libraries, way_out

    if not installed():
        return f"Blender is not installed: {MEND}"
    lacking = missing_libraries()
    return f"Blender needs {', '.join(lacking)}: {way_out(lacking)}" if lacking else ""


def pytest_runtest_setup(item):
    if item.get_closest_marker("blender") and without_blender():
        pytest.skip(without_blender())
    if item.get_closest_marker("llvm") and without_mitsuba():
        pytest.skip(without_mitsuba())
    if without_program(item):
        pytest.skip(without_program(item))


def without_program(item):
    """Return why a contract test cannot run the program of `programs.command`, or nothing."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if "programs.command" not in values or shutil.which("rsvg-convert"):
        return ""
    return "needs rsvg-convert: apt-get install -y librsvg2-bin"


@pytest.fixture
def folder(tmp_path):
    """A results folder of its own."""
    return tmp_path / "results"
