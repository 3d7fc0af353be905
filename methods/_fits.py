"""Fitting a surrogate's φ to losses: by autograd for any, in one pass over memory for a network, compiled if large."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from methods._surrogates import Linear, Network

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's, for losses of magnitude 1
LARGE = 2**20  # first weights from which importing and compiling the loop of `Fused` pays
LANES = 64  # widths are multiples of it in `Fused`; four registers of AVX-512, as many as it takes elsewhere
CHUNK = 2**12  # rows of which `Fused` sums a product: sums do not depend on the number of threads
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
        parts = self._parts(features)
        product = features @ self.surrogate.first.data
        for step in range(steps):
            with torch.enable_grad():
                hidden = product.requires_grad_(True)
                self.optimizer.zero_grad()
                mse_loss(self.surrogate.head(hidden), losses).backward()
            product = self._sweep(parts, hidden.grad, step < steps - 1)
            self.optimizer.step()

    def _parts(self, features: Tensor) -> list[Any]:
        """Return the features (n, inputs) in pieces, as `_sweep` takes them."""
        return list(features.split(self.rows, 1))

    @torch.no_grad()
    def _sweep(self, parts: list[Any], slope: Tensor, more: bool) -> Tensor:
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


class Fused(OnePass):
    """The same steps on a CPU, with gradient, Adam and next product of four rows of W in one compiled loop.

    `OnePass` reads a block of W, moments and gradient again and again from the second-level cache, in as many kernels;
    here sums stay in registers, and W's next rows arrive while the present ones are worked on. Its state is the same.
    """

    def __init__(self, surrogate: Network, lr: float) -> None:
        super().__init__(surrogate, lr)
        weight = surrogate.first.data
        whole = [tensor.numpy() for tensor in (weight, *self.moments)]  # views
        starts = range(0, len(weight), CHUNK)
        self.chunks = [tuple(array[start : start + CHUNK] for array in whole) for start in starts]

    def _parts(self, features: Tensor) -> list[Any]:
        rows = features.T.contiguous().numpy()
        return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]

    @torch.no_grad()
    def _sweep(self, parts: list[Any], slope: Tensor, more: bool) -> Tensor:
        from methods._fused import sweep  # here, so that small problems do not wait for numba

        self.count += 1
        steps, (first, second) = self.steps, BETAS
        root = 1 / math.sqrt(1 - second**steps)
        kind = self.chunks[0][0].dtype.type
        numbers = tuple(map(kind, (self.lr / (1 - first**steps), root, 1 - first, 1 - second, EPSILON)))
        slopes = slope.contiguous().numpy()
        products = np.zeros((len(parts), *slopes.shape), slopes.dtype)

        def work(place: int) -> None:
            sweep(*self.chunks[place], parts[place], slopes, products[place], more, numbers)

        threads = min(torch.get_num_threads(), len(parts))
        if threads == 1:
            for place in range(len(parts)):
                work(place)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, range(len(parts))))
        return torch.from_numpy(products.sum(0))


def fit_for(surrogate: Network | Linear, lr: float) -> Fit | OnePass:
    """Return what fits this surrogate."""
    if not isinstance(surrogate, Network):
        return Fit(surrogate, lr)
    first = surrogate.first
    large = first.numel() >= LARGE and first.shape[1] % LANES == 0
    if large and first.device.type == "cpu" and first.dtype == torch.float32:
        return Fused(surrogate, lr)
    return OnePass(surrogate, lr)
