"""The contract of a learner: trained on many members of a family, it adapts to a new one in a few steps.

`Tasks` is all that a learner may know: weights in, losses out, batched over tasks. It never sees what they stand for.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from methods._look import Look, Looks

GRID_CELLS = 6  # every learner is tuned over a grid of exactly this many cells: same effort for all

Batch = dict[str, Tensor]  # training samples, each tensor (tasks, n, …)
State = dict[str, Any]  # tensors, numbers, strings and containers of them: safe for `torch.load(weights_only=True)`
Update = Callable[[Tensor, Tensor, int], Tensor]  # weights, gradients (tasks, n_weights), steps taken → new weights


class Tasks(Protocol):
    """What a learner sees of a family; shapes and meaning are those of `benchmarks.contract.family.Family`."""

    device: torch.device
    n_weights: int
    head: Tensor | None  # which weights are the last layer's, (n_weights,) of truth values
    samples: int  # per gradient step of adaptation
    steps: int  # gradient steps of adaptation that are granted

    @property
    def training_members(self) -> Tensor: ...
    def initial(self, count: int, generator: torch.Generator) -> Tensor: ...
    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch: ...
    def loss(self, weights: Tensor, batch: Batch) -> Tensor: ...


@dataclass(frozen=True)
class Budget:
    """What training may cost: it ends when either is spent."""

    samples: int  # training samples, over all tasks; also the horizon of the outer rate's decay
    seconds: float = float("inf")

    def spent(self, state: State) -> float:
        """Return the share spent, 1 or more when training has to end."""
        return float(max(state["samples"] / max(self.samples, 1), state["seconds"] / self.seconds))


@dataclass(frozen=True)
class Adaptation:
    """The adapted models after so many steps."""

    step: int
    weights: Tensor  # (tasks, n_weights)
    seconds: float  # gradients and updates of all tasks so far; drawing the samples is not counted
    samples: int  # seen so far, per task


class Learner(ABC):
    """Learns parameters over the training members of a family, then adapts from them.

    A subclass implements `setup`, `begin`, `outer_step` (unless it learns nothing), `start` and `rule`.
    """

    role: ClassVar[Literal["meta", "rival"]] = "meta"  # rival: a paradigm that meta-learning is compared with
    look: ClassVar[Look | None] = None  # in figures; None: its file's name, and a colour that nobody else has
    looks: ClassVar[Looks] = {}  # of its variants
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # parameter → values; their product has GRID_CELLS cells
    outer_rate: float = 5e-3
    trains: bool = True  # False: there is nothing to learn before adaptation

    def __init__(self, **params: Any) -> None:
        self.params = params
        self.setup(**params)

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Take the learner's parameters: the keyword arguments and their defaults."""

    @abstractmethod
    def begin(self, tasks: Tasks, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the parameters to be learned, before training."""

    def outer_step(self, learned: dict[str, Tensor], tasks: Tasks, generator: torch.Generator) -> tuple[float, int]:
        """Set the gradients of what is learned; return the outer loss and the number of training samples used."""
        raise NotImplementedError(f"{type(self).__name__} does not train")

    @abstractmethod
    def start(self, learned: dict[str, Tensor], tasks: Tasks, count: int, generator: torch.Generator) -> Tensor:
        """Return the weights (count, n_weights) from which adaptation starts."""

    @abstractmethod
    def rule(self, learned: dict[str, Tensor], steps: int) -> Update:
        """Return the update that adaptation over so many steps makes with each gradient."""

    def train(
        self,
        tasks: Tasks,
        budget: Budget,
        seed: int,
        state: State | None = None,
        progress: Callable[[State], None] | None = None,
    ) -> State:
        """Learn until the budget is spent, going on from `state` if there is one; outer Adam, rate decaying to zero.

        Args:
            seed: of all random numbers; ignored where `state` goes on.
            progress: called after every outer step with the state so far, not counted in its seconds.

        Returns:
            The state, safe for `torch.load(weights_only=True)`. Interrupted and gone on with equals uninterrupted.
        """
        generator = torch.Generator().manual_seed(seed)
        if state is None:
            learned = self.begin(tasks, generator)
            counts = {"steps": 0, "samples": 0, "seconds": 0.0, "loss": float("nan")}
        else:
            self.expect(state)
            learned = {name: value.detach().clone().to(tasks.device) for name, value in state["learned"].items()}
            counts = {name: state[name] for name in ("steps", "samples", "seconds", "loss")}
            generator.set_state(state["generator"])
        for value in learned.values():
            value.requires_grad_(True)
        optimizer = torch.optim.Adam(learned.values(), lr=self.outer_rate) if learned else None
        if state is not None and optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])

        def packed() -> State:
            return {
                "learner": type(self).__name__,
                "params": self.params,
                "learned": {name: value.detach().clone() for name, value in learned.items()},
                "optimizer": optimizer.state_dict() if optimizer is not None else {},
                "generator": generator.get_state(),
                **counts,
            }

        while self.trains and (share := budget.spent(counts)) < 1:
            begin = time.perf_counter()
            loss, samples = self.outer_step(learned, tasks, generator)
            if optimizer is not None:
                self._descend(optimizer, list(learned.values()), self.outer_rate * (1 - share))
            synchronize(tasks.device)
            counts["steps"] += 1
            counts["samples"] += samples
            counts["seconds"] += time.perf_counter() - begin
            counts["loss"] = loss
            if progress is not None:
                progress(packed())
        return packed()

    @staticmethod
    def _descend(optimizer: torch.optim.Optimizer, learned: list[Tensor], rate: float) -> None:
        norm = torch.nn.utils.clip_grad_norm_(learned, 1.0)
        if not norm.isfinite():  # one diverged inner loop must not cost the whole training
            return
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()

    def adapt(self, state: State, tasks: Tasks, members: Tensor, steps: int, seed: int = 0) -> Iterator[Adaptation]:
        """Yield the models adapted to each of the members (tasks,) after 0, 1, 2, … `steps` steps."""
        self.expect(state)
        generator = torch.Generator().manual_seed(seed)
        learned = {name: value.to(tasks.device) for name, value in state["learned"].items()}
        weights = self.start(learned, tasks, len(members), generator)
        update = self.rule(learned, steps)
        seconds = 0.0
        yield Adaptation(0, weights, seconds, 0)
        for step in range(steps):
            batch = tasks.sample(members, tasks.samples, generator)
            synchronize(tasks.device)
            begin = time.perf_counter()
            with torch.enable_grad():
                weights = weights.detach().requires_grad_(True)
                (gradient,) = torch.autograd.grad(tasks.loss(weights, batch).sum(), weights)
            with torch.no_grad():
                weights = update(weights.detach(), gradient, step)
            synchronize(tasks.device)
            seconds += time.perf_counter() - begin
            yield Adaptation(step + 1, weights, seconds, (step + 1) * tasks.samples)

    def expect(self, state: State) -> None:
        """Raise ValueError for a state of another learner or other parameters."""
        ours, theirs = (type(self).__name__, self.params), (state["learner"], state["params"])
        if ours != theirs:
            raise ValueError(f"the state is of {theirs[0]} with {theirs[1]}, not of {ours[0]} with {ours[1]}")


def split(batch: Batch, parts: int) -> list[Batch]:
    """Return `parts` batches with equal shares of the samples: one draw serves a whole inner loop."""
    pieces = {name: value.chunk(parts, dim=1) for name, value in batch.items()}
    return [{name: piece[part] for name, piece in pieces.items()} for part in range(parts)]


def draw_members(tasks: Tasks, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` different training members, or all if there are fewer."""
    members = tasks.training_members
    return members[torch.randperm(len(members), generator=generator)[:count]]


def synchronize(device: torch.device) -> None:
    """Wait for the GPU, so that clocks tell the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
