"""Members of both families of spatially varying materials: photographs under a flash, made, real, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmarks._data import fetch_folder
from benchmarks.appearance import _flash, _materials
from benchmarks.appearance._images import files_in, read, read_folder
from benchmarks.contract.errors import UsageError

Members = Literal["made", "real", "folder"]


@dataclass(frozen=True)
class Photographs:
    """One photograph per member, and the maps it was rendered from, if it was."""

    names: list[str]
    pictures: Tensor  # (n, 3, pixels, pixels) in [0, 1], with gamma
    maps: Tensor | None  # (n, 6, pixels, pixels)


def photographs(
    members: Members,
    folder: str | None,
    kinds: tuple[_materials.Kind, ...],
    count: int,
    pixels: int,
    owner: str,
    device: torch.device,
) -> Photographs:
    """Return the members' photographs.

    Args:
        members: `made`: `count` materials of these kinds, rendered. `real`: Henzler et al.'s (2021) photographs, one
            per material. `folder`: every picture of a folder.
        folder: of the user's pictures; only for `folder`.
        owner: who asks, for the error.

    Raises:
        UsageError: for `folder` without a folder or the other way round, and for files that cannot be used.
    """
    if (members == "folder") != (folder is not None):
        raise UsageError(f"{owner}: parameter 'folder' goes with `members: folder`, got {members!r} and {folder!r}")
    if members == "made":
        names, maps = _materials.make(kinds, max(count, 0), pixels)
        maps = maps.to(device)
        return Photographs(names, _flash.photograph(maps, _flash.camera(pixels, device), pixels).clamp(0, 1), maps)
    if folder is not None:
        names, pictures = read_folder(folder, pixels, pixels, owner)
        return Photographs(names, pictures.to(device), None)
    root = fetch_folder("flash")
    chosen = one_per_material(files_in(root / "train", owner) + files_in(root / "test", owner))
    pictures = torch.stack([read(path, pixels, pixels, owner) for path in chosen.values()])
    return Photographs(list(chosen), pictures.to(device), None)


def one_per_material(paths: list[Path]) -> dict[str, Path]:
    """Return material → the first of its pictures by name, sorted.

    A material is what stands before the first underscore (`0281_IMG_0790.jpg`). With one picture each, no material can
    be in two parts of a split.
    """
    first: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.name):
        first.setdefault(path.name.split("_")[0], path)
    return first
