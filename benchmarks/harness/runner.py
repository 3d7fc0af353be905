"""One method on one task from one start under one budget: the loop that every number comes from."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.harness import memory
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock, HardTimeout, alarm
from benchmarks.harness.problem import Problem
from benchmarks.harness.seeds import derive
from benchmarks.harness.store import atomic
from methods.base import Evaluation, Method, Stopped

Status = Literal[
    "finished",  # the budget is used up
    "stopped",  # the method ended by its own criterion
    "timeout",
    "diverged",  # candidates or incumbent are no longer finite
    "invalid_loss",  # the task answered NaN or infinity to sensible candidates
    "failed",  # the task raised an exception
    "out_of_memory",
    "unsupported",
]
FAR = 1e6  # candidates beyond this many natural steps: the method has diverged, whatever the task answers
SAVE_SECONDS = 20.0  # at most this much work is lost when a run is killed


@dataclass(frozen=True)
class Limits:
    """The first limit reached ends the run."""

    evaluations: int
    seconds: float


@dataclass
class Result:
    """What a run leaves behind: a row of runs.parquet, rows of curves.parquet, a picture."""

    status: Status
    reason: str
    row: dict[str, Any]
    curve: list[dict[str, Any]]
    incumbent: Tensor | None  # (dim,)


class _Ended(Exception):
    """Carries status and reason of a run that ended before its budget."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class _Run:
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

    def step(self) -> bool:
        """Ask, charge, evaluate, tell; return False when the next batch does not fit into the budget."""
        if self.clock.total >= self.limits.seconds:
            raise _Ended("timeout", f"{self.limits.seconds:g} s used after {self.budget.cost:g} evaluations")
        with self.clock.timed("ask"):
            z = self.method.ask().detach()
        self._check(z)
        with_gradient = self.method.needs == "gradient"
        if not self.budget.affords(len(z), with_gradient):
            if self.steps == 0:
                price = self.budget.price(len(z), with_gradient)
                raise _Ended("unsupported", f"one batch costs {price:g} of {self.budget.evaluations} evaluations")
            return False
        due = bool(self.checkpoints) and self.budget.cost + self.budget.price(len(z), with_gradient) >= self.checkpoints[0]
        origin = self.method.incumbent() if due else None
        self.budget.charge(len(z), with_gradient)
        with self.clock.timed("eval"):
            evaluation = self._evaluate(z)
        self._check_loss(z, evaluation.loss)
        with self.clock.timed("tell"):
            self.method.tell(z, evaluation)
        self.steps += 1
        if self.method.gradient is not None:
            self.norms.append(float(self.method.gradient.norm()))
        if origin is not None:
            self.checkpoint(origin)
        return True

    def _check(self, z: Tensor) -> None:
        space = self.method.space
        if z.ndim != 2 or z.shape[1] != space.dim or not 1 <= len(z) <= space.max_batch:
            raise ValueError(f"ask returned {tuple(z.shape)}, expected (1…{space.max_batch}, {space.dim})")
        if not bool(z.isfinite().all()):
            raise _Ended("diverged", f"candidates are not finite after {self.budget.cost:g} evaluations")

    def _evaluate(self, z: Tensor) -> Evaluation:
        z = self.method.space.project(z)
        seed = derive("noise", self.seed, self.steps) if self.problem.noise == "fresh" else 0
        try:
            if self.method.needs == "gradient":
                return Evaluation(*self.problem.loss_and_grad(z, seed))
            with torch.no_grad():
                if self.method.needs == "picture":
                    picture = self.problem.observe(z, seed)
                    return Evaluation(self.problem.criterion(picture), None, picture, self.problem.criterion)
                return Evaluation(self.problem.loss(z, seed))
        except Exception as error:
            if memory.is_out_of_memory(error):
                raise
            traceback.print_exc()
            raise _Ended("failed", f"the task raised {type(error).__name__}: {error}") from error

    def _check_loss(self, z: Tensor, loss: Tensor) -> None:
        if loss.shape != z.shape[:1]:
            raise ValueError(f"the task returned losses {tuple(loss.shape)} for {len(z)} candidates")
        bad = ~loss.isfinite()
        if bool(bad.any()):
            if bool((z[bad].abs().amax(1) > FAR).all()):
                raise _Ended("diverged", f"candidates left for {float(z.abs().max()):.1e} natural steps from the origin")
            raise _Ended(
                "invalid_loss",
                f"the task answered {float(loss[bad][0])} to {int(bad.sum())} of {len(z)} candidates "
                f"by evaluation {self.budget.cost:g}",
            )

    def checkpoint(self, origin: Tensor | None = None) -> None:
        """Validate the incumbent and log it with the gradient's statistics; not charged, not timed."""
        cost = self.budget.cost
        while self.checkpoints and self.checkpoints[0] <= cost:
            self.checkpoints.pop(0)
        incumbent = self.method.incumbent()
        if not bool(incumbent.isfinite().all()):
            raise _Ended("diverged", f"the incumbent is not finite after {cost:g} evaluations")
        metrics = self.problem.validate(self.method.space.project(incumbent))
        if not math.isfinite(metrics["loss"]):
            status: Status = "diverged" if float(incumbent.abs().max()) > FAR else "invalid_loss"
            raise _Ended(status, f"the incumbent's validated loss is {metrics['loss']} after {cost:g} evaluations")
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
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self.budget.n_evals, self.budget.n_grads = state["n_evals"], state["n_grads"]
        self.clock.seconds.update(state["seconds"])
        self.checkpoints, self.curve = list(state["checkpoints"]), list(state["curve"])
        self.norms, self.steps = list(state["norms"]), state["steps"]


def checkpoint_costs(evaluations: int, count: int) -> list[float]:
    """Return `count` log-spaced costs from 1 to the whole budget."""
    return torch.logspace(0, math.log10(evaluations), count, dtype=torch.float64).tolist()


def run(
    problem: Problem,
    method_class: type[Method],
    params: Mapping[str, Any],
    limits: Limits,
    *,
    task: str,
    label: str,
    replicate: int,
    checkpoints: int = 30,
    state_file: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[float, float, float], None] | None = None,
) -> Result:
    """Run one replicate of `method_class` on `problem`.

    Args:
        problem: The task, on its device.
        method_class: The method; `params` are its checked parameters.
        params: Keyword arguments of the method's `setup`.
        limits: Evaluations and seconds granted.
        task: The task's label; with `replicate` it decides the start, which all methods share.
        label: The method's label in tables.
        replicate: Number of the repetition.
        checkpoints: How often, log-spaced in cost, the incumbent is validated.
        state_file: Where a killed run goes on from.
        fingerprint: Identifies code and settings: a state with another one is ignored.
        progress: Called after every step with cost, last validated loss and seconds.

    Returns:
        The row, the curve and the final incumbent; a run that could not go on has a status and a reason.
    """
    budget = Budget(limits.evaluations, problem.grad_cost)
    clock = Clock(problem.device)
    start_seed = derive(task, "start", replicate)
    seed = derive(task, label, replicate)
    space = problem.space(start_seed, limits.evaluations)
    start = space.project(space.start)
    memory.reset_peak(problem.device)
    base_mib = memory.resident_mib()
    status, reason, loss_start, method, state = "finished", "", math.nan, None, None
    try:
        loss_start = _warm_up(problem, start)
        why = method_class.unsupported(space, **params)
        if why:
            raise _Ended("unsupported", why)
        hard = 3 * limits.seconds + 60
        with alarm(hard):
            with clock.timed("setup"):
                method = method_class(space, seed, **params)
            why = _mismatch(problem, method)
            if why:
                raise _Ended("unsupported", why)
            costs = checkpoint_costs(limits.evaluations, checkpoints)
            state = _Run(problem, method, budget, clock, limits, seed, costs)
            _resume(state, state_file, fingerprint)
            if not state.curve:
                state.checkpoint()
            _loop(state, state_file, fingerprint, progress)
    except _Ended as ended:
        status, reason = ended.status, ended.reason
    except Stopped as stopped:
        status, reason = "stopped", str(stopped)
    except HardTimeout:
        status, reason = "timeout", f"a single step did not end within {hard:g} s"
    except Exception as error:
        if not memory.is_out_of_memory(error):
            raise
        status, reason = "out_of_memory", str(error).splitlines()[0][:300]
    if state is not None and status in ("finished", "stopped", "timeout"):
        try:
            if not state.curve or state.curve[-1]["cost"] < budget.cost:
                state.checkpoint()
        except _Ended as ended:
            status, reason = ended.status, ended.reason
    curve = state.curve if state else []
    losses = [point["value"] for point in curve if point["metric"] == "loss"]
    good = status in ("finished", "stopped", "timeout")
    row = {
        "task": task,
        "method": label,
        "seed": replicate,
        "dim": problem.dim,
        "status": status,
        "reason": reason,
        "budget": limits.evaluations,
        "n_evals": budget.n_evals,
        "n_grads": budget.n_grads,
        "cost": budget.cost,
        "wall_s": clock.total,
        **{f"{part}_s": seconds for part, seconds in clock.seconds.items()},
        "memory_base_mib": base_mib,
        "memory_peak_mib": memory.peak_mib(),
        "gpu_peak_mib": memory.gpu_peak_mib(problem.device),
        "loss_start": loss_start,
        "loss_final": losses[-1] if losses and good else math.nan,
    }
    return Result(status, reason, row, curve, space.project(method.incumbent()) if method and good else None)


def _warm_up(problem: Problem, start: Tensor) -> float:
    """Evaluate the start once outside the clock, and let torch load its optimizers; return the start's validated loss."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    try:
        with torch.no_grad():
            problem.loss(start[None], 0)
        loss = problem.validate(start)["loss"]
    except Exception as error:
        if memory.is_out_of_memory(error):
            raise
        traceback.print_exc()
        raise _Ended("failed", f"the task raised {type(error).__name__} at the start: {error}") from error
    if not math.isfinite(loss):
        raise _Ended("invalid_loss", f"the task answered {loss} to the start")
    return loss


def _mismatch(problem: Problem, method: Method) -> str | None:
    if method.needs == "gradient" and problem.gradient == "none":
        return "the task has no gradient"
    if method.needs == "picture" and not problem.has_picture:
        return "the task shows a loss but no picture"
    return None


def _resume(state: _Run, file: Path | None, fingerprint: str) -> None:
    if file is None or not file.is_file():
        return
    try:
        saved = torch.load(file, map_location=state.problem.device, weights_only=True)
    except Exception as error:  # noqa: BLE001  (torch raises many kinds for a truncated file)
        print(f"{file}: unreadable ({type(error).__name__}), this replicate starts again")
        return
    if saved["fingerprint"] == fingerprint:
        state.load_state_dict(saved["run"])


def _loop(
    state: _Run,
    file: Path | None,
    fingerprint: str,
    progress: Callable[[float, float, float], None] | None,
) -> None:
    saved = monotonic()
    while state.step():
        if progress:
            losses = (point["value"] for point in reversed(state.curve) if point["metric"] == "loss")
            progress(state.budget.cost, next(losses, math.nan), state.clock.total)
        if file is not None and monotonic() - saved > SAVE_SECONDS:
            with atomic(file) as part:
                torch.save({"fingerprint": fingerprint, "run": state.state_dict()}, part)
            saved = monotonic()
