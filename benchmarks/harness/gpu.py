"""Whose GPU is whose: every job on `device: cuda` holds one of the machine's GPUs, and sees no other.

Snakemake counts GPUs but does not hand them out, so that two jobs at once would both take the first. Here the kernel
holds a lock (flock) per GPU, which ends with the job, whatever ends it.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
LOOK_S = 1.0  # between two looks for a free GPU


def visible() -> list[str]:
    """Return the names of the GPUs that a job may see: what CUDA_VISIBLE_DEVICES says, or the UUIDs of all."""
    told = os.environ.get(VISIBLE)
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip()]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return re.findall(r"^GPU \d+: .*\(UUID: (GPU-[\w-]+)\)", listed.stdout, re.MULTILINE)


@contextmanager
def own_gpu(device: str) -> Iterator[None]:
    """Hold a GPU of this machine and let this process and its children see only that one; wait where all are taken.

    Nothing is done for another device than `cuda`, which names its own, nor where there is no choice: on a machine with
    one GPU jobs share it if more than one is started, and a scheduler has told which one is whose. The locks are those
    of one user.
    """
    names = visible() if device == "cuda" else []
    if len(names) < 2:
        yield
        return
    before = os.environ.get(VISIBLE)
    descriptor, name = _take(names)
    os.environ[VISIBLE] = name
    try:
        yield
    finally:
        os.close(descriptor)
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def lock_of(name: str) -> Path:
    """Return the file whose lock is held by the job on this GPU."""
    return Path(tempfile.gettempdir()) / f"beyond-gd-{os.getuid()}-gpu-{re.sub(r'[^0-9A-Za-z-]', '_', name)}.lock"


def _take(names: list[str]) -> tuple[int, str]:
    """Return an open, locked file and the name of its GPU."""
    told = False
    while True:
        for name in names:
            descriptor = os.open(lock_of(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor, name
        if not told:
            print(f"all {len(names)} GPUs are taken by other jobs: waiting for one", flush=True)
            told = True
        time.sleep(LOOK_S)
