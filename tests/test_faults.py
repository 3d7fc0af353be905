"""Every fault in every phase ends as the right row, and the other replicate is untouched.

A copy of the two rooms gets a world and a method that misbehave on demand: dropping in a file is all it takes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from benchmarks.harness.cell import Cell
from benchmarks.harness.sources import ROOT

HERE = Path(__file__).parent / "faulty"
DRIVER = """
import sys
from functools import partial
from pathlib import Path
from benchmarks.harness.cell import Cell, Piece, bury
from benchmarks.harness.watch import Guard, supervise
spec, out, phase_s = sys.argv[1:]
cell = Cell.from_json(spec)
guard = Guard(phase_s=float(phase_s), replicate_s=60, start_s=float(phase_s) + 30, memory_gib=cell.memory_gib)
command = [sys.executable, "-m", "benchmarks.harness.cell", "--spec", spec, "--out", out]
sys.exit(supervise(command, guard, partial(bury, [Piece(cell, Path(out))])))
"""
CELL = Cell(
    suite="faults",
    task="task",
    problem="faulty.task",
    method="method",
    algorithm="faulty",
    evaluations=20,
    minutes=1.0,
    replicates=[0, 1],
    checkpoints=3,
    memory_gib=3.0,
)
OF_TASK = ("task", "warm_up", "loss", "gradient", "validate", "image")
OF_METHOD = ("setup", "ask", "tell", "incumbent", "state")
ENDINGS = {  # fault → status, a word of the reason
    "raise": ("crashed", "ValueError: something is wrong"),
    "memory_error": ("out_of_memory", "MemoryError"),
    "allocate": ("out_of_memory", ""),
    "hang": ("timeout", "nothing happened within"),
    "hang_in_c": ("timeout", "nothing happened within"),
    "segfault": ("crashed", "SIGSEGV"),
    "kill": ("crashed", "SIGKILL"),
    "exit_0": ("crashed", "exit code 0"),
    "exit_3": ("crashed", "exit code 3"),
    "sys_exit": ("crashed", "SystemExit: enough"),
}
WRONG = {  # (phase, fault) → status, a word: wrong numbers, where there are numbers
    ("loss", "nan"): ("invalid_loss", "answered nan"),
    ("gradient", "nan"): ("invalid_loss", "answered nan"),
    ("validate", "nan"): ("invalid_loss", "nan"),
    ("ask", "nan"): ("diverged", "not finite"),
    ("incumbent", "nan"): ("diverged", "not finite"),
    ("loss", "shape"): ("crashed", "losses (1, 1)"),
    ("gradient", "shape"): ("crashed", "losses (1, 1)"),
    ("ask", "shape"): ("crashed", "ask returned (3,)"),
    ("incumbent", "shape"): ("crashed", "incumbent returned (1, 3)"),
}
FEW = [  # the rest is slow: a process each
    *(("task", "raise"), ("warm_up", "segfault"), ("validate", "hang_in_c"), ("image", "exit_0")),
    *(("tell", "kill"), ("setup", "allocate"), ("incumbent", "sys_exit"), ("loss", "shape")),
]
ALL = [(phase, fault) for phase in (*OF_TASK, *OF_METHOD) for fault in ENDINGS] + list(WRONG)
LEFT = [case for case in ALL if case not in FEW]
REST = [  # coprime to the number of faults, so that every fault and every phase is among those of the gate
    pytest.param(*case, marks=pytest.mark.exhaustive if number % 7 else pytest.mark.slow)
    for number, case in enumerate(LEFT)
]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the rooms with a faulty world and a faulty method."""
    folder = tmp_path_factory.mktemp("checkout")
    for room in ("benchmarks", "methods"):
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    world = folder / "benchmarks" / "faulty"
    world.mkdir()
    shutil.copy(HERE / "fault.py", world / "_fault.py")
    shutil.copy(HERE / "task.py", world / "task.py")
    shutil.copy(HERE / "method.py", folder / "methods" / "faulty.py")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    return folder


def run(checkout, cell, out, phase_s=20.0):
    """Run a watched cell in the checkout."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "BEYOND_GD_SAVE_SECONDS": "0", "PYTHONPATH": str(checkout)}
    command = [sys.executable, "driver.py", json.dumps(asdict(cell)), str(out), str(phase_s)]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def faulty(phase, fault):
    params = {"phase": phase, "fault": fault}
    if phase in OF_TASK:
        return replace(CELL, problem_params=params, params={"needs": "gradient"} if phase == "gradient" else {})
    return replace(CELL, params=params)


@pytest.mark.parametrize(("phase", "fault"), [*FEW, *REST])
def test_a_fault_is_the_right_row_and_the_other_replicate_is_untouched(phase, fault, checkout, tmp_path):
    job = run(checkout, faulty(phase, fault), tmp_path, phase_s=15.0 if fault.startswith("hang") else 60.0)
    assert job.returncode == 0, job.stderr[-2000:]
    runs = pd.read_parquet(tmp_path / "runs.parquet").set_index("seed")
    status, word = WRONG.get((phase, fault)) or ENDINGS[fault]
    assert runs.status[0] == status, runs.reason[0]
    assert word in runs.reason[0]
    if status in ("crashed", "out_of_memory", "timeout"):
        assert runs.phase[0] == phase
    assert len(runs.reason[0].splitlines()) == 1
    assert runs.loss_final.isna()[0]
    other = runs.status[1], runs.n_evals[1]
    assert other == ((status, 0) if phase == "task" else ("finished", 20 if phase != "gradient" else 6))
    curves = pd.read_parquet(tmp_path / "curves.parquet")
    assert (1 in set(curves.seed)) == (phase != "task")


def test_a_second_run_repeats_neither_what_finished_nor_what_crashed(checkout, tmp_path):
    cell = faulty("tell", "segfault")
    assert run(checkout, cell, tmp_path).returncode == 0
    (tmp_path / "runs.parquet").unlink()
    again = run(checkout, cell, tmp_path)
    assert again.returncode == 0
    assert "replicate" not in again.stdout
    assert list(pd.read_parquet(tmp_path / "runs.parquet").status) == ["crashed", "finished"]


def test_a_job_that_somebody_ends_leaves_no_row_and_no_process(checkout, tmp_path):
    cell = replace(faulty("ask", "hang"), replicates=[0])
    for number in (signal.SIGTERM, signal.SIGKILL):
        job = start(checkout, cell, tmp_path)
        children = wait_for_child(job)
        job.send_signal(number)
        job.wait(20)
        psutil.wait_procs(children, timeout=20)
        assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
        assert not list(tmp_path.glob("replicate_0.json"))


@pytest.mark.parametrize(
    ("line", "status", "words"),
    [
        ("import no_such_library", "unsupported", ["no_such_library", "pip install"]),
        ("undefined_name", "crashed", ["NameError: name 'undefined_name'", "(crashed.py, line "]),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_row_with_the_reason(line, status, words, checkout, tmp_path):
    room = checkout / "benchmarks" / "faulty"
    (room / f"{status}.py").write_text(f"{(room / 'task.py').read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    job = run(checkout, replace(CELL, problem=f"faulty.{status}"), tmp_path)
    assert job.returncode == 0, job.stderr[-2000:]
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    assert set(runs.status) == {status}
    assert all(word in reason for word in words for reason in runs.reason)
    spec = {"task": "task", "problem": f"faulty.{status}", "problem_params": {}, "replicates": [0], "device": "cpu"}
    command = [sys.executable, "-m", "benchmarks.harness.calibrate", "--out", str(tmp_path), "--spec"]
    subprocess.run([*command, json.dumps(spec | {"threads": 1})], cwd=checkout, check=True, capture_output=True)
    row = json.loads((tmp_path / "task.json").read_text(encoding="utf-8"))
    assert row["status"] == status
    assert all(word in row["reason"] for word in words)


def start(checkout, cell, out):
    command = [sys.executable, "-m", "benchmarks.harness.cell", "--spec", json.dumps(asdict(cell)), "--out", str(out)]
    return subprocess.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_child(job):
    """Return the children once the first one imports torch."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = psutil.Process(job.pid).children(recursive=True)
        if children and children[0].memory_info().rss > 80 * 2**20:
            return children
        time.sleep(0.05)
    raise AssertionError("no child")
