"""Mitsuba 3 in the best variant that this machine can run, found out without risking the process."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

from benchmarks.contract.errors import Unsupported

PLACES = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/local/lib", "/usr/lib/llvm-*/lib", "/opt/homebrew/opt/llvm/lib")
OLDEST = 17  # Dr.Jit 1.5 refuses LLVM 14, and aborts the process as soon as it renders with 15 or 16
MEND = "install LLVM 17 or newer, e.g. `apt-get install libllvm19` or `conda install -c conda-forge libllvm19`"
LIBRARIES = "it needs system libraries, e.g. `apt-get install libatomic1 libllvm19`"
# A whole picture and its derivative: LLVM 15 starts, adds numbers, and dies when it traces a ray.
PROBE = """
import mitsuba as mi
mi.set_variant({variant!r})
import drjit as dr
grey = {{"type": "diffuse", "reflectance": {{"type": "rgb", "value": 0.5}}}}
film = {{"type": "hdrfilm", "width": 2, "height": 2}}
scene = mi.load_dict({{
    "type": "scene",
    "integrator": {{"type": "prb", "max_depth": 3}},
    "sky": {{"type": "constant"}},
    "ball": {{"type": "sphere", "center": [0, 0, 3], "radius": 2, "bsdf": grey}},
    "sensor": {{"type": "perspective", "film": film}},
}})
handles = mi.traverse(scene)
(color,) = (name for name in handles.keys() if name.endswith("reflectance.value"))
dr.enable_grad(handles[color])
dr.backward(dr.sum(mi.render(scene, handles, spp=4), axis=None))
assert dr.all(dr.grad(handles[color]) > 0)
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
    folders = [Path(prefix, "lib") for prefix in dict.fromkeys((sys.prefix, sys.base_prefix))]
    for pattern in PLACES:
        folders += sorted(Path("/").glob(pattern.lstrip("/")))
    found: dict[Path, tuple[int, str]] = {}  # file without links → version, name: several may have one version
    for folder in folders:
        for file in [*folder.glob("libLLVM.so.*"), *folder.glob("libLLVM-*.so"), *folder.glob("libLLVM*.dylib")]:
            version = re.search(r"libLLVM[-.](?:so\.)?(\d+)", file.name)
            if version and int(version[1]) >= OLDEST:
                found.setdefault(file.resolve(), (int(version[1]), str(file)))
    return [name for _, name in sorted(found.values(), key=lambda item: -item[0])]


def works(variant: str, library: str | None = None) -> bool:
    """Try a variant in a child process: an unsuitable LLVM aborts the process that uses it."""
    command = [sys.executable, "-c", PROBE.format(variant=variant)]
    with tempfile.TemporaryDirectory() as fresh:  # of kernels: LLVM must compile them here
        environment = {**os.environ, "DRJIT_CACHE_DIR": fresh, **({"DRJIT_LIBLLVM_PATH": library} if library else {})}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


@cache
def backend(device: str = "cpu") -> Backend:
    """Return Mitsuba for this device: LLVM or CUDA with gradients, or the scalar variant without.

    Raises:
        Unsupported: Mitsuba is not installed or cannot be loaded, or the device is a GPU that it cannot use.
    """
    try:
        import mitsuba as mi

        mi.variants()
    except ModuleNotFoundError as error:
        raise Unsupported(f"needs Mitsuba 3 ({error}): pip install 'mitsuba>=3.9,<4'") from error
    except Exception as error:  # Dr.Jit hides a system library that is missing behind errors of many kinds
        raise Unsupported(f"Mitsuba cannot be loaded ({type(error).__name__}: {_cause(error)}): {LIBRARIES}") from error
    variant, no_gradient = "", ""
    if device.startswith("cuda"):
        if not works("cuda_ad_rgb"):
            raise Unsupported(f"device {device!r}: Mitsuba's variant cuda_ad_rgb does not run here; set `device: cpu`")
        variant = "cuda_ad_rgb"
    else:
        for library in llvm_candidates():
            if works("llvm_ad_rgb", library):
                os.environ["DRJIT_LIBLLVM_PATH"] = library
                variant = "llvm_ad_rgb"
                break
        else:
            variant, no_gradient = "scalar_rgb", _complaint()
    mi.set_variant(variant)
    mi.set_log_level(mi.LogLevel.Error)
    import drjit as dr

    dr.set_thread_count(torch.get_num_threads())
    return Backend(mi, variant, no_gradient)


def _cause(error: BaseException) -> str:
    """Return the first line of what went wrong first."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return next(iter(str(error).splitlines()), "")


def _complaint() -> str:
    """Return why there are no gradients, and the command that mends it."""
    chosen = os.environ.get("DRJIT_LIBLLVM_PATH")
    if chosen:
        return f"Mitsuba cannot differentiate with DRJIT_LIBLLVM_PATH={chosen}: unset it, and {MEND}"
    return f"Mitsuba finds no LLVM that it can use to differentiate: {MEND}"


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python from collecting garbage in the block: Dr.Jit aborts when a scene is freed while it records."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
