"""Exemplars of textures by what they are for: made in code, photographs and their crops, or the user's own pictures."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from benchmarks._data import fetch_folder
from benchmarks.appearance import _made_textures
from benchmarks.appearance._images import read_folder
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Split, split_members
from benchmarks.contract.seeds import derive

Members = Literal["made", "real", "folder"]
CROPS = 5  # of a photograph: the whole, at half the size, and its four quarters


def exemplars(
    members: Members, folder: str | None, train: int, validation: int, test: int, pixels: int, owner: str
) -> tuple[list[str], Tensor, Split]:
    """Return names, pictures (n, 3, pixels, pixels) and what each is for; see `Texture.setup`.

    Raises:
        UsageError: `folder` without a folder or the other way round, too few pictures, files that cannot be used.
    """
    if (members == "folder") != (folder is not None):
        raise UsageError(f"{owner}: parameter 'folder' goes with `members: folder`, got {members!r} and {folder!r}")
    if members == "real":
        return _real(train, validation, test, pixels, owner)
    if folder is not None:
        names, pictures = read_folder(folder, pixels, pixels, owner)
    else:
        photographs = _made_textures.photographs(pixels, pixels)
        fill = max(train + validation + test - len(photographs), 0)
        names, made = _made_textures.make(fill, pixels, pixels)
        names, pictures = [*_made_textures.PHOTOGRAPHS, *names], torch.cat([photographs, made])
    return names, pictures, split_members(len(names), train, validation, test, owner)


def _real(train: int, validation: int, test: int, pixels: int, owner: str) -> tuple[list[str], Tensor, Split]:
    """Return crops of photographs, and made textures where training asks for more than there are.

    No photograph has crops in two parts. Test comes first, so that more training members do not change it.
    """
    names, coloured = read_folder(fetch_folder("textures"), 2 * pixels, 2 * pixels, owner)
    whole = torch.cat([coloured, _made_textures.photographs(2 * pixels, 2 * pixels)])
    names = [*names, *_made_textures.PHOTOGRAPHS]
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(derive(owner, "photographs"))).tolist()
    held_out = sum(-(-count // CROPS) for count in (test, validation))
    if held_out >= len(names) or min(train, validation, test) < 1:
        raise UsageError(
            f"{owner}: {test} test and {validation} validation members are crops of {held_out} photographs, {CROPS} of "
            f"each, but there are only {len(names)}, and one is for training; ask for fewer members, at least 1 of each"
        )
    parts = whole.unfold(2, pixels, pixels).unfold(3, pixels, pixels).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)
    crops = torch.cat([avg_pool2d(whole, 2)[:, None], parts], 1)  # (photographs, CROPS, 3, pixels, pixels)
    labels = [f"{names[photograph]}-{crop}" for photograph in order for crop in range(CROPS)]
    fill, made = _made_textures.make(max(train - CROPS * (len(names) - held_out), 0), pixels, pixels)
    index = torch.arange(len(labels) + len(fill))
    first = CROPS * -(-test // CROPS)
    split = Split(
        index[CROPS * held_out :][:train],
        index[first : CROPS * held_out][:validation],
        index[:first][:test],
    )
    return [*labels, *fill], torch.cat([crops[order].flatten(0, 1), made]), split
