"""A wicker basket: how many stakes and rows does it have, and what is its shape?"""

from __future__ import annotations

from benchmarks.blender import _wicker_scene
from benchmarks.blender._rendered import Named


class Wicker(Named):
    """Nine values of a basket's shape from one picture, three of them counts: stakes, rows, stakes passed at a time.

    One stake more moves all the others: no picture in between exists.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), modelling: a wicker basket in Blender, numbers of vertical and "
        "horizontal stakes, pictured without sizes. Ours: nine values, their ranges, start and target, 96² pixels at 4 "
        "samples, and the blurred term of the loss"
    )
    scene = _wicker_scene
    milliseconds = 100.0
    parameters = {
        "stakes": {"integers": [6, 26], "start": 12},
        "rows": {"integers": [3, 17], "start": 7},
        "weave": {"integers": [1, 4], "start": 1},
        "bottom": {"range": [0.4, 1.0], "start": 0.85},
        "top": {"range": [0.6, 1.4], "start": 0.8},
        "height": {"range": [0.6, 1.7], "start": 0.9},
        "thickness": {"range": [0.02, 0.06], "scale": "log", "start": 0.028},
        "twist": {"range": [-0.8, 0.8], "start": -0.2},
        "bulge": {"range": [-0.2, 0.3], "start": -0.05},
    }
    found = {
        **{"stakes": 17, "rows": 11, "weave": 2, "bottom": 0.65, "top": 1.05, "height": 1.25},
        **{"thickness": 0.037, "twist": 0.35, "bulge": 0.12},
    }

    def setup(self) -> None:
        """Render the target."""
        self.prepare()
