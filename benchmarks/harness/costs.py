"""How long a run will take, from counts of work and not from a clock: equal on every machine and under every load.

A suite leaves out what is too dear for it (`too_dear`), so this decides which cells run. It must therefore not depend
on the machine it is computed on. It is a model: within a factor of three of what was measured, for most
(tests/test_costs.py holds it against the committed runs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from methods._work import Work

if TYPE_CHECKING:
    from benchmarks.contract.problem import Problem
    from methods.base import Method, Space

GUARD = 10.0  # a run may take this many times what is predicted of the dearest one admitted


@dataclass(frozen=True)
class Machine:
    """What one unit of work takes."""

    name: str
    launch_s: float  # one call of a tensor library
    number_s: float  # one float32 read, used and written on the device
    host_s: float  # the same by one core of the CPU


MACHINES = {
    "cpu": Machine("one core of a CPU", launch_s=5e-6, number_s=2e-9, host_s=2e-9),
    # 3 TB/s move 12 bytes in 4 ps; kernels on batches of this size reach a fifth of it.
    "cuda": Machine("one GPU with 3 TB/s", launch_s=1e-5, number_s=2e-11, host_s=2e-9),
}


def machine_of(device: str) -> Machine:
    """Return the machine that stands for `device` (cpu, cuda, cuda:N)."""
    return MACHINES[device.partition(":")[0]]


def work_of(problem: Problem, method: type[Method], params: dict[str, Any], space: Space) -> Work:
    """Return the work of a whole run: the method's and the task's, per evaluation, times the budget."""
    return (method.work(space, **params) + evaluation_work(problem, method)) * space.budget


def evaluation_work(problem: Problem, method: type[Method]) -> Work:
    """Return the task's work per evaluation charged, for a method that asks for losses, pictures or gradients."""
    if method.needs != "gradient":
        return problem.work
    return problem.work * (problem.gradient_passes / (1 + problem.grad_cost))


def seconds_of(work: Work, machine: Machine) -> float:
    """Return how long this work takes."""
    return work.launches * machine.launch_s + work.numbers * machine.number_s + work.host * machine.host_s


def predicted_seconds(problem: Problem, method: type[Method], params: dict[str, Any], space: Space) -> float:
    """Return the seconds that a run of this method on this task is predicted to take on the task's device."""
    return seconds_of(work_of(problem, method, params, space), machine_of(str(problem.device)))
