"""Explicit gradient learning: a network is fitted to the gradient itself, from differences between nearby samples."""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from annotated_types import Interval
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from methods._look import Look
from methods._memory import GIB
from methods._ranges import Count, Positive, Ranked
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule, Space

COPIES = 4  # of φ at once: weights, gradient, Adam's moments
ROWS = 4  # of the buffer's size at once: samples before and after, offsets, inputs
SPAN = 3.0  # network inputs are offsets in units of this many σ


class ExplicitGradientLearning(Descent):
    """θ ← θ − Adam(g_φ(θ)), where g_φ minimises Σ |(x_j − x_i)·g_φ(x_i) − (y_j − y_i)|² over pairs ‖x_i − x_j‖ ≤ ε.

    In the mean over a ball the minimiser is the mean gradient: the slope of the plane that fits the loss best there,
    which exists where the loss has no derivative. Partners come from the buffer, not from a ball around each sample, so
    places that share their partners learn nearly the same slope: that of the plane through the last samples.

    One iteration: θ itself and samples around it are evaluated; they replace the oldest in the buffer; φ takes `k_phi`
    Adam steps over all pairs in the buffer; θ takes one. Where the loss at θ has not fallen for `patience` iterations
    the search has converged at this ε: it shrinks, and the network's inputs are mapped to the smaller region around θ.

    Source: Sarafian, Sinay, Louzoun, Agmon & Kraus 2020, *Explicit gradient learning for black-box optimization* (the
    Taylor loss, the buffer, shrinking ε and region on convergence). Ours, where the paper's settings belong to more
    evaluations or could not be confirmed: samples are uniform in a ball of radius r = σ√dim, so that σ is close to a
    root mean square per coordinate, and ε = 2r makes any two of them a pair; losses are in units of the mean difference
    in the buffer, in place of a squashing map; Adam and its falling rate bound the step, in place of a mapped trust
    region; after shrinking θ stays where it is, in place of the luckiest sample; a plateau is no convergence; network,
    buffer and rates. Its optimistic and second-order successors (2025) are not included.
    """

    look = Look("Explicit gradient learning", "#8c6bb1", "p")
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=60, numbers=650, kept=1000)

    @classmethod
    def unsupported(
        cls, space: Space, width: int = 64, buffer: int = 128, memory_gib: float = 0.5, **_params: Any
    ) -> str | None:
        """Refuse where φ, as wide as θ on both sides, and the buffer do not fit into the memory granted."""
        if space.max_batch < 2:
            return "a difference takes two candidates at once"
        weights = sum(math.prod(shape) for shape in shapes(space.dim, width))
        needed = (COPIES * weights + ROWS * buffer * space.dim) * space.start.element_size() / GIB
        if needed <= memory_gib:
            return None
        return (
            f"a network of {weights:,} weights and its buffer need {needed:.1f} GiB, {memory_gib:.1f} GiB are granted"
        )

    def setup(
        self,
        lr: Positive = 0.1,
        sigma: Positive = 1.0,
        batch: Ranked = 16,
        buffer: Ranked = 128,
        k_phi: Count = 10,
        lr_phi: Positive = 1e-2,
        width: Count = 64,
        shrink: Annotated[float, Interval(gt=0, le=1)] = 0.9,
        patience: Count = 10,
        memory_gib: Positive = 0.5,
        schedule: Schedule = "linear",
    ) -> None:
        """Spend `batch` evaluations per step; keep the last `buffer`.

        `lr_phi` is Adam's step size on φ, `width` that of the two hidden layers, `shrink` the factor of ε.
        """
        space = self.space
        self.sigma, self.shrink, self.patience, self.k_phi = sigma, shrink, patience, k_phi
        self.batch = min(batch, space.max_batch)
        self.size = max(buffer, self.batch)
        self.points = space.start.new_zeros(0, space.dim)
        self.losses = space.start.new_zeros(0)
        self.network = GradientNetwork(space, width, self.generator)
        self.fitter = torch.optim.Adam(self.network.parameters(), lr=lr_phi)
        self.centre = space.start.clone()
        self.best, self.stale = math.inf, 0
        self.start_descent(lr, schedule=schedule)

    @property
    def epsilon(self) -> float:
        """ε, the distance within which two samples are a pair."""
        return 2 * self.sigma * math.sqrt(self.space.dim)

    def ask(self) -> Tensor:
        count, dim = self.batch - 1, self.space.dim
        lines = torch.nn.functional.normalize(self.normal(count, dim), dim=1)
        uniform = torch.rand(count, 1, generator=self.generator, device=lines.device, dtype=lines.dtype)
        offsets = self.epsilon / 2 * uniform ** (1 / dim) * lines
        return self.theta + torch.cat([torch.zeros_like(self.theta)[None], offsets])

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        finite = evaluation.loss.isfinite()
        self.points = torch.cat([self.points, z[finite]])[-self.size :]
        self.losses = torch.cat([self.losses, evaluation.loss[finite]])[-self.size :]
        unit = self.fit()
        self.descend(unit / self.epsilon * self.predict(self.theta[None])[0], len(z))
        self.converge(float(evaluation.loss[0]), unit)

    def fit(self) -> float:
        """Take the steps on φ over all pairs; return the mean difference of their losses, the unit of the targets."""
        offsets = (self.points - self.theta) / self.epsilon
        pairs = torch.cdist(offsets, offsets) <= 1.001  # rounding may put no pair of one iteration beyond ε
        pairs.fill_diagonal_(False)
        targets = self.losses[None] - self.losses[:, None]
        count = int(pairs.sum())
        unit = float(targets[pairs].abs().sum()) / max(1, count)
        if unit == 0:
            return 0.0
        targets = targets / unit
        inputs = self.inputs(self.points)
        for _ in range(self.k_phi):
            with torch.enable_grad():
                self.fitter.zero_grad()
                along = self.network.along(inputs, offsets)  # x_j·g(x_i) of all i, j
                found = along - along.diagonal()[:, None]  # (x_j − x_i)·g(x_i)
                ((found - targets).square() * pairs).sum().div(count).backward()
            self.fitter.step()
        return unit

    def inputs(self, z: Tensor) -> Tensor:
        """Return what the network sees of z (n, dim)."""
        return (z - self.centre) / (SPAN * self.sigma)

    @torch.no_grad()
    def predict(self, z: Tensor) -> Tensor:
        """Return g_φ at z (n, dim), (n, dim), in the unit of the targets per ε."""
        return self.network(self.inputs(z))

    def converge(self, loss: float, unit: float) -> None:
        """Shrink ε where the loss at θ has not fallen for too long."""
        if loss < self.best or unit == 0:
            self.best, self.stale = min(loss, self.best), 0
            return
        self.stale += 1
        if self.stale >= self.patience:
            self.sigma *= self.shrink
            self.centre = self.theta.detach().clone()
            self.best, self.stale = loss, 0


class GradientNetwork(nn.Module):
    """An MLP from coordinates to slopes, (n, dim) → (n, dim), with two hidden layers; at first it answers zero."""

    def __init__(self, space: Space, width: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = []
        for shape in shapes(space.dim, width):
            value = space.start.new_zeros(shape)
            if len(shape) == 2 and len(drawn) < 4:  # the last layer stays zero
                bound = 1 / math.sqrt(shape[1])
                value.uniform_(-bound, bound, generator=generator)
            drawn.append(nn.Parameter(value))
        self.values = nn.ParameterList(drawn)

    def hidden(self, x: Tensor) -> Tensor:
        first, first_bias, second, second_bias, _, _ = self.values
        return gelu(linear(gelu(linear(x, first, first_bias)), second, second_bias))

    def forward(self, x: Tensor) -> Tensor:
        return linear(self.hidden(x), *self.values[4:])

    def along(self, x: Tensor, lines: Tensor) -> Tensor:
        """Return the slopes at x (n, dim) along lines (m, dim), (n, m), without forming the (n, dim) slopes."""
        last, bias = self.values[4:]
        return self.hidden(x) @ (lines @ last).T + lines @ bias


def shapes(dim: int, width: int) -> list[tuple[int, ...]]:
    """Return the shapes of weights and biases, layer by layer."""
    return [(width, dim), (width,), (width, width), (width,), (dim, width), (dim,)]
