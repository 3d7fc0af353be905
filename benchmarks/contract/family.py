"""The contract of a family: many related tasks that share one model, split by member into training and test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check
from benchmarks.contract.seeds import derive
from methods.meta.base import Batch


@dataclass(frozen=True)
class Split:
    """Members of a family by what they are for, each (n,) of integers; no member is in two parts."""

    train: Tensor
    validation: Tensor  # for the choice of hyperparameters
    test: Tensor


class Family(ABC):
    """One model, many members to fit it to. A learner sees weights and batches, never what they stand for.

    The model is a function of a flat vector of weights: every call works on (tasks, n_weights) at once, row i for
    member i of the call. A subclass implements `setup` (which sets `n_weights`, `names` and `split`) and the abstract
    methods. All tensors are on `self.device`; random numbers come from the generator given, on the CPU.
    """

    provenance: ClassVar[Literal["paper", "released", "ours"]] = "ours"
    source: ClassVar[str] = ""  # where the family comes from; what we chose ourselves, and why
    title: ClassVar[str] = ""  # in figures; empty: the label in words
    metric: ClassVar[str] = "loss"  # the metric that stands for all in a summary; lower is better

    n_weights: int
    names: list[str]  # of the members
    split: Split
    head: Tensor | None = None  # which weights are the last layer's, (n_weights,) of truth values; None: no layers
    samples: int = 512  # training samples that one gradient step of adaptation may see
    steps: int = 10  # gradient steps of adaptation in the paper

    def __init__(self, device: str = "cpu", **params: Any) -> None:
        self.device = torch.device(device)
        self.setup(**check(type(self).setup, params, type(self).__module__.removeprefix("benchmarks.")))

    @property
    def training_members(self) -> Tensor:
        """Return the members that a learner may train on, (n,)."""
        return self.split.train

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Build the members. Its keyword arguments and defaults are the family's parameters."""

    @abstractmethod
    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return so many draws (count, n_weights) of the model's usual random initialisation."""

    @abstractmethod
    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        """Return n training samples of each member (tasks,): tensors (tasks, n, …)."""

    @abstractmethod
    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        """Return the losses (tasks,) of weights (tasks, n_weights), twice differentiable."""

    @abstractmethod
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return metric → values (tasks,) at high quality, on samples that no training sees; not charged or timed."""

    @abstractmethod
    def picture(self, weights: Tensor, member: int) -> Tensor:
        """Return what weights (n_weights,) show for this member, (h, w, 3) in [0, 1]."""

    @abstractmethod
    def reference_picture(self, member: int) -> Tensor:
        """Return the picture that `picture` should come to resemble."""


def last_weights(count: int, size: int, device: torch.device) -> Tensor:
    """Return truth values (count,): whether a weight is one of the last `size`."""
    return torch.arange(count, device=device) >= count - size


def split_members(count: int, train: int, validation: int, test: int, owner: str) -> Split:
    """Return a split of members 0 … count − 1, shuffled: always the same one for the same numbers.

    Test members are drawn first, so that more training members do not change them.

    Raises:
        UsageError: for too few members, or a part that would be empty.
    """
    for name, size in (("train", train), ("validation", validation), ("test", test)):
        if size < 1:
            raise UsageError(f"{owner}: parameter {name!r} is {size}, must be at least 1")
    if train + validation + test > count:
        wanted = f"{train} + {validation} + {test} = {train + validation + test}"
        raise UsageError(f"{owner}: {wanted} members for train, validation and test, but there are only {count}")
    order = torch.randperm(count, generator=torch.Generator().manual_seed(derive("split", count)))
    held_out = test + validation
    return Split(order[held_out : held_out + train], order[test:held_out], order[:test])
