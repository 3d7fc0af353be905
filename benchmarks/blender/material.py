"""A material made of nodes: which pattern is it, and what are its sixteen coordinates?"""

from __future__ import annotations

from benchmarks.blender import _material_scene
from benchmarks.blender._rendered import Named


class Material(Named):
    """A ball's procedural material from one picture: one of three patterns, metal or not, and twelve numbers."""

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads) mention a material node graph and give nothing of it. Ours: the graph, "
        "its ranges, start and target, 96² pixels at 4 samples, and the blurred term of the loss"
    )
    scene = _material_scene
    milliseconds = 100.0
    parameters = {
        "pattern": {"choices": list(_material_scene.PATTERNS), "start": "rings"},
        "metal": {"switch": ["no", "yes"], "start": "yes"},
        "roughness": {"range": [0.05, 0.85], "start": 0.6},
        "scale": {"range": [0.15, 0.6], "scale": "log", "start": 0.4},
        "distortion": {"range": [0, 8], "start": 1},
        "turn": {"range": [-1.2, 1.2], "start": -0.4},
        "balance": {"range": [0.1, 0.9], "start": 0.6},
        "softness": {"range": [0.05, 1.2], "scale": "log", "start": 0.8},
        "red": {"range": [0, 1], "start": 0.6},
        "green": {"range": [0, 1], "start": 0.6},
        "blue": {"range": [0, 1], "start": 0.6},
        "other_red": {"range": [0, 1], "start": 0.3},
        "other_green": {"range": [0, 1], "start": 0.3},
        "other_blue": {"range": [0, 1], "start": 0.3},
    }
    found = {
        **{"pattern": "bands", "metal": "no", "roughness": 0.25, "scale": 0.28, "distortion": 4.0, "turn": 0.5},
        **{"balance": 0.45, "softness": 0.2, "red": 0.85, "green": 0.55, "blue": 0.12},
        **{"other_red": 0.08, "other_green": 0.16, "other_blue": 0.4},
    }

    def setup(self) -> None:
        """Render the target."""
        self.prepare()
