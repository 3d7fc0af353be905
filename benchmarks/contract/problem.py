"""The contract of a task: a black box z → loss, or z → picture → loss, batched over candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from benchmarks.contract.parameters import check
from methods._discrete import Discrete
from methods._work import Work
from methods.base import Space

Gradient = Callable[[Tensor, int], tuple[Tensor, Tensor]]  # (n, dim), seed → losses (n,), gradients (n, dim)


class Problem(ABC):
    """A task over normalised coordinates z: a step of 1.0 is a natural one in every coordinate.

    A subclass implements `setup` (which sets `dim` and may set `lower`, `upper`, `reference`), `start`, and either
    `observe` and `criterion` (tasks with a picture) or `loss` alone. All work on (n, dim) tensors on `self.device`.
    """

    provenance: ClassVar[Literal["paper", "released", "ours"]] = "ours"
    source: ClassVar[str] = ""  # where the task comes from; what we chose ourselves, and why
    noise: ClassVar[Literal["fixed", "fresh"]] = "fixed"  # fresh: every batch is evaluated with new random numbers
    gradient: ClassVar[Literal["exact", "biased", "none"]] = "none"
    grad_cost: ClassVar[float] = 2.0  # evaluations charged per gradient: reverse mode costs about two forward passes
    has_picture: ClassVar[bool] = False

    dim: int
    lower: Tensor | None = None  # (dim,)
    upper: Tensor | None = None
    reference: Tensor | None = None  # (dim,) the known optimum, if any
    discrete: tuple[Discrete, ...] = ()  # how coordinates are decoded that are rounded or chosen
    without_gradient: str = ""  # why there is none, where there could be one
    gradient_passes: ClassVar[float] = 3.0  # time of a gradient, in evaluations
    validation_passes: float = 1.0  # time of a validation, in evaluations
    bytes_per_candidate: int = 0  # memory one candidate takes while it is evaluated; 0: 16 · dim

    def __init__(self, device: str = "cpu", **params: Any) -> None:
        self.device = torch.device(device)
        self.setup(**check(type(self).setup, params, type(self).__module__.removeprefix("benchmarks.")))
        if self.dim < 1:
            raise ValueError(f"{type(self).__name__}: dim is {self.dim}, must be positive")
        hidden = sorted(name for name in vars(self) if callable(getattr(Problem, name, None)))
        if hidden:
            raise ValueError(f"{type(self).__name__}: setup sets {', '.join(hidden)}, which the contract calls: rename")

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Build the task. Its keyword arguments and defaults are the task's parameters."""

    @abstractmethod
    def start(self, seed: int) -> Tensor:
        """Return the starting point (dim,), equal for equal seeds on every device."""

    def observe(self, z: Tensor, seed: int) -> Tensor:
        """Return the pictures (n, *picture) of z (n, dim): the black box.

        What a sensor would add up (radiance, counts); exposure and tone curves belong to the criterion, so that the
        criterion of a mean picture means something. Pixels that are close in the picture are close in the scene.
        """
        raise TypeError(f"{type(self).__name__} has no picture")

    def criterion(self, observed: Tensor) -> Tensor:
        """Compare pictures (n, *picture) with the target: losses (n,), differentiable."""
        raise TypeError(f"{type(self).__name__} has no picture")

    def loss(self, z: Tensor, seed: int) -> Tensor:
        """Return the losses (n,) of z (n, dim)."""
        return self.criterion(self.observe(z, seed))

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and their gradients (n, dim), by automatic differentiation unless overridden."""
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            loss = self.loss(z, seed)
            (gradient,) = torch.autograd.grad(loss.sum(), z)
        return loss.detach(), gradient

    def estimators(self) -> dict[str, Gradient]:
        """Return name → gradient of the loss, the default first; a method may ask for one by name."""
        return {} if self.gradient == "none" else {"automatic": self.loss_and_grad}

    def oracle_gradient(self, z: Tensor) -> Tensor | None:
        """Return the best gradient (dim,) known at z (dim,): for diagnostics, never charged or shown to a method."""
        if self.gradient == "none":
            return None
        return self.loss_and_grad(z[None], 0)[1][0]

    @torch.no_grad()
    def precise_loss(self, z: Tensor, seed: int) -> Tensor:
        """Return the losses (n,) at the quality of certificates, all with the same random numbers of this seed."""
        return self.loss(z, seed)

    def precise_gradient(self, name: str, z: Tensor, seed: int) -> Tensor:
        """Return the gradient (dim,) of `precise_loss` at z (dim,) by the estimator of this name."""
        return self.estimators()[name](z[None], seed)[1][0]

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return metrics of z (dim,) at high quality, at least `loss`; neither charged nor timed."""
        metrics = {"loss": float(self.loss(z[None], 0)[0])}
        if self.reference is not None:
            metrics["parameter_error"] = float((z - self.reference).square().mean().sqrt())
        return metrics

    def decoded(self, z: Tensor) -> dict[str, Any]:
        """Return name → decoded value of z (dim,), for the tables; empty where the task's parameters have no names."""
        return {}

    def take_failures(self) -> list[str]:
        """Return why evaluations since the last call have no answer of their own and count as the worst there is."""
        return []

    def image(self, z: Tensor) -> Tensor | None:
        """Return a picture of z (dim,) for the figures: (h, w) or (h, w, 3) in [0, 1]."""
        return None

    def target_image(self) -> Tensor | None:
        """Return the picture that `image` should come to resemble."""
        return None if self.reference is None else self.image(self.reference)

    def solution(self) -> Tensor | None:
        """Return the best z (dim,) that is known: the optimum, or what a search with insight found."""
        return self.reference

    def floor(self) -> float:
        """Return the lowest loss known to be reachable, on the scale of `validate`."""
        known = self.solution()
        return 0.0 if known is None else self.validate(known)["loss"]

    @property
    def max_batch(self) -> int:
        """Most candidates at once: what fits into a gigabyte."""
        return max(2, min(4096, 2**30 // (self.bytes_per_candidate or 16 * self.dim)))

    @property
    def work(self) -> Work:
        """Return the work of one evaluation, for estimates; here: as many numbers as it has coordinates, twice."""
        return Work(launches=4, numbers=2 * self.dim)

    def space(self, seed: int, budget: int) -> Space:
        """Return what a method may know, for the replicate that starts from `seed`."""
        start = self.start(seed).to(self.device)
        return Space(
            dim=self.dim,
            start=start,
            lower=self.lower,
            upper=self.upper,
            max_batch=self.max_batch,
            budget=budget,
            gradients=tuple(self.estimators()),
            has_picture=self.has_picture,
            grad_cost=self.grad_cost,
            discrete=self.discrete,
        )
