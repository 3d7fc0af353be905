"""Data sets: one registry, checked by SHA-256, downloaded once, or taken from a mirror folder.

`BEYOND_GD_DATA_MIRROR` names a folder that holds the files already (a node without network, a test);
`BEYOND_GD_DATA` moves the cache.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pooch

from benchmarks.contract.errors import UsageError, unknown

MIRROR, CACHE = "BEYOND_GD_DATA_MIRROR", "BEYOND_GD_DATA"
MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
NBRDF = "https://github.com/asztr/Neural-BRDF/raw/2c1f3ebf7c97d0a8ef133ba42cc56afc4c2fb75a/data"
FILES = {  # name → (address, SHA-256)
    "t10k-images-idx3-ubyte.gz": (
        f"{MNIST}/t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte.gz": (
        f"{MNIST}/t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
    "merl_nbrdf.zip": (
        f"{NBRDF}/merl_nbrdf.zip",
        "d1678c0cc5059f315d3d3284f36f3082787474106d72e3cae41fbad76d8f271a",
    ),
    "rgl-isotropic_nbrdf.zip": (
        f"{NBRDF}/rgl-isotropic_nbrdf.zip",
        "401f588f08a66714ebd9d1355298f85e4d2f3782c9a87f370538dc8657cf5389",
    ),
    "nielsen_nbrdf.zip": (
        f"{NBRDF}/nielsen_nbrdf.zip",
        "fd034c57b2cbe0e976b088ea4bb7ccbdda3782dad90946243124e07316442166",
    ),
}
FOLDERS = {  # name → home of the original pictures; `_folders.csv` has the SHA-256 of each, made smaller
    "textures": "github.com/mfischer-ucl/metappearance, data/texture",
    "flash": "github.com/henzler/neuralmaterial, flash_images",
}


def fetch(name: str) -> Path:
    """Return the path of a registered file, from the mirror, the cache or the network, in this order.

    Raises:
        UsageError: unknown name, wrong checksum, or no way to get the file; says what to do.
    """
    if name not in FILES:
        raise unknown("data file", name, FILES)
    address, checksum = FILES[name]
    mirror = os.environ.get(MIRROR)
    if mirror and (path := Path(mirror) / name).is_file():
        if checksum_of(path) != checksum:
            raise UsageError(
                f"{path}: its SHA-256 is not {checksum[:16]}…; the file is damaged or another one, fetch it anew"
            )
        return path
    folder = Path(os.environ.get(CACHE) or pooch.os_cache("beyond-gd"))
    try:
        return Path(pooch.retrieve(address, f"sha256:{checksum}", fname=name, path=folder))
    except ValueError as error:  # what pooch raises for another checksum
        raise UsageError(f"{address}: what came has another SHA-256 than {checksum[:16]}…; nothing was kept") from error
    except OSError as error:
        raise UsageError(
            f"cannot download {address} to {folder} ({error}); without network, put it into a folder and set {MIRROR}"
        ) from error


def checksum_of(path: Path) -> str:
    """Return a file's SHA-256; raises UsageError where it cannot be read."""
    try:
        return pooch.file_hash(str(path))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); make it readable or remove it") from error


def fetch_folder(name: str) -> Path:
    """Return the mirror's folder of registered pictures, `textures` or `flash` (with `train` and `test`).

    There is no download: the registered files are the published ones made smaller, so those have other checksums.

    Raises:
        UsageError: unknown name, no mirror, a missing file or a wrong checksum; says what to do.
    """
    if name not in FOLDERS:
        raise unknown("data folder", name, FOLDERS)
    mirror = os.environ.get(MIRROR)
    folder = Path(mirror or "") / name
    if not mirror or not folder.is_dir():
        raise UsageError(
            f"the pictures {name!r} cannot be downloaded in the size used here; set {MIRROR} to a folder that has "
            f"{name}/, or give `members: folder` and `folder:` with pictures of your own, e.g. from {FOLDERS[name]}"
        )
    with (Path(__file__).parent / "_folders.csv").open(newline="", encoding="utf-8") as table:
        registered = {row["name"]: row["sha256"] for row in csv.DictReader(table)}
    for file, checksum in registered.items():
        if not file.startswith(f"{name}/"):
            continue
        path = Path(mirror) / file
        if not path.is_file():
            raise UsageError(f"{path} is missing; copy the folder {name!r} anew, or use `members: folder`")
        if checksum_of(path) != checksum:
            raise UsageError(
                f"{path}: its SHA-256 is not {checksum[:16]}…; the file is damaged or another one, copy it anew, "
                f"or use `members: folder`"
            )
    return folder
