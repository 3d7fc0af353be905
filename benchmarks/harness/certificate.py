"""What can be learnt at a task's start, and what its gradients are worth.

Is the start a plateau, how many small steps change nothing, does the way to the target go down; and are the gradients
right where there is a slope?

A gradient of zero is evidence for a plateau only if the same estimator is right elsewhere. So every estimator is held
against central differences at the start and on two sides of the target, where there is a slope.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from benchmarks.contract.problem import Problem

STEPS = (0.02, 0.05, 0.1)  # natural steps of the central differences at the start
NEAR = 0.25  # distance from the target, natural steps in every coordinate
NEAR_STEP = 0.05
SEEDS = 8  # of the renderer; a task without noise needs one
STARTS = 3
AXES = 8  # up to here every coordinate is differentiated, above as many random directions
SMALL, LOOKS = 0.1, 20  # standard deviation of small random steps, natural steps; their number per start
NOTHING = 1e-9  # share of the loss: what changes less has not changed
LEVEL = 0.99  # of the intervals
PLATEAU = 0.01  # share of the loss that a natural step may promise on a plateau
AGREES, ZERO = 0.25, 0.05  # relative error of a right gradient; share of the slope that is as good as none


def directions(dim: int, device: torch.device) -> Tensor:
    """Return the directions (k, dim) along which slopes are taken: the axes, or random signs in high dimensions."""
    if dim <= AXES:
        return torch.eye(dim, device=device)
    signs = torch.randint(2, (AXES, dim), generator=torch.Generator().manual_seed(0))
    return (2.0 * signs - 1).to(device)


def slopes(problem: Problem, z: Tensor, along: Tensor, step: float, seeds: int) -> Tensor:
    """Return central differences (seeds, k) of the precise loss at z (dim,) along the directions (k, dim)."""
    ends = torch.cat([z + step * along, z - step * along])
    losses = torch.stack([problem.precise_loss(ends, seed).double() for seed in range(seeds)])
    ahead, behind = losses.chunk(2, 1)
    return (ahead - behind) / (2 * step)


def interval(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and half width of its interval over the seeds (first axis); one seed: no noise, no width."""
    mean = samples.mean(0)
    if len(samples) == 1:
        return mean, torch.zeros_like(mean)
    factor = student.ppf(0.5 + LEVEL / 2, len(samples) - 1)
    return mean, factor * samples.std(0) / len(samples) ** 0.5


def seeds_needed(problem: Problem, z: Tensor) -> int:
    """Return 1 where the precise loss does not depend on the seed."""
    first, second = (float(problem.precise_loss(z[None], seed)[0]) for seed in (0, 1))
    return 1 if first == second else SEEDS


@torch.no_grad()
def certify(problem: Problem, starts: list[Tensor], span: float) -> dict[str, Any]:
    """Return the slope at the starts and whether it makes a plateau.

    Args:
        problem: The task.
        starts: Where replicates start, each (dim,); the first three are looked at.
        span: Loss at the start minus the floor.

    Returns:
        `start_slope`: largest |slope| over starts and directions, as a share of `span` per natural step;
        `start_slope_high`: the largest upper end of its 99 % interval over the renderer's seeds;
        `plateau`: "plateau" where that is below 1 %, "control" where the slope's interval excludes 0, else "unclear";
        `flat_share`: share of small random steps from the starts that change nothing;
        `towards_share`: share of steps along the straight way to the best that is known that go down, None without one.
    """
    along = directions(problem.dim, starts[0].device)
    seeds = seeds_needed(problem, starts[0])
    # A random direction of signs sees |g| of the gradient g; the steepest one sees up to √dim times that.
    steepest = problem.dim**0.5 if problem.dim > AXES else 1.0
    means, widths = [], []
    for start in starts[:STARTS]:
        pooled = torch.stack([slopes(problem, start, along, step, seeds) for step in STEPS]).mean(0)
        mean, width = interval(pooled)
        means.append(steepest * mean.abs() / span)
        widths.append(steepest * width / span)
    mean, width = torch.stack(means), torch.stack(widths)
    high = float((mean + width).max())
    sloping = bool((mean > width + PLATEAU / 10).any())
    verdict = "plateau" if high < PLATEAU else "control" if sloping else "unclear"
    slope = {"start_slope": float(mean.max()), "start_slope_high": high, "plateau": verdict}
    return slope | information(problem, starts[:STARTS], span)


def information(problem: Problem, starts: list[Tensor], span: float) -> dict[str, float | None]:
    """Return the shares of small steps that change nothing and of steps towards the target that lower the loss.

    Both with the renderer's first seed, at the quality of certificates: 20 steps N(0, .1²) and 20 equal steps along the
    straight line to the best z that is known, from each start (dim,); `span` is the loss there minus the floor.
    """
    project, goal = problem.space(0, 1).project, problem.solution()
    flat, falls = [], []
    for number, start in enumerate(starts):
        noise = torch.randn(LOOKS, problem.dim, generator=torch.Generator().manual_seed(number)).to(start)
        there = losses(problem, project(torch.cat([start[None], start + SMALL * noise])))
        flat.append((there[1:] - there[0]).abs() <= NOTHING * span)
        if goal is not None:
            way = torch.linspace(0, 1, LOOKS + 1, device=start.device)[:, None]
            falls.append(losses(problem, start + way * (goal.to(start) - start)).diff() < 0)
    share = {"flat_share": float(torch.cat(flat).double().mean())}
    return share | {"towards_share": float(torch.cat(falls).double().mean()) if falls else None}


def losses(problem: Problem, z: Tensor) -> Tensor:
    """Return the precise losses (n,) of z (n, dim), as many at once as the task takes."""
    return torch.cat([problem.precise_loss(part, 0).double() for part in z.split(problem.max_batch)])


def check_gradients(problem: Problem, start: Tensor, evaluate_ms: float) -> list[dict[str, Any]]:
    """Return one row per estimator and place: its gradient against central differences, and its price."""
    places = {"start": [start]}
    if problem.reference is not None:
        bits = torch.randint(2, (problem.dim,), generator=torch.Generator().manual_seed(1)).to(start)
        offset = NEAR * (2 * bits - 1)
        project = problem.space(0, 1).project
        places["near_target"] = [project(problem.reference + offset), project(problem.reference - offset)]
    along = directions(problem.dim, start.device)
    rows = []
    for place, points in places.items():
        seeds = seeds_needed(problem, points[0])
        found = [slopes(problem, z, along, NEAR_STEP, seeds) for z in points]
        difference, width = interval(torch.cat(found, 1))
        for name in problem.estimators():
            begin = perf_counter()
            found = [
                torch.stack([problem.precise_gradient(name, z, seed) for seed in range(seeds)]).double()
                @ along.double().T
                for z in points
            ]
            precise_ms = 1000 * (perf_counter() - begin) / seeds / len(points)
            automatic, spread = interval(torch.cat(found, 1))
            error = float((automatic - difference).norm() / difference.norm().clamp_min(1e-30))
            noise = float((width + spread).norm() / difference.norm().clamp_min(1e-30))
            rows.append(
                {
                    "estimator": name,
                    "place": place,
                    "difference": float(difference.norm()),
                    "difference_width": float(width.norm()),
                    "automatic": float(automatic.norm()),
                    "automatic_width": float(spread.norm()),
                    "relative_error": error,
                    "relative_noise": noise,
                    "verdict": judge(
                        float(difference.norm()), float(width.norm()), float(automatic.norm()), error, noise
                    ),
                    "precise_ms": precise_ms,
                    "gradient_ms": median_ms(problem.estimators()[name], points[0]),
                    "evaluate_ms": evaluate_ms,
                }
            )
    return rows


def judge(difference: float, width: float, automatic: float, error: float, noise: float) -> str:
    """Return what the comparison says about an estimator at one place."""
    if difference <= 2 * width or difference == 0:
        return "no slope"  # nothing to agree with
    if automatic <= ZERO * difference:
        return "zero"
    if error <= AGREES:
        return "agrees"
    return "biased" if error - noise > AGREES else "unclear"


def median_ms(gradient: Callable[[Tensor, int], Any], z: Tensor, repeats: int = 5) -> float:
    """Return the median duration of one gradient in milliseconds, after one as warm-up."""
    times = []
    for _ in range(repeats + 1):
        begin = perf_counter()
        gradient(z[None], 0)
        times.append(1000 * (perf_counter() - begin))
    return sorted(times[1:])[repeats // 2]
