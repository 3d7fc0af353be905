"""The parent that watches a job: light, thorough at the end, and no judge of what it cannot see."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from benchmarks.harness import cell as cells
from benchmarks.harness.cell import Cell
from benchmarks.harness.sources import ROOT
from benchmarks.harness.watch import Guard, supervise

CELL = Cell("suite", "task", "analytic.quadratic", "method", "random_search", 10, 10.0, [0], memory_gib=2.0)
DIES = """
import os, signal, subprocess, sys
sleeper = subprocess.Popen(["sleep", "1000"])
with open(sys.argv[1], "w") as file:
    file.write(str(sleeper.pid))
os.kill(os.getpid(), signal.SIGSEGV)
"""
JOBS = (
    "harness.cell",
    "harness.calibrate",
    "harness.tune",
    "harness.meta_train",
    "harness.adapt",
    "harness.meta_tune",
    "experiments.sampling",
    "experiments.diffusion",
    "experiments.posterior",
    "experiments.rays",
)


def test_what_a_dead_child_had_started_ends_with_it(tmp_path):
    deaths, told = [], tmp_path / "pid"

    def bury(death):
        deaths.append(death)
        return 1

    assert supervise([sys.executable, "-c", DIES, str(told)], Guard(60, 60), bury, whole=True) == 0
    assert [death.status for death in deaths] == ["crashed"]
    assert "SIGSEGV" in deaths[0].reason
    try:
        sleeper = psutil.Process(int(told.read_text(encoding="utf-8")))
        psutil.wait_procs([sleeper], timeout=20)
        alive = sleeper.is_running() and sleeper.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        alive = False
    assert not alive


@pytest.mark.parametrize("job", JOBS)
def test_the_parent_of_a_job_loads_no_heavy_library(job):
    code = f"import sys, benchmarks.{job}; print(*({{'torch', 'pandas', 'scipy'}} & set(sys.modules)))"
    job = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert job.stdout.split() == []


def test_memory_granted_on_a_gpu_is_not_held_against_main_memory():
    assert cells.guard_of(CELL).memory_gib == 2.0
    assert cells.guard_of(replace(CELL, device="cuda:1")).memory_gib is None
