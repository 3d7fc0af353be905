"""What a job keeps for later ones, and the only way to read it again: sealed when written, checked when read.

Every file carries the SHA-256 of its content where ordinary readers of its format do not look: an entry of a JSON
object, the comment of a zip (`.npz`, `.pt`, `.state`), 32 bytes before the footer of a Parquet file. A file that is
cut off, has one bit flipped, holds something else or was not written here is `Damaged`, and is computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from benchmarks.contract.errors import UsageError
from benchmarks.harness.store import atomic

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SEAL = "sha256"
MARK = b"beyond-gd sha256"  # precedes the digest in a Parquet file
HEX = 64  # characters of a digest
CHUNK = 1 << 20
Content = TypeVar("Content")


class Damaged(Exception):
    """A file is there, but is not what was written; the text names it and says why."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"{path} is damaged ({reason})")


def unless_damaged(read: Callable[..., Content], path: Path, *arguments: Any) -> Content | None:
    """Return what `read` makes of a file; None where it is missing or damaged, which is told.

    Raises:
        UsageError: something is in the way that cannot be replaced, such as a folder.
    """
    try:
        return read(path, *arguments)
    except FileNotFoundError:
        return None
    except Damaged as error:
        print(f"{error}, computed again", flush=True)
        return None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); make it readable or remove it") from error


def _bytes(path: Path) -> bytes:
    with _open(path) as file:
        return file.read()


# JSON


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object whole or not at all."""
    with atomic(path) as part:
        part.write_text(json.dumps({**content, SEAL: _digest(content)}, indent=1), encoding="utf-8")


def load_json(path: Path, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Return an object that `write_json` wrote.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is something else, or lacks one of the keys.
    """
    try:
        content = json.loads(_bytes(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(path, f"no JSON: {error}") from None
    if not isinstance(content, dict) or content.pop(SEAL, None) != _digest(content):
        raise Damaged(path, "not what was written")
    missing = [key for key in keys if key not in content]
    if missing:
        raise Damaged(path, f"without {', '.join(missing)}")
    return content


def read_json(path: Path, keys: Iterable[str] = ()) -> dict[str, Any] | None:
    """Return an object that `write_json` wrote; None where it is missing or damaged, which is told."""
    return unless_damaged(load_json, path, keys)


# Zips: pictures and states


class _Sealed:
    """A file that notes what is written to it, and what went wrong: torch hides a full disk."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.error = file, hashlib.sha256(), None

    def write(self, content: Any) -> int:
        try:
            self.digest.update(content)
            return self.file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()

    def seal(self) -> None:
        """Make the digest of everything so far the comment of the zip, whose length are the last two bytes."""
        self.file.seek(-2, io.SEEK_END)
        self.file.write(HEX.to_bytes(2, "little") + self.digest.hexdigest().encode())


def _require_seal(path: Path) -> None:
    with _open(path) as file:
        left = file.seek(0, io.SEEK_END) - HEX - 2
        if left < 0:
            raise Damaged(path, "cut off")
        file.seek(0)
        digest = hashlib.sha256()
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
        digest.update(bytes(2))
        if file.read() != HEX.to_bytes(2, "little") + digest.hexdigest().encode():
            raise Damaged(path, "not what was written")


def write_state(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors, numbers and strings in dicts and lists whole or not at all; `torch.load` reads it as well."""
    import torch

    with atomic(path) as part, part.open("wb") as file:
        sealed = _Sealed(file)
        try:
            torch.save(content, sealed)
        except RuntimeError as error:
            raise sealed.error or error from error
        sealed.seal()


def load_state(path: Path, keys: Iterable[str], device: Any = "cpu") -> dict[str, Any]:
    """Return what `write_state` wrote, on a device; nothing that the file may contain is executed.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is something else, or lacks one of the keys.
    """
    import torch

    _require_seal(path)
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # torch, pickle and zipfile raise many kinds; torch's text is advice to trust the file
        raise Damaged(path, type(error).__name__) from None
    if not isinstance(content, dict) or not all(key in content for key in keys):
        raise Damaged(path, "of another kind")
    return content


def write_pictures(path: Path, pictures: Mapping[str, np.ndarray]) -> None:
    """Write pictures of bytes, (h, w) or (h, w, 3), as an `.npz`, whole or not at all."""
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, **pictures)
    with atomic(path) as part, part.open("wb") as file:
        sealed = _Sealed(file)
        sealed.write(content.getvalue())
        sealed.seal()


def load_pictures(path: Path, sealed: bool = True) -> dict[str, np.ndarray]:
    """Return what `write_pictures` wrote.

    Args:
        path: of the `.npz`.
        sealed: whether to refuse a file without a seal; without, only its structure and its CRCs are checked.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is something else.
    """
    import numpy as np

    if sealed:
        _require_seal(path)
    content = _bytes(path)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            pictures = {key: file[key] for key in file.files}
    except MemoryError:
        raise
    except Exception as error:  # numpy, zlib and zipfile raise many kinds
        raise Damaged(path, type(error).__name__) from None
    for key, picture in pictures.items():
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            raise Damaged(path, f"{key} is no picture of bytes")
    return pictures


# Tables


def _footer(content: bytes) -> int:
    """Return where the footer of a Parquet file begins: before its length (4 bytes) and the magic at the end."""
    if len(content) < 12 or content[-4:] != b"PAR1":
        raise ValueError("no Parquet")
    return max(0, len(content) - 8 - int.from_bytes(content[-8:-4], "little"))


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    content = buffer.getvalue()
    begin = _footer(content)
    seal = MARK + hashlib.sha256(content).digest()
    with atomic(path) as part:
        part.write_bytes(content[:begin] + seal + content[begin:])


def load_table(path: Path, sealed: bool = True) -> pd.DataFrame:
    """Return a table that `write_table` wrote.

    Args:
        path: of the `.parquet`.
        sealed: whether to refuse a file without a seal; one with a seal that does not fit is refused in any case.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is something else.
    """
    import pandas as pd

    content = _bytes(path)
    try:
        begin = _footer(content)
        mark = begin - len(MARK) - 32
        found = mark >= 0 and content[mark : mark + len(MARK)] == MARK
        if sealed or found:
            whole = content[:mark] + content[begin:]
            if not found or hashlib.sha256(whole).digest() != content[begin - 32 : begin]:
                raise ValueError("not what was written")
        return pd.read_parquet(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception as error:  # pyarrow raises many kinds
        reason = error if type(error) is ValueError else type(error).__name__
        raise Damaged(path, reason) from None
