"""Adam on the weights of all tasks at once: the update that the rivals adapt with."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.meta.base import Update

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam(rate: float, decay_over: int = 0) -> Update:
    """Return an Adam update (Kingma & Ba 2015), elementwise and hence independent for every task.

    Args:
        rate: step size.
        decay_over: steps over which the step size falls linearly to zero; 0: it does not.
    """
    first: Tensor | None = None
    second: Tensor | None = None

    def update(weights: Tensor, gradient: Tensor, step: int) -> Tensor:
        nonlocal first, second
        first = (1 - BETA1) * gradient if first is None else torch.lerp(gradient, first, BETA1)
        second = (1 - BETA2) * gradient**2 if second is None else torch.lerp(gradient**2, second, BETA2)
        mean, square = first / (1 - BETA1 ** (step + 1)), second / (1 - BETA2 ** (step + 1))
        scale = rate * (1 - step / decay_over if decay_over else 1)
        return weights - scale * mean / (square.sqrt() + EPSILON)

    return update
