"""Engines are switched on and off until a lander has crossed a wall and stands on a mark: control of a simulator."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.animation._flight import Flight, fly, miss, picture, require_simulator
from benchmarks.contract.problem import Problem
from methods._discrete import Discrete
from methods._work import Work

SLOTS = 25  # of .21 s each
FINE_SLOTS = 140  # of .0375 s, in which burn times are cut
HOST_S = 2e-9  # of one number on the reference machine (benchmarks/harness/costs.py)
FLIGHT_S = 3e-3
TIMES = (
    *("burn_1_begin", "burn_1_length", "burn_2_begin", "burn_2_length"),
    *("turn_1_begin", "turn_1_length", "turn_2_begin", "turn_2_length"),
)
JITTER = 0.3  # of a start, in natural steps: less than what switches anything
SIDES = {"r": -1, ".": 0, "l": 1}  # counter-clockwise is left
# The start: over the wall, but down beyond the mark.
START_MAIN = "1111011101111001111100101"
START_SIDE = "......r..r........r......"
# A landing that is known: found by a search with many restarts.
KNOWN_MAIN = "0011111110111110011100001"
KNOWN_SIDE = "ll.r.rrr.r.......r.l.lrl."
KNOWN_TIMES = (-0.3358, 1.4569, -2.3600, 1.3895, 0.5111, -0.4601, -2.9967, -1.7898)


def coded(main: str, side: str) -> Tensor:
    """Return z (50,) of thrusts slot by slot: main 0 or 1, side l, r or none."""
    return torch.tensor([*(2.0 * int(one) - 1 for one in main), *(float(SIDES[one]) for one in side)])


class Engine(Problem):
    """How far a lander ends from standing upright and still on its mark, after seven seconds of simulation.

    `switches`: 50 coordinates. In each of 25 slots the main engine is on (z ≥ 0) or off, and a side thruster turns the
    lander left (z ≥ ½), not at all, or right (z < −½). The start crosses
    the wall and slides off the mark.
    `times`: 8 coordinates, begin and length of two burns of the main engine, begin and signed length of two turns, in
    half seconds or less: an easy *control*. Contacts are stiff, so the loss has jumps and flat places in both.
    The simulation is Pymunk's, alike to the last bit in every repetition.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads) show when to turn off an engine (optimal control through a simulator), "
        "without numbers. Ours: lander, wall, mark, engines, the price of a landing, 25 slots, a start that "
        "crosses the wall (with everything off random search, which never looks at the start, was ahead of most)"
    )

    def setup(self, controls: Literal["switches", "times"] = "switches") -> None:
        """Control by switches per slot, or by a few burn times."""
        require_simulator()
        self.controls = controls
        if controls == "times":
            self.dim, begin = 8, torch.zeros(8)
            self.known = torch.tensor(KNOWN_TIMES)
        else:
            self.dim, begin = 2 * SLOTS, coded(START_MAIN, START_SIDE)
            main = [Discrete(slot, 2, low=-0.5) for slot in range(SLOTS)]
            self.discrete = (*main, *(Discrete(SLOTS + slot, 3, low=-1.0) for slot in range(SLOTS)))
            self.known = coded(KNOWN_MAIN, KNOWN_SIDE)
        self.begin, self.known = begin.to(self.device), self.known.to(self.device)
        self.upper = torch.full((self.dim,), 3.0, device=self.device)
        self.lower = -self.upper

    @property
    def work(self) -> Work:
        return Work(launches=4, numbers=0, host=FLIGHT_S / HOST_S)

    def start(self, seed: int) -> Tensor:
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return self.begin + JITTER * jitter.to(self.device)

    def thrusts(self, z: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return main (slots,) and side (slots,) thrusts of z (dim,)."""
        if self.controls == "switches":
            return (z[:SLOTS] >= 0).double().numpy(), (z[SLOTS:] + 0.5).floor().clamp(-1, 1).double().numpy()
        a, b, c, d, e, f, g, h = z.double().tolist()
        time = np.arange(FINE_SLOTS) * 0.0375
        burns = ((abs(0.5 * a), abs(0.5 + 0.5 * b)), (abs(2.5 + 0.5 * c), abs(0.5 + 0.5 * d)))
        turns = ((0.3 + 0.5 * e, 0.3 * f), (2.5 + 0.5 * g, 0.3 * h))
        main = sum(((time >= at) & (time < at + long)).astype(float) for at, long in burns).clip(max=1)
        side = sum(np.sign(long) * ((time >= at) & (time < at + abs(long))) for at, long in turns)
        return main, 1.67 * np.clip(side, -1, 1)

    def flight(self, z: Tensor) -> Flight:
        """Return the flight of z (dim,)."""
        return fly(*self.thrusts(z.cpu()))

    def loss(self, z: Tensor, seed: int) -> Tensor:
        return torch.tensor([miss(self.flight(row).path) for row in z], dtype=z.dtype, device=z.device)

    def solution(self) -> Tensor:
        return self.known

    def decoded(self, z: Tensor) -> dict[str, Any]:
        """Return thrusts slot by slot, main 0 or 1 and side l, r or none; or the eight numbers."""
        if self.controls == "times":
            return {name: float(value) for name, value in zip(TIMES, z, strict=True)}
        main, side = self.thrusts(z.cpu())
        words = {value: word for word, value in SIDES.items()}
        return {"main": "".join(str(int(one)) for one in main), "side": "".join(words[int(one)] for one in side)}

    def image(self, z: Tensor) -> Tensor:
        return torch.from_numpy(picture(self.flight(z))).to(self.device)

    def target_image(self) -> Tensor:
        """Return the picture of the landing that is known."""
        return self.image(self.known)
