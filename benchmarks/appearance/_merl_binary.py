"""The measured materials of Matusik et al. 2003 in their own format, where a user has the files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError

SHAPE = (90, 90, 180)  # θ_h, θ_d, φ_d
SCALE = (1 / 1500, 1.15 / 1500, 1.66 / 1500)  # stored values → 1/sr, for red, green, blue
BYTES = 12 + 8 * 3 * math.prod(SHAPE)  # three 4-byte sizes, then 8-byte values, colour by colour


def read(path: Path) -> Tensor:
    """Return the BRDF (3, 90, 90, 180) in 1/sr of a `.binary` file; directions below the horizon are 0.

    Raises:
        UsageError: for a file of another size or shape; names it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); make it readable or remove it") from error
    if len(content) != BYTES or tuple(np.frombuffer(content, "<i4", 3)) != SHAPE:
        raise UsageError(f"{path}: is no measured BRDF of {'×'.join(map(str, SHAPE))} values, or damaged; remove it")
    values = torch.from_numpy(np.frombuffer(content, "<f8", offset=12).reshape(3, *SHAPE).copy()).float()
    if not values.isfinite().all():
        bad = int((~values.isfinite()).sum())
        raise UsageError(f"{path}: {bad} of its values are not finite numbers; fetch it anew or remove it")
    if not (values > 0).any():
        raise UsageError(f"{path}: reflects no light in any direction; fetch it anew or remove it")
    return (values * values.new_tensor(SCALE)[:, None, None, None]).clamp_min(0)  # invalid entries are negative


def read_folder(folder: str | Path, owner: str) -> tuple[list[str], Tensor]:
    """Return names and BRDFs (n, 3, 90, 90, 180) of all `.binary` files in a folder, sorted; 17 MB each.

    Raises:
        UsageError: no folder, no such file in it, or one that does not serve.
    """
    files = sorted(Path(folder).glob("*.binary"))
    if not files:
        raise UsageError(f"{owner}: {folder} holds no .binary file of a measured BRDF")
    return [path.stem for path in files], torch.stack([read(path) for path in files])


def evaluate(tables: Tensor, members: Tensor, half: Tensor, difference: Tensor) -> Tensor:
    """Return the BRDFs (tasks, n, 3) of members (tasks,) of the tables, nearest entry, at vectors (tasks, n, 3).

    θ_h is stored by its square root, finer near the normal; φ_d and φ_d + π are the same by reciprocity.
    """
    theta_h, theta_d = (vectors[..., 2].clamp(0, 1).acos() / (math.pi / 2) for vectors in (half, difference))
    phi = torch.atan2(difference[..., 1], difference[..., 0]) % math.pi / math.pi
    steps = (theta_h.sqrt(), theta_d, phi)
    first, second, third = ((step * size).long().clamp(0, size - 1) for step, size in zip(steps, SHAPE, strict=True))
    index = (first * SHAPE[1] + second) * SHAPE[2] + third  # (tasks, n)
    return tables.flatten(2)[members[:, None], :, index]
