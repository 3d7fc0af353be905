"""One run as a state machine: ask, charge, evaluate, tell, and now and then validate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract.problem import Gradient, Problem
from benchmarks.contract.seeds import derive
from benchmarks.contract.statuses import Status
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock
from benchmarks.harness.ending import Ended
from benchmarks.harness.phases import Phases
from methods.base import Evaluation, Method

SHOWN_DIMS = 2  # up to here the path is logged, for pictures of the landscape
SPACING = 1.01  # between two improvements that are validated: hit times are exact to a hundredth
LOOK_SHARE = 2.0  # work of validating improvements, at most this many times that of the evaluations charged
FAR = 1e6  # candidates beyond this many natural steps: the method has diverged, whatever the task answers


@dataclass(frozen=True)
class Limits:
    """Evaluations end a run. Seconds only guard it: what they end counts for nothing."""

    evaluations: int
    seconds: float
    predicted_s: float = math.inf  # a run that is predicted to take longer is not begun
    elsewhere: str = ""  # the suite that has what is too dear here


@dataclass
class Run:
    """The mutable state of one run, all of it in `state_dict`."""

    problem: Problem
    method: Method
    budget: Budget
    clock: Clock
    limits: Limits
    seed: int
    checkpoints: list[float]
    curve: list[dict[str, Any]] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)  # of the gradient estimates since the last checkpoint
    steps: int = 0
    phases: Phases = field(default_factory=Phases)
    improvements: bool = True  # whether they are logged besides the checkpoints
    seen: list[float] = field(default_factory=lambda: [math.inf, math.inf])  # lowest mean and minimum of a batch
    lowest: float = math.inf  # validated loss
    looked: float = 0.0  # cost at the last validation
    looks: int = 0  # validations of improvements
    failed: int = 0  # evaluations without an answer of their own
    failure: str = ""  # why the first of them failed

    def step(self) -> bool:
        """Ask, charge, evaluate, tell; return False when the next batch does not fit into the budget."""
        if self.clock.total >= self.limits.seconds:
            raise Ended(
                "timeout",
                f"{self.limits.seconds:g} s, ten times what the dearest run may take, used after "
                f"{self.budget.cost:g} of {self.limits.evaluations} evaluations",
            )
        self.phases.enter("ask")
        with self.clock.timed("ask"):
            z = self.method.ask().detach()
        self._check(z)
        with_gradient = self.method.needs == "gradient"
        if not self.budget.affords(len(z), with_gradient):
            if self.steps == 0:
                price = self.budget.price(len(z), with_gradient)
                raise Ended("unsupported", f"one batch costs {price:g} of {self.budget.evaluations} evaluations")
            return False
        due = (
            bool(self.checkpoints)
            and self.budget.cost + self.budget.price(len(z), with_gradient) >= self.checkpoints[0]
        )
        origin = self._incumbent() if due else None
        self.budget.charge(len(z), with_gradient)
        self._count()
        self.phases.enter("gradient" if with_gradient else "loss")
        self.problem.take_failures()  # those of validations are not the run's
        with self.clock.timed("eval"):
            evaluation = self._evaluate(z)
        failures = self.problem.take_failures()
        self.failed += len(failures)
        self.failure = self.failure or next(iter(failures), "")
        self._check_loss(z, evaluation.loss)
        self.phases.enter("tell")
        with self.clock.timed("tell"):
            self.method.tell(z, evaluation)
        self.steps += 1
        if self.method.gradient is not None:
            self.norms.append(float(self.method.gradient.norm()))
        if origin is not None:
            self.checkpoint(origin)
        elif self.improvements and self._improved(evaluation.loss):
            self._log_improvement()
        return True

    def _improved(self, loss: Tensor) -> bool:
        """Tell whether a batch's losses (n,) say that the incumbent may be better than any before."""
        found = [float(loss.mean()), float(loss.min())]
        better = found[0] < self.seen[0] or found[1] < self.seen[1]
        self.seen = [min(pair) for pair in zip(found, self.seen, strict=True)]
        due = self.budget.cost >= SPACING * self.looked
        return better and due and self.looks * self.problem.validation_passes <= LOOK_SHARE * self.budget.cost

    def _log_improvement(self) -> None:
        """Validate the incumbent and log its loss where it is a new minimum; not charged, not timed."""
        incumbent = self._incumbent()
        if not bool(incumbent.isfinite().all()):
            return  # the next checkpoint says so
        self.phases.enter("validate")
        loss = self.problem.validate(self.method.space.project(incumbent))["loss"]
        self.looks, self.looked = self.looks + 1, self.budget.cost
        if loss < self.lowest:
            self.lowest = loss
            self.curve.append({"cost": self.budget.cost, "wall_s": self.clock.total, "metric": "loss", "value": loss})

    @cached_property
    def gradient_of(self) -> Gradient:
        """The gradient that the method asks for by name, or the task's own choice."""
        known = self.problem.estimators()
        return known[self.method.gradient_source or next(iter(known))]

    def _check(self, z: Tensor) -> None:
        space = self.method.space
        if z.ndim != 2 or z.shape[1] != space.dim or not 1 <= len(z) <= space.max_batch:
            raise ValueError(f"ask returned {tuple(z.shape)}, expected (1…{space.max_batch}, {space.dim})")
        if not bool(z.isfinite().all()):
            raise Ended("diverged", f"candidates are not finite after {self.budget.cost:g} evaluations")

    def _evaluate(self, z: Tensor) -> Evaluation:
        z = self.method.space.project(z)
        seed = derive("noise", self.seed, self.steps) if self.problem.noise == "fresh" else 0
        if self.method.needs == "gradient":
            return Evaluation(*self.gradient_of(z, seed))
        with torch.no_grad():
            if self.method.needs == "picture":
                picture = self.problem.observe(z, seed)
                return Evaluation(self.problem.criterion(picture), None, picture, self.problem.criterion)
            return Evaluation(self.problem.loss(z, seed))

    def _count(self) -> None:
        """Tell the watching process what was spent."""
        self.phases.n_evals, self.phases.n_grads = self.budget.n_evals, self.budget.n_grads
        self.phases.cost, self.phases.n_steps = self.budget.cost, self.steps

    def _incumbent(self) -> Tensor:
        self.phases.enter("incumbent")
        found = self.method.incumbent()
        if found.shape != (self.problem.dim,):
            raise ValueError(f"incumbent returned {tuple(found.shape)}, expected ({self.problem.dim},)")
        return found

    def _check_loss(self, z: Tensor, loss: Tensor) -> None:
        if loss.shape != z.shape[:1]:
            raise ValueError(f"the task returned losses {tuple(loss.shape)} for {len(z)} candidates")
        bad = ~loss.isfinite()
        if bool(bad.any()):
            if bool((z[bad].abs().amax(1) > FAR).all()):
                raise Ended(
                    "diverged",
                    f"candidates left for {float(z.abs().max()):.1e} natural steps from the origin",
                )
            raise Ended(
                "invalid_loss",
                f"the task answered {float(loss[bad][0])} to {int(bad.sum())} of {len(z)} candidates "
                f"by evaluation {self.budget.cost:g}",
            )

    def checkpoint(self, origin: Tensor | None = None) -> None:
        """Validate the incumbent and log it with the gradient's statistics; not charged, not timed."""
        cost = self.budget.cost
        while self.checkpoints and self.checkpoints[0] <= cost:
            self.checkpoints.pop(0)
        incumbent = self._incumbent()
        if not bool(incumbent.isfinite().all()):
            raise Ended("diverged", f"the incumbent is not finite after {cost:g} evaluations")
        self.phases.enter("validate")
        metrics = self.problem.validate(self.method.space.project(incumbent))
        if not math.isfinite(metrics["loss"]):
            status: Status = "diverged" if float(incumbent.abs().max()) > FAR else "invalid_loss"
            raise Ended(status, f"the incumbent's validated loss is {metrics['loss']} after {cost:g} evaluations")
        if self.problem.dim <= SHOWN_DIMS:
            metrics |= {f"z_{axis}": float(value) for axis, value in enumerate(incumbent)}
        if len(self.norms) > 1:
            norms = torch.tensor(self.norms, dtype=torch.float64)
            metrics["gradient_norm"] = float(norms.mean())
            metrics["gradient_norm_variance"] = float(norms.var())
        if origin is not None and self.method.gradient is not None:
            truth = self.problem.oracle_gradient(self.method.space.project(origin))
            if truth is not None and float(truth.norm()) > 0:
                estimate = self.method.gradient
                metrics["gradient_cosine"] = float(torch.cosine_similarity(estimate, truth, dim=0))
        self.norms.clear()
        self.lowest, self.looked = min(self.lowest, metrics["loss"]), cost
        wall = self.clock.total
        self.curve += [{"cost": cost, "wall_s": wall, "metric": key, "value": value} for key, value in metrics.items()]

    def state_dict(self) -> dict[str, Any]:
        return {
            "method": self.method.state_dict(),
            "n_evals": self.budget.n_evals,
            "n_grads": self.budget.n_grads,
            "seconds": dict(self.clock.seconds),
            "checkpoints": list(self.checkpoints),
            "curve": list(self.curve),
            "norms": list(self.norms),
            "steps": self.steps,
            "failed": [self.failed, self.failure],
            "improved": [*self.seen, self.lowest, self.looked, self.looks],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self.budget.n_evals, self.budget.n_grads = state["n_evals"], state["n_grads"]
        self.clock.seconds.update(state["seconds"])
        self.checkpoints, self.curve = list(state["checkpoints"]), list(state["curve"])
        self.norms, self.steps = list(state["norms"]), state["steps"]
        self.failed, self.failure = state["failed"]
        *self.seen, self.lowest, self.looked, self.looks = state["improved"]
