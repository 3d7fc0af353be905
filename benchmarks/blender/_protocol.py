"""What a worker and the benchmark say to each other, over two pipes: numbers with their length before them, no pickle.

A question is u32 n and n float64. An answer is four u32, then its content: READY, 0, 0, 0; PICTURE, h, w, 3 and
h·w·3 float32; SORRY, n, 0, 0 and n bytes of UTF-8. Imports nothing but Python and numpy: it runs in both environments.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

import numpy as np

READY, PICTURE, SORRY = range(3)
QUESTION, ANSWER = struct.Struct("<I"), struct.Struct("<4I")
MOST = 65536  # numbers of a question, pixels of a side, bytes of an excuse


def serve(render: Callable[[np.ndarray], np.ndarray], questions: int, answers: int) -> None:
    """Answer questions from one descriptor on another until it ends.

    `render` gets values (n,) and returns a picture (h, w, 3); what it raises is the answer, and the worker goes on.
    """
    write(answers, ANSWER.pack(READY, 0, 0, 0))
    while head := read(questions, QUESTION.size):
        (count,) = QUESTION.unpack(head)
        values = np.frombuffer(read(questions, 8 * count), "<f8")
        try:
            picture = np.ascontiguousarray(render(values), "<f4")
        except Exception as error:
            words = f"{type(error).__name__}: {error}".encode()[:MOST]
            write(answers, ANSWER.pack(SORRY, len(words), 0, 0) + words)
        else:
            write(answers, ANSWER.pack(PICTURE, *picture.shape) + picture.tobytes())


def question(values: np.ndarray) -> bytes:
    """Return the message that asks for the picture of values (n,)."""
    return QUESTION.pack(len(values)) + np.ascontiguousarray(values, "<f8").tobytes()


def length(head: bytes | bytearray) -> int:
    """Return how many bytes follow the head of an answer; raises ValueError for one that no worker of ours sends."""
    kind, *sizes = ANSWER.unpack(head)
    if kind == READY and sizes == [0, 0, 0]:
        return 0
    if kind == SORRY and sizes[0] <= MOST and sizes[1:] == [0, 0]:
        return sizes[0]
    if kind == PICTURE and min(sizes) > 0 and max(sizes) <= MOST and sizes[2] == 3:
        return 4 * sizes[0] * sizes[1] * sizes[2]
    raise ValueError(f"an answer begins with {kind}, {sizes}")


def read(descriptor: int, count: int) -> bytes:
    """Return exactly `count` bytes, or none at the end of the pipe."""
    parts = bytearray()
    while len(parts) < count:
        part = os.read(descriptor, count - len(parts))
        if not part:
            return b""
        parts += part
    return bytes(parts)


def write(descriptor: int, content: bytes) -> None:
    """Write all of it."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
