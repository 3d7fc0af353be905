"""Learned curvature: the learned schedule whose steps go through a learned matrix, so that weights move together."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._look import Look
from methods.meta.base import Tasks
from methods.meta.learned_schedule import LearnedSchedule

LARGEST = 2000  # weights that get a whole matrix
RANK = 16  # of the matrix of more weights
SIZE = 10.0  # of the matrix against the identity: how fast it can leave zero


class LearnedCurvature(LearnedSchedule):
    """θ ← θ − s(t) ∘ (v + (1 − t/T)⁺ C v): the learned schedule's step sizes s and momentum v, and a learned matrix C.

    A step size per weight moves every weight by its own gradient. Newton's method lets gradients of other weights speak
    as well, through the inverse of a matrix that is another one in every task and at every step; what tasks have in
    common of it is learned here, as one matrix. It begins at zero, where this is the learned schedule, and fades out
    over T steps (T is learned and begins at the length of training), because nobody has seen what it does after them:
    from there on descent goes on as the schedule does. More than 2,000 weights share a matrix of rank 16.

    Source: ours. Park & Oliva 2019 (Meta-Curvature) learn a matrix per layer and axis, for constant step sizes.
    """

    look = Look("Learned curvature (ours)", "#7a0177", "P", emphasis=2)

    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        learned = super().begin(tasks, generator)
        start = learned["start"]
        learned["log_horizon"] = torch.tensor([math.log(self.length(tasks))], device=start.device)
        count = len(start)
        if count <= LARGEST:
            learned["matrix"] = start.new_zeros(count, count)
        else:
            learned["left"] = torch.randn(count, RANK, generator=generator).to(start.device)
            learned["right"] = start.new_zeros(RANK, count)
        return learned

    def direction(self, learned: dict[str, Tensor], velocity: Tensor, step: int) -> Tensor:
        fade = (1 - step / learned["log_horizon"].exp()).clamp_min(0) * SIZE / math.sqrt(velocity.shape[1])
        if "matrix" in learned:
            return velocity + fade * (velocity @ learned["matrix"])
        return velocity + fade * (velocity @ learned["left"]) @ learned["right"]
