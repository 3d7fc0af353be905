"""A bowl that does something wrong in one phase of its first replicate."""

from __future__ import annotations

import math

import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.contract.seeds import derive
from benchmarks.faulty._fault import commit


class Task(Quadratic):
    """Quadratic in three dimensions."""

    def setup(self, phase: str = "", fault: str = "") -> None:
        super().setup(dim=3)
        self.phase, self.fault, self.bad = phase, fault, False
        self.bad = phase == "task"
        self.may("task")

    def may(self, phase: str) -> None:
        if self.bad and phase == self.phase:
            commit(self.fault)

    def start(self, seed):
        self.bad = seed == derive("task", "start", 0)
        self.may("warm_up")
        return super().start(seed)

    def loss(self, z, seed):
        self.may("loss")
        answer = super().loss(z, seed)
        if self.bad and self.phase == "loss" and self.fault == "nan":
            return answer * math.nan
        return answer[:, None] if self.bad and self.phase == "loss" and self.fault == "shape" else answer

    def loss_and_grad(self, z, seed):
        self.may("gradient")
        loss, gradient = super().loss(z.detach(), seed), 2 * z.detach()
        wrong = self.bad and self.phase == "gradient"
        if wrong and self.fault == "nan":
            loss = loss * math.nan
        return (loss[:, None] if wrong and self.fault == "shape" else loss), gradient

    def validate(self, z):
        self.may("validate")
        bad = self.bad and self.phase == "validate"
        return {"loss": math.nan if bad and self.fault == "nan" else float(z.square().sum())}

    def image(self, z):
        self.may("image")
        return torch.zeros(4, 4)
