"""PRDPT's gradient of the smoothed picture as a guide; its Jacobian may be remembered, or shared by the chains."""

from __future__ import annotations

import torch
from torch import Tensor

from methods._look import Look
from methods._ranges import Decay, NonNegative, Positive
from methods.posterior.base import Inverse, Smoothed


class Picture(Smoothed):
    """g = Jᵀ (m − Q) / σ² with Q = E[A(D + r τ)] and J = ∂Q/∂D = E[A(D + r τ) τᵀ] / r, both from the same evaluations.

    The measurement's Jacobian changes little from one level to the next, and little between chains that are near each
    other, so its noise can be averaged away at no cost: over a chain's past levels with the weight `memory`, and over
    chains i, j with weights ∝ exp(−‖Dᵢ − Dⱼ‖² / (2 (b r)²)), b being `share`. At the first levels all chains have one
    Jacobian, at the last each has its own. The value Q is never averaged.
    """

    look = Look("Picture gradient", "#7cc4f0", "s")

    @classmethod
    def told(cls, memory: float = 0.0, share: float = 0.0, **params: float) -> Look:
        if share:
            return Look("Picture gradient, shared (ours)", "#b5006b", "D", emphasis=2)
        return Look("Picture gradient, memory (ours)", "#f58fc6", "d", emphasis=1) if memory else cls.look

    def setup(self, scale: Positive = 0.3, memory: Decay = 0.0, share: NonNegative = 0.0) -> None:
        """Take the correction's scale, the memory's weight on the past, and how far chains share, in bandwidths."""
        self.scale, self.memory, self.share = scale, memory, share

    def begin(self, problem: Inverse, each: int) -> None:
        super().begin(problem, each)
        self.jacobian: Tensor | None = None  # (n, out, dim)

    def slope(self, answer: Tensor, radius: float) -> Tensor:
        offsets, seen = self.around(answer, radius)
        mean = seen.mean(0)
        jacobian = torch.einsum("kno,knd->nod", seen - mean, offsets) / (radius * len(offsets))
        if self.share:
            apart = torch.cdist(answer, answer) / (self.share * radius)
            jacobian = (torch.softmax(-apart.square() / 2, 1) @ jacobian.flatten(1)).view_as(jacobian)
        if self.memory and self.jacobian is not None:
            jacobian = torch.lerp(jacobian, self.jacobian, self.memory)
        self.jacobian = jacobian
        return torch.einsum("nod,no->nd", jacobian, self.problem.measured - mean) / self.problem.noise**2
