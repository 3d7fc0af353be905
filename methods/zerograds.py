"""ZeroGrads: descend a surrogate of the loss that is refitted, around the current θ, in every iteration."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from methods._fits import fit_for
from methods._look import Look
from methods._memory import GIB, free_gib
from methods._ranges import Count, Octaves, Positive
from methods._surrogates import Kind, build, layout, parameter_count
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule, Space

COPIES = {"neural": 3, "quadratic": 4, "linear": 4}  # of φ at once: weights, Adam's moments, gradients where kept
BEFORE = 0.5  # of the budget goes into the fit where it is made before the first step (ours)
WIDE = 10.0  # spread of non-local samples in units of σ, where the space has no box (ours)


class Zerograds(Descent):
    """θ ← θ − Adam(∂h_φ/∂θ), h_φ a network that stands in for the smoothed loss near θ and keeps its state.

    One iteration: `batch` offsets from N(0, σ²), mirrored; the loss of each sample at a place jittered by
    N(0, (0.1σ)²); `k_theta` Adam steps on θ down h_φ; `k_phi` Adam steps on φ down the mean squared error between
    h_φ(sample) and its loss. `order: released` steps θ before it fits, as the authors' code does, so the very first
    step follows an unfitted network; `fit_first` (ours) is there to see whether that matters.

    Source: Fischer & Ritschel 2024, *ZeroGrads: Learning Local Surrogates for Non-Differentiable Graphics*. Ours: h_φ
    is fitted at the unjittered sample, so that it smooths; losses are divided by the mean of the first batch, so
    that `lr_phi` means the same on every task; `lr` is above the published 4e-4 … 8e-3 σ, which belong to millions of
    evaluations, and falls to zero; `lr_phi` is 1e-3 with positional encoding, too (published: 1e-4): θ moves along an
    unfitted network until φ has caught up, and on the caustic that ends worse than it started. A batch of 2 does as
    well, so the grid varies the published ones. `config/long.yaml` has the published settings of every task.
    """

    look = Look("ZeroGrads", "#d55e00", "o", emphasis=2)
    looks = {
        ("surrogate", "quadratic"): Look("ZeroGrads (quadratic)", "#8c2d04", "s"),
        ("surrogate", "linear"): Look("ZeroGrads (linear)", "#ff9a5c", "^"),
    }
    grid = {"lr": (0.01, 0.1), "sigma": (0.3, 1.0), "batch": (4, 10, 20)}

    @classmethod
    def unsupported(
        cls,
        space: Space,
        surrogate: Kind = "neural",
        layers: int | None = None,
        width: int | None = None,
        frequencies: int | None = None,
        memory_gib: float | None = None,
        **_params: Any,
    ) -> str | None:
        """Refuse where φ, its gradient and its moments do not fit into the memory that is free."""
        count = parameter_count(surrogate, space.dim, *layout(space.dim, layers, width, frequencies))
        needed = COPIES[surrogate] * count * space.start.element_size() / GIB
        free = free_gib(space.device) if memory_gib is None else memory_gib
        if needed <= free:
            return None
        return f"a {surrogate} surrogate of {count:,} weights needs {needed:.1f} GiB with Adam, {free:.1f} GiB are free"

    @classmethod
    def work(
        cls,
        space: Space,
        surrogate: Kind = "neural",
        batch: int = 10,
        k_theta: int = 1,
        k_phi: int = 3,
        layers: int | None = None,
        width: int | None = None,
        frequencies: int | None = None,
        **_params: Any,
    ) -> Work:
        """A step on φ moves weights and moments once (6 numbers a weight), a step on θ reads the weights."""
        count = parameter_count(surrogate, space.dim, *layout(space.dim, layers, width, frequencies))
        pair = 2 * batch
        numbers = (3 * k_phi + k_theta) * count / pair + 40 * space.dim
        return Work(launches=(80 * k_phi + 80 * k_theta) / pair, numbers=numbers, kept=3 * count)

    def setup(
        self,
        lr: Positive = 0.01,
        sigma: Positive = 1.0,
        lr_phi: Positive = 1e-3,
        batch: Count = 10,
        k_theta: Count = 1,
        k_phi: Count = 3,
        order: Literal["released", "fit_first"] = "released",
        surrogate: Kind = "neural",
        smoothing: bool = True,
        locality: bool = True,
        antithetic: bool = True,
        fitting: Literal["always", "before"] = "always",
        layers: Count | None = None,
        width: Count | None = None,
        frequencies: Octaves | None = None,
        scale: Positive | None = None,
        memory_gib: Positive | None = None,
        schedule: Schedule = "linear",
    ) -> None:
        """Spend 2·batch evaluations per iteration.

        Args:
            lr: Adam's step size on θ, in natural steps.
            sigma: Standard deviation of the samples around θ, in natural steps.
            lr_phi: Adam's step size on φ.
            batch: Offsets per iteration before mirroring.
            k_theta: Steps on θ per iteration.
            k_phi: Steps on φ per iteration.
            order: Which of the two comes first.
            surrogate: The model h_φ; quadratic and linear ones are fitted in the same way.
            smoothing: Whether samples are jittered.
            locality: Whether samples surround θ; else they are uniform in the box, or N(start, (10σ)²) without one.
            antithetic: Whether offsets are mirrored, else twice as many are drawn.
            fitting: Whether h_φ follows θ, or is fitted once, on half of the budget, before the first step.
            layers: Hidden layers of the network; None, like the next two, as published for the dimension.
            width: Units per hidden layer.
            frequencies: Octaves of the positional encoding; 0: none. Published: 6, 3 for the digit MLP.
            scale: Network inputs are scale·z; None: 1/40 with positional encoding, 1/3 without.
            memory_gib: Memory that φ may take; None: what is free.
            schedule: Of `lr` over the budget.
        """
        space = self.space
        shape = layout(space.dim, layers, width, frequencies)
        encoded = surrogate == "neural" and shape[2] > 0
        self.sigma, self.k_theta, self.k_phi = sigma, k_theta, k_phi
        self.fit_first = order == "fit_first"
        self.smoothing, self.locality, self.antithetic = smoothing, locality, antithetic
        self.fitted_before, self.told = fitting == "before", 0
        self.batch = max(1, min(batch, space.max_batch // 2))
        self.loss_scale: float | None = None
        self.samples = torch.empty(0)
        scale = (1 / 40 if encoded else 1 / 3) if scale is None else scale
        self.surrogate = build(surrogate, space.start, *shape, scale, self.generator)
        self.fitter = fit_for(self.surrogate, lr_phi)
        self.start_descent(lr, schedule=schedule)

    def ask(self) -> Tensor:
        space = self.space
        count = self.batch if self.antithetic else 2 * self.batch
        centre, offsets = self.theta, self.sigma * self.normal(count, space.dim)
        if not self.locality:
            if space.lower is None or space.upper is None:
                centre, offsets = space.start, WIDE * offsets
            else:
                uniform = torch.rand(count, space.dim, generator=self.generator, device=space.device)
                centre, offsets = (space.lower + space.upper) / 2, (space.upper - space.lower) * (uniform - 0.5)
        self.samples = centre + (torch.cat([offsets, -offsets]) if self.antithetic else offsets)
        if not self.smoothing:
            return self.samples
        return self.samples + 0.1 * self.sigma * self.normal(2 * self.batch, space.dim)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        if self.loss_scale is None:
            self.loss_scale = float(evaluation.loss.abs().mean()) or 1.0
        losses = evaluation.loss / self.loss_scale
        self.told += len(z)
        if self.fitted_before:
            if self.told <= BEFORE * self.space.budget:
                self.fit(losses)
            else:
                self.follow()
        elif self.fit_first:
            self.fit(losses)
            self.follow()
        else:
            self.follow()
            self.fit(losses)

    def slope(self) -> Tensor:
        """Return ∂h_φ/∂θ at θ, (dim,), on the scale of the loss."""
        with torch.enable_grad():
            z = self.theta.detach().clone().requires_grad_(True)
            value = self.surrogate(self.surrogate.features(z[None]))
            (gradient,) = torch.autograd.grad(value.sum(), z)
        return (self.loss_scale or 1.0) * gradient

    def follow(self) -> None:
        """Take the steps on θ; the first gradient is the one on record."""
        first = self.slope()
        paid = 2 * self.batch / self.k_theta
        self.descend(first, paid)
        for _ in range(self.k_theta - 1):
            self.descend(self.slope(), paid)
        self.gradient = first

    def fit(self, losses: Tensor) -> None:
        """Take the steps on φ towards the samples' normalised losses (n,)."""
        self.fitter.fit(self.surrogate.features(self.samples), losses, self.k_phi)

    @torch.no_grad()
    def predict(self, z: Tensor) -> Tensor:
        """Return h_φ at z (n, dim), (n,), on the scale of the loss: what the method believes, for figures."""
        return (self.loss_scale or 1.0) * self.surrogate(self.surrogate.features(z))
