"""Mitsuba 3 in the best variant that this machine can run, found out without risking the process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.harness.errors import UsageError

PLACES = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/local/lib", "/usr/lib/llvm-*/lib", "/opt/homebrew/opt/llvm/lib")
OLDEST = 17  # Dr.Jit 1.4 does not find LLVM 14 and aborts the process with 15 and 16
MEND = "install LLVM 17 or newer, e.g. `apt-get install libllvm19` or `conda install -c conda-forge libllvm19`"
PROBE = """
import mitsuba as mi
mi.set_variant({variant!r})
import drjit as dr
x = mi.Float(1, 2); dr.enable_grad(x); y = dr.sum(x * x); dr.backward(y)
assert dr.grad(x)[1] == 4
"""


@dataclass(frozen=True)
class Backend:
    """A loaded Mitsuba: the module, its variant, and why it cannot differentiate (empty where it can)."""

    mi: ModuleType
    variant: str
    no_gradient: str


def llvm_candidates() -> list[str]:
    """Return the LLVM libraries worth trying, the user's own choice alone or else the newest first."""
    chosen = os.environ.get("DRJIT_LIBLLVM_PATH")
    if chosen:
        return [chosen]
    folders = [Path(sys.prefix, "lib")]
    for pattern in PLACES:
        folders += sorted(Path("/").glob(pattern.lstrip("/")))
    found: dict[int, str] = {}
    for folder in folders:
        for file in [*folder.glob("libLLVM.so.*"), *folder.glob("libLLVM-*.so"), *folder.glob("libLLVM*.dylib")]:
            version = re.search(r"libLLVM[-.](?:so\.)?(\d+)", file.name)
            if version and int(version[1]) >= OLDEST:
                found.setdefault(int(version[1]), str(file))
    return [found[version] for version in sorted(found, reverse=True)]


def works(variant: str, library: str | None = None) -> bool:
    """Try a variant in a child process: an unsuitable LLVM aborts the process that loads it."""
    environment = {**os.environ, **({"DRJIT_LIBLLVM_PATH": library} if library else {})}
    command = [sys.executable, "-c", PROBE.format(variant=variant)]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


@cache
def backend(device: str = "cpu") -> Backend:
    """Return Mitsuba for this device: LLVM or CUDA with gradients, or the scalar variant without.

    Raises:
        UsageError: Mitsuba is not installed, or the device is a GPU that Mitsuba cannot use.
    """
    try:
        import mitsuba as mi
    except ImportError as error:
        raise UsageError("benchmarks/rendering needs Mitsuba 3: `pip install 'mitsuba>=3.9'`") from error
    variant, no_gradient = "", ""
    if device.startswith("cuda"):
        if not works("cuda_ad_rgb"):
            raise UsageError(f"device {device!r}: Mitsuba's variant cuda_ad_rgb does not run here; set `device: cpu`")
        variant = "cuda_ad_rgb"
    else:
        for library in llvm_candidates():
            if works("llvm_ad_rgb", library):
                os.environ["DRJIT_LIBLLVM_PATH"] = library
                variant = "llvm_ad_rgb"
                break
        else:
            variant, no_gradient = "scalar_rgb", f"Mitsuba finds no LLVM that it can use to differentiate: {MEND}"
    mi.set_variant(variant)
    mi.set_log_level(mi.LogLevel.Error)
    import drjit as dr

    dr.set_thread_count(torch.get_num_threads())
    return Backend(mi, variant, no_gradient)
