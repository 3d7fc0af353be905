"""Steps where every coordinate is a switch: flips at random to learn from, and those that promise most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods._influence_model import Influence
from methods._influence_plan import Plan
from methods._influence_pyramid import Criterion
from methods.base import Space

FLIPPED = 0.25  # share of the switches that a render for measuring flips
SETTLED = 1e-9  # of the objective: a flip that gains less is left


@dataclass(frozen=True)
class Switches:
    """Two values for each coordinate: `low` and `low + step`, each (dim,); in between the nearer one counts."""

    low: Tensor
    step: Tensor

    @classmethod
    def of(cls, space: Space) -> Switches | None:
        """Return the switches of a space that has nothing else, None of any other."""
        values = sorted(space.discrete, key=lambda value: value.first)
        if len(values) != space.dim or any(value.chosen or value.levels != 2 for value in values):
            return None
        like = {"dtype": space.start.dtype, "device": space.start.device}
        return cls(
            torch.tensor([value.low for value in values], **like), torch.tensor([v.step for v in values], **like)
        )

    def settled(self, z: Tensor) -> Tensor:
        """Return z (…, dim) with every switch at the value it counts as."""
        return self.low + self.step * ((z - self.low) / self.step + 0.5).floor().clamp(0, 1)

    def drawn(self, theta: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Return n candidates (n, dim), each switch of θ (dim,), which is settled, flipped by chance."""
        flipped = torch.rand(n, len(theta), generator=generator, dtype=theta.dtype, device=theta.device) < FLIPPED
        return torch.where(flipped, 2 * self.low + self.step - theta, theta)

    @torch.no_grad()
    def planned(self, model: Influence, objective: Criterion, base: Tensor, theta: Tensor) -> Plan:
        """Return flips p that lower the objective of the predicted picture base + J p: coordinate descent, no renders.

        Passes over the switches, each flipped where that helps, until none does; nothing is assumed of the objective.
        """
        step, picture = torch.zeros_like(theta), base.clone()
        value = lowest = float(objective(picture[None])[0])
        changed = True
        while changed:
            changed = False
            for at, flip in enumerate((2 * self.low + self.step - 2 * theta).tolist()):
                change = torch.zeros_like(step)
                change[at] = flip if step[at] == 0 else -flip
                tried = picture + model.times(change)
                found = float(objective(tried[None])[0])
                if found < lowest - SETTLED * abs(value):
                    step, picture, lowest, changed = step + change, tried, found, True
        promise = (value - lowest) / (abs(value) or 1.0)
        return Plan(step, promise, promise, value)
