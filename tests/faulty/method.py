"""A descent that does something wrong in one phase of its first replicate."""

from __future__ import annotations

import math
from typing import Literal

from benchmarks.contract.seeds import derive
from benchmarks.faulty._fault import commit
from methods.base import Descent


class Method(Descent):
    """Plain Adam, or the same with differences of the loss where no gradient is wanted."""

    def setup(self, phase: str = "", fault: str = "", needs: Literal["value", "gradient"] = "value") -> None:
        self.phase, self.fault, self.needs = phase, fault, needs
        self.bad = self.seed == derive("task", "method", 0)
        self.may("setup")
        self.start_descent(0.1)

    def may(self, phase: str) -> None:
        if self.bad and phase == self.phase:
            commit(self.fault)

    def ask(self):
        self.may("ask")
        wrong = self.bad and self.phase == "ask"
        z = self.theta[None] * (math.nan if wrong and self.fault == "nan" else 1.0)
        return z[0] if wrong and self.fault == "shape" else z

    def tell(self, z, evaluation):
        self.may("tell")
        self.descend(self.theta.clone(), asked=1)

    def incumbent(self):
        self.may("incumbent")
        wrong = self.bad and self.phase == "incumbent"
        found = super().incumbent() * (math.nan if wrong and self.fault == "nan" else 1.0)
        return found[None] if wrong and self.fault == "shape" else found

    def state_dict(self):
        self.may("state")
        return super().state_dict()
