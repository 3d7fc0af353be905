"""Blender as a Python module, in an environment of its own: bpy wants an older numpy and one version of Python.

`BEYOND_GD_BLENDER` names the folder; without, it lies in the user's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pooch

from benchmarks.contract.errors import UsageError

FOLDER = "BEYOND_GD_BLENDER"
VERSION = "4.5.15"  # the pictures of 4.5 and 5.0 differ
PACKAGES = (f"bpy=={VERSION}", "numpy==1.26.4")  # bpy asks for more, none of which rendering imports
PYTHON = (3, 11)  # the only one that this bpy is built for
MEND = "python -m benchmarks.blender install"
DEBIAN = {  # library → package
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libgcc_s.so.1": "libgcc-s1",
}


class NoDownload(UsageError):
    """The packages did not come: no network, or none of this name for this machine."""


def folder() -> Path:
    """Return where the environment is, or would be."""
    return Path(os.environ.get(FOLDER) or Path(pooch.os_cache("beyond-gd")) / f"blender-{VERSION}")


def interpreter() -> Path:
    """Return the environment's Python."""
    return folder() / "bin" / "python"


def installed() -> bool:
    """Tell whether the environment holds what this version of the benchmark wants; reads one small file."""
    try:
        return _receipt(folder()).read_text(encoding="utf-8").split() == list(PACKAGES)
    except OSError:
        return False


def missing_libraries() -> list[str]:
    """Return the system libraries that Blender wants and the loader does not find."""
    found = set()
    for library in folder().glob("lib/python*/site-packages/bpy/__init__*.so"):
        told = subprocess.run(
            ["ldd", str(library)], capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
        )
        found |= set(re.findall(r"^\s*(\S+) => not found", told.stdout, re.MULTILINE))
    return sorted(found)


def way_out(libraries: list[str]) -> str:
    """Return what to do about libraries that are missing."""
    packages = sorted({DEBIAN.get(name, "") for name in libraries} - {""})
    unknown = [name for name in libraries if name not in DEBIAN]
    command = [f"apt-get install -y --no-install-recommends {' '.join(packages)}"] if packages else []
    return "; ".join([*command, *([f"install what has {', '.join(unknown)}"] if unknown else [])])


def install() -> None:
    """Make the environment unless it is there; raises UsageError that names what is missing and how to get it."""
    place = folder()
    if not installed():
        python = _python()
        place.parent.mkdir(parents=True, exist_ok=True)
        # Made beside its place and moved there when it is whole: what was interrupted is no environment.
        with tempfile.TemporaryDirectory(prefix=f"{place.name}-", dir=place.parent) as part:
            made = Path(part, "made")
            _run(
                [python, "-m", "venv", str(made)], "an environment cannot be made with it; apt-get install python3-venv"
            )
            print(f"downloading {' and '.join(PACKAGES)} into {place}", flush=True)
            pip = [str(made / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--only-binary", ":all:"]
            try:
                _run([*pip, *PACKAGES], "the packages did not come")
            except UsageError as error:
                raise NoDownload(f"{error}; the wheel is there for Linux (x86-64), macOS and Windows") from error
            _receipt(made).write_text("\n".join(PACKAGES), encoding="utf-8")
            if place.exists():
                shutil.rmtree(place)
            made.rename(place)
    lacking = missing_libraries()
    if lacking:
        raise UsageError(f"{place}: Blender needs {', '.join(lacking)}: {way_out(lacking)}")
    _run([str(interpreter()), "-c", "import bpy"], "bpy is there and cannot be imported")
    print(f"Blender {VERSION} is in {place}")


def _python() -> str:
    """Return a Python that bpy is built for."""
    if sys.version_info[:2] == PYTHON:
        return sys.executable
    name = "python{}.{}".format(*PYTHON)
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"bpy {VERSION} runs on {name} alone, and there is none: apt-get install {name} {name}-venv")
    return found


def _receipt(place: Path) -> Path:
    return place / "installed.txt"


def _run(command: list[str], what: str) -> None:
    told = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if told.returncode:
        lines = [line.strip() for line in (told.stderr or told.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "rror" in line] or lines or ["no word"]
        raise UsageError(f"{command[0]}: {what} ({errors[-1]})")
