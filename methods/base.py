"""The contract of a method: `Space` is all it may know, `ask` / `tell` all it may do.

The harness owns loop, clock, count and log, so a method cannot spend an evaluation that nobody pays for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from methods._discrete import Discrete
from methods._look import Kind, Look, Looks
from methods._work import Work

Needs = Literal["value", "gradient", "picture"]
Schedule = Literal["constant", "linear"]  # of a rate over the budget; linear: from its start to zero

GRID_CELLS = 12  # most cells of a method's grid; the search that tunes it tries more, as many for every method


@dataclass(frozen=True)
class Space:
    """All a method may know about a task.

    Coordinates are normalised: a step of 1.0 is a natural one in every coordinate.
    """

    dim: int
    start: Tensor  # (dim,) from (task, replicate): the same for every method
    lower: Tensor | None  # (dim,) or None: unbounded
    upper: Tensor | None
    max_batch: int  # most candidates that one ask may return
    budget: int  # evaluations granted, for schedules
    gradients: tuple[str, ...] = ()  # names of the task's gradients, its own choice first; empty: it has none
    has_picture: bool = False
    grad_cost: float = 0.0  # evaluations charged for one gradient besides its own, for schedules
    discrete: tuple[Discrete, ...] = ()  # what the task decodes to one of several values: for methods made for it

    @property
    def device(self) -> torch.device:
        return self.start.device

    @property
    def has_gradient(self) -> bool:
        return bool(self.gradients)

    def project(self, z: Tensor) -> Tensor:
        """Return `z` (…, dim) moved to the nearest point of the box."""
        if self.lower is None and self.upper is None:
            return z
        return z.clamp(self.lower, self.upper)


@dataclass(frozen=True)
class Evaluation:
    """What the task answered to n candidates."""

    loss: Tensor  # (n,)
    gradient: Tensor | None = None  # (n, dim), for methods that need "gradient"
    # (n, *picture), for methods that need "picture". They may assume that neighbours in it are close in the scene, but
    # nothing about the order of parameters.
    picture: Tensor | None = None
    criterion: Callable[[Tensor], Tensor] | None = None  # (m, *picture) → (m,), differentiable, free of charge


class Stopped(Exception):
    """Raised by `ask` when a method ends by its own criterion; the text is the reason that the tables show."""


class Method(ABC):
    """An optimizer as an ask-tell state machine.

    A subclass implements `setup`, `ask`, `tell` and `incumbent`. Its tensors, numbers, random generators, modules and
    optimizers that are plain attributes are saved and restored by `state_dict` without further code.
    """

    needs: ClassVar[Needs] = "value"
    kind: ClassVar[Kind] = "other"  # by which claims judge it, and whether it is a rival at all
    deterministic: ClassVar[bool] = False  # equal starts give equal runs
    look: ClassVar[Look | None] = None  # in figures; None: its file's name, and a colour that nobody else has
    looks: ClassVar[Looks] = {}  # of its variants
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {}  # parameter → values; their product has at most GRID_CELLS cells

    per_coordinate: ClassVar[Work] = Work(launches=20, numbers=10, kept=10)  # numbers per coordinate: see `work`

    space: Space
    gradient_source: str = ""  # which of `space.gradients`, for methods that need one; empty: the task's own choice
    generator: torch.Generator
    gradient: Tensor | None  # (dim,) the latest estimate, for diagnostics only

    def __init__(self, space: Space, seed: int, **params: Any) -> None:
        self.space = space
        self.seed = seed
        self.generator = torch.Generator(device=space.device).manual_seed(seed)
        self.gradient = None
        self.setup(**params)

    @classmethod
    def reads(cls, **params: Any) -> Needs:
        """Return what it is told of a candidate besides the loss: nothing (`value`), its gradient, or its picture."""
        return cls.needs

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Return None, or the reason why this method cannot run here (shown in the tables)."""
        return None

    @classmethod
    def work(cls, space: Space, **params: Any) -> Work:
        """Return its own work per evaluation, without the task's; for estimates (benchmarks/harness/costs.py)."""
        own = cls.per_coordinate
        return Work(own.launches, own.numbers * space.dim, own.host * space.dim, own.kept * space.dim)

    @abstractmethod
    def setup(self, **params: Any) -> None:
        """Build the initial state. Its keyword arguments and defaults are the method's parameters."""

    @abstractmethod
    def ask(self) -> Tensor:
        """Return candidates (n, dim), 1 ≤ n ≤ space.max_batch; raise `Stopped` to end."""

    @abstractmethod
    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        """Take in the answer to the last `ask`, in its order."""

    @abstractmethod
    def incumbent(self) -> Tensor:
        """Return what the method would deliver now, (dim,): its mean or iterate, not its luckiest noisy sample."""

    def normal(self, *size: int) -> Tensor:
        """Draw standard normal numbers of this size from the method's own generator."""
        return torch.randn(*size, generator=self.generator, device=self.space.device, dtype=self.space.start.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on as if never interrupted, safe for `torch.load(weights_only=True)`."""
        return {key: _pack(value) for key, value in vars(self).items() if key != "space" and _is_state(value)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave, onto a method set up with the same space, seed and parameters."""
        for key, value in state.items():
            current: Any = getattr(self, key, None)
            if isinstance(current, torch.Generator):
                current.set_state(value.cpu())
            elif hasattr(current, "load_state_dict"):
                current.load_state_dict(value)
            elif isinstance(current, Tensor) and isinstance(value, Tensor) and current.shape == value.shape:
                with torch.no_grad():
                    current.copy_(value)  # in place: optimizers hold on to this very tensor
            else:
                setattr(self, key, _to(value, self.space.device))


def _is_state(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_state(item) for item in value)
    if isinstance(value, dict):
        return all(_is_state(item) for item in value.values())
    plain = value is None or isinstance(value, bool | int | float | str | Tensor | torch.Generator)
    return plain or hasattr(value, "load_state_dict")


def _pack(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, Tensor):
        return value.detach().clone()
    if hasattr(value, "state_dict"):
        return value.state_dict()
    return value


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(_to(item, device) for item in value)
    if isinstance(value, dict):
        return {key: _to(item, device) for key, item in value.items()}
    return value


class Descent(Method):
    """A parameter vector θ that follows an estimated gradient with Adam (or plain gradient descent).

    Two things depend on no task's unit and on no budget's length:

    * Adam is given gradients in units of the largest one so far, rounded up to a power of two, so that its ε of 1e-8
      means the same whatever the loss is measured in (a gradient per natural step can be 1e-9). Where the unit grows,
      Adam's moments are converted, exactly. An ε of 1e-8 of the largest gradient is less than what the second moment
      still remembers of it after 30,000 steps: it only bounds what rounding noise can do after a true gradient.
    * The rate falls linearly to zero over the budget (`schedule: linear`): a rate that suits a short run then suits a
      longer one as well, and a noisy gradient is averaged towards the end.
    """

    kind = "gradient estimator"

    theta: Tensor  # (dim,)
    optimizer: torch.optim.Optimizer
    rate: float  # before the schedule
    schedule: Schedule
    used: float  # evaluations asked so far, gradients at their price

    def start_descent(
        self, lr: float, optimizer: Literal["adam", "sgd"] = "adam", schedule: Schedule = "linear"
    ) -> None:
        """Place θ at the start; Adam with the usual β = (0.9, 0.999) (Kingma & Ba 2015)."""
        self.theta = self.space.start.clone()
        self.rate, self.schedule, self.used, self.unit = lr, schedule, 0.0, 0.0
        build = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
        self.optimizer = build([self.theta], lr=lr)

    def descend(self, gradient: Tensor, asked: float) -> None:
        """Take one optimizer step along `gradient` (dim,), paid with `asked` candidates, then return to the box."""
        self.gradient = gradient
        adam = isinstance(self.optimizer, torch.optim.Adam)
        self.theta.grad = self._in_units(gradient) if adam else gradient
        share = scheduled(self.schedule, self.used, self.space.budget)
        self.optimizer.param_groups[0]["lr"] = self.rate * share
        self.optimizer.step()
        self.used += asked * (1 + self.space.grad_cost * (self.needs == "gradient"))
        with torch.no_grad():
            self.theta.copy_(self.space.project(self.theta))

    def _in_units(self, gradient: Tensor) -> Tensor:
        """Return the gradient (dim,) in units of the largest so far, converting Adam's moments where that grows."""
        largest = float(gradient.abs().max())
        if self.unit < largest < math.inf:
            unit = 2.0 ** math.frexp(largest)[1]
            moments = self.optimizer.state[self.theta]
            if moments:
                moments["exp_avg"] *= self.unit / unit
                moments["exp_avg_sq"] *= (self.unit / unit) ** 2
            self.unit = unit
        return gradient / (self.unit or 1.0)

    def incumbent(self) -> Tensor:
        """Return θ."""
        return self.theta.detach().clone()


def scheduled(schedule: Schedule, used: float, budget: int) -> float:
    """Return the share of its first rate that a method has after `used` of `budget` evaluations."""
    return max(0.0, 1 - used / budget) if schedule == "linear" else 1.0
