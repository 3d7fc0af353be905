"""A wall of LED displays: which of 336 segments are on?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.blender import _led_scene
from benchmarks.blender._rendered import Rendered
from methods._discrete import Discrete

LINES = ("find", "the ", "LEdS", "on  ", "or  ", "oFF ", "3141", "5926", "5358", "9793", "2384", "6264")
SEGMENTS = {  # letter → top, upper right, lower right, bottom, lower left, upper left, middle, each 1 where it is on
    **{" ": "0000000", "0": "1111110", "1": "0110000", "2": "1101101", "3": "1111001", "4": "0110011", "5": "1011011"},
    **{"6": "1011111", "7": "1110000", "8": "1111111", "9": "1111011", "f": "1000111", "i": "0010000", "n": "0010101"},
    **{"d": "0111101", "t": "0001111", "h": "0010111", "e": "1101111", "L": "0001110", "E": "1001111", "S": "1011011"},
    **{"o": "0011101", "r": "0000101", "F": "1000111"},
}
UNREADABLE = "·"
BOUND = 1.5  # of a switch's coordinate


class LedDisplay(Rendered):
    """Twelve displays of four digits, a switch for each of their 28 segments; the loss is the pixels' error.

    A segment is on where its coordinate is at least 0. Radiance is the sum of what the segments shine: flipping them
    one by one finds the target. A search that knows nothing of switches has 336 coordinates with a step in each.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), LED display in Blender: 12 displays of 28 segments, rounded to on or "
        "off. Ours: the scene, what is written there, a start from random switches, 96×72 pixels at 4 samples"
    )
    scene = _led_scene
    milliseconds = 50.0

    def setup(self) -> None:
        """Render the target."""
        self.dim = _led_scene.COUNT
        self.discrete = tuple(Discrete(at, 2, low=-0.5) for at in range(self.dim))
        self.upper = torch.full((self.dim,), BOUND, device=self.device)
        self.lower = -self.upper
        bits = "".join(SEGMENTS[letter] for line in LINES for letter in line)
        self.reference = torch.tensor([float(bit) - 0.5 for bit in bits], device=self.device)
        self.prepare()

    def start(self, seed: int) -> Tensor:
        return (torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 0.5).to(self.device)

    def values(self, z: Tensor) -> np.ndarray:
        return (z.cpu() >= 0).double().numpy()

    def decoded(self, z: Tensor) -> dict[str, str]:
        """Return what every display shows, as far as it can be read."""
        known = {code: letter for letter, code in reversed(SEGMENTS.items())}
        bits = "".join(str(int(on)) for on in self.values(z))
        size = _led_scene.SEGMENTS
        text = "".join(known.get(bits[at : at + size], UNREADABLE) for at in range(0, self.dim, size))
        digits = _led_scene.DIGITS
        return {f"display_{at // digits + 1}": text[at : at + digits] for at in range(0, len(text), digits)}

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss, the RMS error of the switches and the share of wrong ones."""
        wrong = float(((z >= 0) != (self.reference >= 0)).double().mean())
        return {"loss": float(self.loss(z[None], 0)[0]), "parameter_error": wrong**0.5, "wrong_discrete": wrong}
