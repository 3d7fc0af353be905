"""One method on one task from one start under one budget: where every number comes from."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import memory
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock, HardTimeout, alarm
from benchmarks.harness.kept import load_state, unless_damaged, write_state
from benchmarks.harness.loop import Ended, Limits, Run, Status
from benchmarks.harness.problem import Problem
from benchmarks.harness.seeds import derive
from methods.base import Method, Stopped

SAVE_SECONDS = float(os.environ.get("BEYOND_GD_SAVE_SECONDS", "20"))  # most work lost when a run is killed
SAVE_SPARING = 20.0  # a state may be gigabytes: saving takes at most a twentieth of the time


@dataclass
class Result:
    """What a run leaves behind: a row of runs.parquet, rows of curves.parquet, a picture."""

    status: Status
    reason: str
    row: dict[str, Any]
    curve: list[dict[str, Any]]
    incumbent: Tensor | None  # (dim,)


def checkpoint_costs(evaluations: int, count: int) -> list[float]:
    """Return `count` log-spaced costs from 1 to the whole budget."""
    return torch.logspace(0, math.log10(evaluations), count, dtype=torch.float64).tolist()


def hard_seconds(seconds: float) -> float:
    """Return the wall time, validation included, after which a run that cannot be stopped politely is cut off."""
    return 3 * seconds + 60


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
    status, reason, loss_start, base_mib, method, state = "finished", "", math.nan, math.nan, None, None
    try:
        loss_start = _warm_up(problem, start)
        memory.reset_peak(problem.device)
        base_mib = memory.resident_mib()
        why = method_class.unsupported(space, **params)
        if why:
            raise Ended("unsupported", why)
        hard = hard_seconds(limits.seconds)
        with alarm(hard):
            with clock.timed("setup"):
                method = method_class(space, seed, **params)
            why = _mismatch(problem, method)
            if why:
                raise Ended("unsupported", why)
            costs = checkpoint_costs(limits.evaluations, checkpoints)
            state = Run(problem, method, budget, clock, limits, seed, costs)
            if method.needs == "gradient":
                _warm_up_gradient(state, start)
            _resume(state, state_file, fingerprint)
            if not state.curve:
                state.checkpoint()
            _loop(state, state_file, fingerprint, progress)
    except Ended as ended:
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
        except Ended as ended:
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
        "n_steps": state.steps if state else 0,
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
    """Evaluate the start once outside the clock, let torch load its optimizers; return the start's loss."""
    dummy = torch.zeros(1, requires_grad=True)
    dummy.grad = torch.zeros(1)
    torch.optim.Adam([dummy]).step()
    try:
        with torch.no_grad():
            problem.loss(start[None], 0)
        loss = problem.validate(start)["loss"]
    except Exception as error:
        if memory.is_out_of_memory(error):
            raise
        traceback.print_exc()
        raise Ended("failed", f"the task raised {type(error).__name__} at the start: {error}") from error
    if not math.isfinite(loss):
        raise Ended("invalid_loss", f"the task answered {loss} to the start")
    return loss


def _warm_up_gradient(state: Run, start: Tensor) -> None:
    """Differentiate once outside the clock: the first time, a renderer compiles its adjoint for seconds."""
    try:
        state.gradient_of(start[None], 0)
    except Exception as error:
        if memory.is_out_of_memory(error):
            raise
        traceback.print_exc()
        raise Ended("failed", f"the task's gradient raised {type(error).__name__} at the start: {error}") from error


def _mismatch(problem: Problem, method: Method) -> str | None:
    known, wanted = problem.estimators(), method.gradient_source
    if method.needs == "gradient" and not known:
        return problem.without_gradient or "the task has no gradient"
    if method.needs == "gradient" and wanted not in known and problem.without_gradient:
        return problem.without_gradient  # the task's own choice is missing: the next one would be another method
    if method.needs == "gradient" and wanted and wanted not in known:
        return f"the task has no gradient {wanted!r}, but {', '.join(known)}"
    if method.needs == "picture" and not problem.has_picture:
        return "the task shows a loss but no picture"
    return None


def _resume(state: Run, file: Path | None, fingerprint: str) -> None:
    if file is None:
        return
    saved = unless_damaged(load_state, file, ("fingerprint", "run"), state.problem.device)
    if saved is not None and saved["fingerprint"] == fingerprint:
        state.load_state_dict(saved["run"])


def _loop(
    state: Run,
    file: Path | None,
    fingerprint: str,
    progress: Callable[[float, float, float], None] | None,
) -> None:
    saved, took = monotonic(), 0.0
    while state.step():
        if progress:
            losses = (point["value"] for point in reversed(state.curve) if point["metric"] == "loss")
            progress(state.budget.cost, next(losses, math.nan), state.clock.total)
        if file is not None and monotonic() - saved > max(SAVE_SECONDS, SAVE_SPARING * took):
            begin = monotonic()
            write_state(file, {"fingerprint": fingerprint, "run": state.state_dict()})
            saved = monotonic()
            took = saved - begin
