"""The process in which Blender runs: `python -m benchmarks.blender._worker SCENE`, in Blender's own environment.

It builds a scene once, then renders it for every question (`_protocol.py`). Pictures are written into a file in memory
and read again: in the background Blender shows nobody its pixels otherwise. On Linux it has no name: a worker that is
killed leaves nothing.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile

import numpy as np

from benchmarks.blender._protocol import serve


def main() -> None:
    """Build the scene and serve until the questions end."""
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender prints there what it saves
    import bpy

    apply = importlib.import_module(sys.argv[1]).build()
    render = bpy.context.scene.render
    shutil.rmtree(bpy.app.tempdir, ignore_errors=True)  # Blender's own folder, which no render of ours uses
    folder = None if hasattr(os, "memfd_create") else tempfile.TemporaryDirectory()
    render.filepath = os.path.join(folder.name, "picture") if folder else f"/proc/self/fd/{os.memfd_create('picture')}"
    render.use_file_extension = False
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
