"""Two jobs on two GPUs, one each: a GPU is held by a lock, and the other ones are not seen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from project import ROOT

from benchmarks.harness import gpu
from benchmarks.harness.watch import Guard, supervise

SMI = """#!/bin/sh
echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaa-1)'
echo '  MIG 1g.10gb     Device  0: (UUID: MIG-bbbb-1)'
echo 'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-cccc-2)'
"""
JOB = """
import os, sys
from benchmarks.harness.gpu import own_gpu
with own_gpu(sys.argv[1]):
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with two GPUs, as far as nvidia-smi tells, and no locks yet."""
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(gpu.tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(gpu.VISIBLE, raising=False)


@pytest.fixture
def job():
    """Start a job on a device; it ends with a line on its standard input."""
    started = []

    def start(device="cuda"):
        command = [sys.executable, "-c", JOB, device]
        started.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_two_jobs_have_one_each_and_a_third_waits(job):
    first, second = job(), job()
    seen = [process.stdout.readline().strip() for process in (first, second)]
    assert sorted(seen) == ["GPU-aaaa-1", "GPU-cccc-2"]
    third = job()
    assert "2 GPUs are taken" in third.stdout.readline()
    second.communicate("\n")
    assert third.stdout.readline().strip() == seen[1]


def test_a_killed_job_holds_nothing(job):
    first = job()
    assert first.stdout.readline().strip() == "GPU-aaaa-1"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert job().stdout.readline().strip() == "GPU-aaaa-1"


@pytest.mark.parametrize(
    ("device", "told", "seen"),
    [
        ("cpu", None, None),
        ("cuda:1", None, None),  # names its own
        ("cuda", "GPU-cccc-2", "GPU-cccc-2"),  # a scheduler's choice
        ("cuda", "", ""),
        ("cuda", "3,1", "3"),
        ("cuda", None, "GPU-aaaa-1"),
    ],
)
def test_what_a_job_sees(device, told, seen, monkeypatch):
    if told is not None:
        monkeypatch.setenv(gpu.VISIBLE, told)
    for _ in range(2):  # the first gives it back
        with gpu.own_gpu(device):
            assert os.environ.get(gpu.VISIBLE) == seen
        assert os.environ.get(gpu.VISIBLE) == told


def test_without_nvidia_smi_there_is_no_choice(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert gpu.visible() == []
    (tmp_path / "nvidia-smi").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.visible() == []
    with gpu.own_gpu("cuda"):
        assert gpu.VISIBLE not in os.environ


def test_the_child_of_a_job_sees_the_gpu_that_its_parent_holds(tmp_path):
    told = tmp_path / "told"
    code = f"import os, pathlib; pathlib.Path({str(told)!r}).write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    held, _ = gpu._take(["GPU-aaaa-1"])  # another job, as it were
    supervise([sys.executable, "-c", code], Guard(60, 60), lambda death: 1, whole=True, device="cuda")
    os.close(held)
    assert told.read_text() == "GPU-cccc-2"
    assert gpu.VISIBLE not in os.environ
