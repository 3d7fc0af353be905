"""The process in which Blender runs: `python -m benchmarks.blender._worker SCENE`, in Blender's own environment.

It builds a scene once, then renders it for every question (`_protocol.py`). Pictures are written into a file in memory
and read again: in the background Blender shows nobody its pixels otherwise.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

import numpy as np

from benchmarks.blender._protocol import serve

MEMORY = "/dev/shm"  # a folder in memory, where there is one


def main() -> None:
    """Build the scene and serve until the questions end."""
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender prints there what it saves
    import bpy

    apply = importlib.import_module(sys.argv[1]).build()
    render = bpy.context.scene.render
    with tempfile.TemporaryDirectory(prefix="beyond-gd-", dir=MEMORY if os.path.isdir(MEMORY) else None) as folder:
        render.filepath, render.use_file_extension = os.path.join(folder, "picture.exr"), False
        kind = render.image_settings
        # Radiance as it was added up, of 32 bits: no tone curve, no rounding to 256 values.
        kind.file_format, kind.color_mode, kind.color_depth, kind.exr_codec = "OPEN_EXR", "RGB", "32", "NONE"
        image = None

        def picture(values: np.ndarray) -> np.ndarray:
            nonlocal image
            apply(values)
            bpy.ops.render.render(write_still=True)
            if image is None:
                image = bpy.data.images.load(render.filepath)
            else:
                image.reload()
            width, height = image.size
            pixels = np.empty(width * height * image.channels, np.float32)
            image.pixels.foreach_get(pixels)
            return pixels.reshape(height, width, -1)[::-1, :, :3]  # Blender's first row is the lowest

        serve(picture, 0, answers)


if __name__ == "__main__":
    main()
