"""Fitting a surrogate's φ to losses: by autograd for any surrogate, and in one pass over memory for large networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from methods._surrogates import Linear, Network

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's, for losses of magnitude 1
BLOCK = 2**17  # numbers: a block of weights, its moments and its gradient then fit into a core's second-level cache


class Fit:
    """Adam steps on φ down the mean squared error between predictions and losses, by autograd."""

    def __init__(self, surrogate: Network | Linear, lr: float) -> None:
        self.surrogate = surrogate
        self.optimizer = torch.optim.Adam(surrogate.parameters(), lr=lr, betas=BETAS, eps=EPSILON, fused=True)

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return int(max((state["step"] for state in self.optimizer.state.values()), default=0))

    def fit(self, features: Tensor, losses: Tensor, steps: int) -> None:
        """Take `steps` steps towards losses (n,) at features (n, inputs)."""
        with torch.enable_grad():
            for _ in range(steps):
                self.optimizer.zero_grad()
                mse_loss(self.surrogate(features), losses).backward()
                self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(dict(state))


class OnePass:
    """The same steps for a network whose first layer W is most of it: W is read and written once per step.

    With predictions head(x W + b) and d the error's slope with respect to x W + b (n, width), the slope of W is xᵀ d,
    which needs W no more. So, while a block of W's rows and of its two moments is in the cache: its gradient, Adam's
    update and its part of the next step's x W. A step moves 6 numbers per weight (by autograd 10 and more), and no
    gradient of W's size exists. Equal to `Fit` up to the order of summation.
    """

    def __init__(self, surrogate: Network, lr: float) -> None:
        self.surrogate, self.lr = surrogate, lr
        self.optimizer = torch.optim.Adam(surrogate.later(), lr=lr, betas=BETAS, eps=EPSILON, fused=True)
        weight = surrogate.first.data
        self.moments = torch.zeros_like(weight), torch.zeros_like(weight)
        self.count = weight.new_zeros((), dtype=torch.float32)
        self.rows = len(weight) if weight.is_cuda else max(1, BLOCK // weight.shape[1])
        self.gradient = weight.new_empty(min(self.rows, len(weight)), weight.shape[1])
        self.blocks = list(zip(*(tensor.split(self.rows) for tensor in (weight, *self.moments)), strict=True))

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return int(self.count)

    def fit(self, features: Tensor, losses: Tensor, steps: int) -> None:
        """Take `steps` steps towards losses (n,) at features (n, inputs)."""
        parts = [part.contiguous() for part in features.split(self.rows, 1)]
        product = features @ self.surrogate.first.data
        for step in range(steps):
            with torch.enable_grad():
                hidden = product.requires_grad_(True)
                self.optimizer.zero_grad()
                mse_loss(self.surrogate.head(hidden), losses).backward()
            product = self._sweep(parts, hidden.grad, step < steps - 1)
            self.optimizer.step()

    @torch.no_grad()
    def _sweep(self, parts: list[Tensor], slope: Tensor, more: bool) -> Tensor:
        """Move W along its part of the slope (n, width); return the features times the new W, where `more` steps come.

        Source: Kingma & Ba 2015, by torch's fused kernel.
        """
        self.count += 1
        product = torch.zeros_like(slope)
        for x, (weight, mean, square) in zip(parts, self.blocks, strict=True):
            gradient = torch.mm(x.T, slope, out=self.gradient[: len(weight)])
            torch._fused_adam_(
                [weight],
                [gradient],
                [mean],
                [square],
                [],
                [self.count],
                lr=self.lr,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=0.0,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )
            if more:
                product.addmm_(x, weight)
        return product

    def state_dict(self) -> dict[str, Any]:
        moments = [moment.clone() for moment in self.moments]
        return {"later": self.optimizer.state_dict(), "moments": moments, "count": self.count.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["later"])
        for mine, stored in zip((*self.moments, self.count), (*state["moments"], state["count"]), strict=True):
            mine.copy_(stored)  # in place: the blocks are views


def fit_for(surrogate: Network | Linear, lr: float) -> Fit | OnePass:
    """Return what fits this surrogate."""
    return OnePass(surrogate, lr) if isinstance(surrogate, Network) else Fit(surrogate, lr)
