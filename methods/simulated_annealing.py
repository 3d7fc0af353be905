"""Simulated annealing: random moves, uphill ones accepted ever more rarely."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Evaluation, Method

TRIALS = 20  # moves between two adaptations of the step size (Corana et al. 1987: N_S = 20)


class SimulatedAnnealing(Method):
    """Metropolis chains side by side, moves accepted with min(1, exp(−ΔL/T)), cooled geometrically over the budget.

    Source: Kirkpatrick, Gelatt & Vecchi 1983; step sizes adapted to half of the moves accepted after Corana et al. 1987
    (eq. 5 with c = 2), one per chain instead of one per coordinate. Ours, on the device: SciPy's annealing calls the
    task itself. T starts at `temperature` · mean |ΔL| of the first moves and ends a thousand times lower. The incumbent
    is the state of the best chain.
    """

    look = Look("Simulated annealing", "#8073c4", "^")
    kind = "single point"
    grid = {"sigma": (0.1, 1.0, 10.0), "temperature": (0.03, 0.3)}
    per_coordinate = Work(launches=10, numbers=3, kept=3)

    def setup(self, sigma: Positive = 1.0, temperature: Positive = 0.1, chains: Count = 1) -> None:
        """Start all `chains` at the start, with Gaussian moves of standard deviation `sigma`."""
        space = self.space
        self.temperature = temperature
        self.scale = math.nan  # mean |ΔL| of the first moves
        self.chains = min(chains, space.max_batch)
        self.states = space.start.repeat(self.chains, 1)
        self.losses = torch.full((self.chains,), math.nan, device=space.device)
        self.steps = torch.full((self.chains,), sigma, device=space.device, dtype=space.start.dtype)
        self.accepted = torch.zeros(self.chains, device=space.device)
        self.spent = self.moves = 0

    def ask(self) -> Tensor:
        if self.spent == 0:
            return self.space.start[None]
        moves = self.steps[:, None] * self.normal(self.chains, self.space.dim)
        return self.space.project(self.states + moves)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        self.spent += len(z)
        if self.spent == 1:
            self.losses = evaluation.loss.repeat(self.chains)
            return
        rise = evaluation.loss - self.losses
        if self.moves == 0:
            self.scale = max(float(rise.abs().mean()), torch.finfo(rise.dtype).tiny)
        heat = self.temperature * self.scale * 1e-3 ** (self.spent / self.space.budget)
        uniform = torch.rand(self.chains, generator=self.generator, device=rise.device)
        better = uniform < (-rise / heat).exp()
        self.states = torch.where(better[:, None], z, self.states)
        self.losses = torch.where(better, evaluation.loss, self.losses)
        self.accepted += better
        self.moves += 1
        if self.moves % TRIALS == 0:
            share = self.accepted / TRIALS
            grow, shrink = 1 + 2 * (share - 0.6) / 0.4, 1 + 2 * (0.4 - share) / 0.4
            self.steps *= torch.where(share > 0.6, grow, torch.where(share < 0.4, 1 / shrink, 1.0))
            self.accepted.zero_()

    def incumbent(self) -> Tensor:
        return self.states[int(self.losses.argmin())].clone()
