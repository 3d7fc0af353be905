"""A worker without Blender: it paints what its values say, or does what a bad one does.

Run as `python tests/blender_worker.py [MANNER]`, with the protocol's module on the path. The picture is 4×2; the first
value decides: below 0 the worker dies, at 9 it hangs, at 8 it says sorry, at 7 it talks nonsense, at 6 it paints NaN.
MANNER `late` never gets ready, `dead` ends before.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from benchmarks.blender._protocol import serve

HANGS, SORRY, NONSENSE, NAN = 9, 8, 7, 6


def paint(values: np.ndarray) -> np.ndarray:
    first = values[0]
    if first < 0:
        print("no such stone", file=sys.stderr, flush=True)
        os.abort()
    if first == HANGS:
        time.sleep(600)
    if first == SORRY:
        raise ValueError("of that I know nothing")
    if first == NONSENSE:
        os.write(1, b"Blender 4.5.15: saved picture")
    return np.full((2, 4, 3), np.nan if first == NAN else values.mean() / 16)


if __name__ == "__main__":
    if "dead" in sys.argv:
        sys.exit("libXi.so.6: cannot open shared object file")
    if "late" in sys.argv:
        time.sleep(600)
    serve(paint, 0, 1)
