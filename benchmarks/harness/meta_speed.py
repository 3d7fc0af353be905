"""How much faster is meta-training with all tasks in one batch? `python -m benchmarks.harness.meta_speed`.

Times the same second-order MAML steps three ways in one process: a Python loop over tasks, `torch.func.vmap` over
tasks, and the batch that the learners use. All three give the same meta-gradient, which is checked.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family
from benchmarks.harness.registry import family_class
from benchmarks.harness.rooms import family_names
from methods.meta.base import Batch, split, synchronize

RATE = 0.1
Step = Callable[[Tensor, list[Batch]], Tensor]  # start (n_weights,), batches of all tasks → meta-gradient (n_weights,)


def batched(family: Family) -> Step:
    """All tasks in one batch."""

    def step(start: Tensor, batches: list[Batch]) -> Tensor:
        start = start.detach().requires_grad_(True)
        weights = start.expand(len(next(iter(batches[0].values()))), -1)
        for batch in batches[:-1]:
            (gradient,) = torch.autograd.grad(family.loss(weights, batch).sum(), weights, create_graph=True)
            weights = weights - RATE * gradient
        return torch.autograd.grad(family.loss(weights, batches[-1]).mean(), start)[0]

    return step


def looped(family: Family) -> Step:
    """One task after the other."""
    one = batched(family)

    def step(start: Tensor, batches: list[Batch]) -> Tensor:
        count = len(next(iter(batches[0].values())))
        rows = [[{name: value[i : i + 1] for name, value in batch.items()} for batch in batches] for i in range(count)]
        return torch.stack([one(start, row) for row in rows]).mean(0)

    return step


def mapped(family: Family) -> Step:
    """`torch.func.vmap` over the tasks."""

    def loss(weights: Tensor, batch: Batch) -> Tensor:
        return family.loss(weights[None], {name: value[None] for name, value in batch.items()})[0]

    def after(start: Tensor, batches: list[Batch]) -> Tensor:
        weights = start
        for batch in batches[:-1]:
            weights = weights - RATE * torch.func.grad(loss)(weights, batch)
        return loss(weights, batches[-1])

    every = torch.func.vmap(torch.func.grad(after), in_dims=(None, 0))
    return lambda start, batches: every(start, batches).mean(0)


def measure(family: Family, tasks: int, steps: int, repeats: int) -> dict[str, float]:
    """Return way → median seconds of one outer step; the ways take turns.

    Raises:
        RuntimeError: if the ways disagree about the meta-gradient.
    """
    generator = torch.Generator().manual_seed(0)
    members = family.training_members[:tasks]
    batches = split(family.sample(members, (steps + 1) * family.samples, generator), steps + 1)
    start = family.initial(1, generator)[0]
    ways = {"loop": looped(family), "vmap": mapped(family), "batch": batched(family)}
    expected = None
    for name, way in ways.items():  # also warms up
        found = way(start, batches)
        expected = found if expected is None else expected
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max())):
            raise RuntimeError(f"{name}: another meta-gradient than the loop's")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            begin = time.perf_counter()
            way(start, batches)
            synchronize(family.device)
            seconds[name].append(time.perf_counter() - begin)
    return {name: median(values) for name, values in seconds.items()}


def main() -> None:
    """Print seconds per outer step and the speed-up over the loop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", default="brdf", choices=family_names())
    parser.add_argument("--tasks", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--steps", type=int, default=10, help="of the inner loop")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    try:
        family = family_class(given.family)(given.device)
    except UsageError as error:
        sys.exit(f"error: {error}")
    print(f"{given.family}, {given.steps} steps of {family.samples} samples, {given.threads} thread(s), {given.device}")
    for tasks in given.tasks:
        times = measure(family, tasks, given.steps, given.repeats)
        cells = [f"{name} {1e3 * value:.0f} ms (×{times['loop'] / value:.2f})" for name, value in times.items()]
        print(f"{tasks:>3} tasks a step: " + "   ".join(cells))


if __name__ == "__main__":
    main()
