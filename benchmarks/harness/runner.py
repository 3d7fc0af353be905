"""One method on one task from one start under one budget: where every number comes from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.problem import Problem
from benchmarks.contract.seeds import derive
from benchmarks.contract.statuses import GOOD, LEFT_OUT, Status
from benchmarks.harness import memory
from benchmarks.harness.budget import Budget
from benchmarks.harness.clock import Clock, alarm
from benchmarks.harness.costs import predicted_seconds
from benchmarks.harness.ending import ENDS, Ended, ending_of
from benchmarks.harness.kept import load_state, unless_damaged, write_state
from benchmarks.harness.loop import Limits, Run
from benchmarks.harness.phases import Phases
from benchmarks.harness.watch import hard_seconds
from methods.base import Method, Space

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
    improvements: bool = True,
    state_file: Path | None = None,
    fingerprint: str = "",
    progress: Callable[[float, float, float], None] | None = None,
    phases: Phases | None = None,
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
        checkpoints: How often, log-spaced in cost, the incumbent is validated and all metrics are logged.
        improvements: Whether the loss is logged at every improvement as well.
        state_file: Where a killed run goes on from.
        fingerprint: Identifies code and settings: a state with another one is ignored.
        progress: Called after every step with cost, last validated loss and seconds.
        phases: Where the run notes what it is doing, for a process that watches it.

    Returns:
        The row, the curve and the final incumbent; a run that could not go on has a status and a reason.
    """
    phases = phases or Phases()
    phases.dim = problem.dim
    budget, clock = Budget(limits.evaluations, problem.grad_cost), Clock(problem.device)
    ended, phase = Ended("finished", ""), ""
    begun = _Begun()
    try:
        _begin(begun, problem, method_class, params, limits, derive(task, "start", replicate), phases)
        with alarm(hard_seconds(limits.seconds)):
            seed = derive(task, label, replicate)
            phases.enter("setup")
            with clock.timed("setup"):
                method = method_class(begun.space, seed, **params)
            why = _mismatch(problem, method)
            if why:
                raise Ended("unsupported", why)
            costs = checkpoint_costs(limits.evaluations, checkpoints)
            state = Run(problem, method, budget, clock, limits, seed, costs, phases=phases, improvements=improvements)
            if method.needs == "gradient":
                phases.enter("gradient")
                state.gradient_of(begun.start[None], 0)  # not timed: a renderer compiles its adjoint for seconds
            phases.enter("state")
            _resume(state, state_file, fingerprint)
            begun.state = state
            if not state.curve:
                state.checkpoint()
            _loop(state, state_file, fingerprint, progress)
    except ENDS as error:
        if phases.now == "state" and isinstance(error, UsageError):
            raise  # a full disk is no end of this run
        ended, phase = ending_of(error), phases.now
    incumbent = None
    if begun.state is not None and ended.status in GOOD:
        try:
            if not begun.state.curve or begun.state.curve[-1]["cost"] < budget.cost:
                begun.state.checkpoint()
            phases.enter("incumbent")
            incumbent = begun.space.project(begun.state.method.incumbent())
        except ENDS as error:
            ended, phase = ending_of(error), phases.now
    curve = begun.state.curve if begun.state else []
    losses = [point["value"] for point in curve if point["metric"] == "loss"]
    good = ended.status in GOOD
    row = {
        "task": task,
        "method": label,
        "seed": replicate,
        "dim": problem.dim,
        "status": ended.status,
        "phase": "" if good or ended.status in LEFT_OUT else phase,
        "reason": ended.reason,
        "budget": limits.evaluations,
        "n_evals": budget.n_evals,
        "n_grads": budget.n_grads,
        "n_steps": begun.state.steps if begun.state else 0,
        "cost": budget.cost,
        "wall_s": clock.total,
        **{f"{part}_s": seconds for part, seconds in clock.seconds.items()},
        "memory_base_mib": begun.base_mib,
        "memory_peak_mib": memory.peak_mib(),
        "gpu_peak_mib": memory.gpu_peak_mib(problem.device),
        "loss_start": begun.loss_start,
        "loss_final": losses[-1] if losses and good else math.nan,
        "values": spelled(problem, incumbent),
        "n_failed": begun.state.failed if begun.state else 0,
        "failure": begun.state.failure if begun.state else "",
    }
    return Result(ended.status, ended.reason, row, curve, incumbent)


def spelled(problem: Problem, incumbent: Tensor | None) -> str:
    """Return the decoded values of the incumbent (dim,) as JSON, empty where there is none or nothing has a name."""
    values = {} if incumbent is None else problem.decoded(incumbent)
    return json.dumps(values, ensure_ascii=False) if values else ""


@dataclass
class _Begun:
    """What is known of a run, as far as it came."""

    space: Space | None = None
    start: Tensor | None = None  # (dim,)
    loss_start: float = math.nan
    base_mib: float = math.nan
    state: Run | None = None


def _begin(
    begun: _Begun,
    problem: Problem,
    method_class: type[Method],
    params: Mapping[str, Any],
    limits: Limits,
    start_seed: int,
    phases: Phases,
) -> None:
    """Evaluate the start once outside the clock, let torch load its optimizers, ask whether the method can run."""
    phases.enter("warm_up")
    begun.space = problem.space(start_seed, limits.evaluations)
    begun.start = begun.space.project(begun.space.start)
    dummy = torch.zeros(1, requires_grad=True)
    dummy.grad = torch.zeros(1)
    torch.optim.Adam([dummy]).step()
    phases.enter("loss")
    with torch.no_grad():
        problem.loss(begun.start[None], 0)
    phases.enter("validate")
    begun.loss_start = problem.validate(begun.start)["loss"]
    phases.enter("warm_up")
    if not math.isfinite(begun.loss_start):
        raise Ended("invalid_loss", f"the task answered {begun.loss_start} to the start")
    memory.reset_peak(problem.device)
    begun.base_mib = memory.resident_mib()
    phases.enter("setup")
    why = method_class.unsupported(begun.space, **params)
    if why:
        raise Ended("unsupported", why)
    predicted = predicted_seconds(problem, method_class, dict(params), begun.space)
    if predicted > limits.predicted_s:
        raise Ended("too_dear", too_dear(predicted, limits))


def too_dear(seconds: float, limits: Limits) -> str:
    """Return why a run that is predicted to take so many seconds is left out, and where it is not."""
    where = f"; {limits.elsewhere} has it" if limits.elsewhere else ""
    return f"predicted {seconds / 3600:.3g} h, at most {limits.predicted_s / 3600:.3g} h here{where}"


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
            state.phases.enter("state")
            write_state(file, {"fingerprint": fingerprint, "run": state.state_dict()})
            saved = monotonic()
            took = saved - begin
