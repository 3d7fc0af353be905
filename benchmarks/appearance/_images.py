"""Pictures of the user's own: a folder of photographs as tensors of one size, and what is said when it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from benchmarks.appearance._members import names_of
from benchmarks.contract.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png")
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")  # modes that turn into RGB without clipping


def files_in(folder: str | Path, owner: str) -> list[Path]:
    """Return the pictures (`.jpg`, `.jpeg`, `.png`) directly in a folder, sorted by name.

    Raises:
        UsageError: for a path that is no folder, or holds no picture; names owner and folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{owner}: {folder} is not a folder; name one that holds pictures ({', '.join(SUFFIXES)})")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(f"{owner}: {folder} holds no picture ({', '.join(SUFFIXES)})")
    return found


def read(path: str | Path, height: int, width: int, owner: str) -> Tensor:
    """Return the middle of a picture at the size asked for, (3, height, width).

    The largest part with this aspect ratio is cut out and made smaller, with a filter against aliasing.

    Args:
        path: of a JPEG or PNG file with 8 bits per channel; transparency is dropped, orientation tags are obeyed.
        owner: who asks, for the error.

    Raises:
        UsageError: for a file that cannot be read, has more bits, or is smaller than asked for; names the file.
    """
    try:
        with Image.open(path) as file:
            if file.mode not in EIGHT_BITS:
                raise UsageError(f"{owner}: {path} has pixels of mode {file.mode}; save it with 8 bits per channel")
            pixels = np.array(ImageOps.exif_transpose(file).convert("RGB"))
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise UsageError(f"{owner}: {path} cannot be read as a picture ({error}); mend or remove it") from error
    picture = torch.from_numpy(pixels).permute(2, 0, 1).float() / 255
    if picture.shape[1] < height or picture.shape[2] < width:
        raise UsageError(
            f"{owner}: {path} is too small, {picture.shape[2]} × {picture.shape[1]} pixels, "
            f"{width} × {height} are needed; use a larger picture or ask for fewer pixels"
        )
    return fit(picture, height, width)


def read_folder(folder: str | Path, height: int, width: int, owner: str) -> tuple[list[str], Tensor]:
    """Return names (without suffix) and pictures (n, 3, height, width) of a folder, sorted; see `files_in`, `read`."""
    paths = files_in(folder, owner)
    return names_of(paths, owner), torch.stack([read(path, height, width, owner) for path in paths])


def fit(picture: Tensor, height: int, width: int) -> Tensor:
    """Return the centre of a picture (3, h, w) at another size, filtered."""
    h, w = picture.shape[1:]
    scale = min(h / height, w / width)
    crop_h, crop_w = min(h, round(scale * height)), min(w, round(scale * width))
    top, left = (h - crop_h) // 2, (w - crop_w) // 2
    cut = picture[None, :, top : top + crop_h, left : left + crop_w]
    if (crop_h, crop_w) == (height, width):
        return cut[0]
    return torch.nn.functional.interpolate(cut, (height, width), mode="bilinear", antialias=True)[0].clamp(0, 1)
