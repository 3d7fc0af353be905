"""What is to be known about a task before any method runs: a row of tasks.csv, pictures of start and target.

`python -m benchmarks.harness.calibrate --spec JSON --out FOLDER` is what the pipeline calls; SPEC holds task, problem,
problem_params, replicates, device, threads.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks.harness.job import Job, build, entry, open_device, to_bytes, watched
from benchmarks.harness.kept import write_json, write_pictures
from benchmarks.harness.phases import Phases
from benchmarks.harness.sources import short
from benchmarks.harness.store import require_writable
from benchmarks.harness.watch import START_S, Death, Guard

if TYPE_CHECKING:
    from benchmarks.contract.problem import Problem

ROW, IMAGES = "task.json", "images.npz"
MEASURED = (  # unknown of a task that could not be measured
    *("dim", "noise", "gradient", "grad_cost", "has_picture", "loss_start", "loss_floor", "evaluate_ms"),
    *("gradient_ratio", "central_difference", "gradient_error", "provenance", "source"),
)


def median_ms(action: Any, repeats: int = 5) -> float:
    """Return the median duration of `action` in milliseconds, after one call as warm-up."""
    action()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        action()
        times.append(1000 * (perf_counter() - begin))
    return statistics.median(times)


def calibrate(spec: dict[str, Any], out: Path, phases: Phases | None = None) -> None:
    """Measure one task and store it; a task that cannot be measured is stored with the reason."""
    from benchmarks.contract.parameters import check
    from benchmarks.harness.ending import ENDS, Ended, ending_of
    from benchmarks.harness.registry import task_class

    phases = phases or Phases()
    open_device(spec["device"])
    require_writable(out)
    kind = task_class(spec["problem"])
    params = check(kind.setup, spec["problem_params"], f"task {spec['task']!r} ({spec['problem']})")
    phases.enter("task")
    task = build(kind, spec["device"], params)
    if isinstance(task, Ended):
        store(spec, out, {"status": task.status, "phase": "task", "reason": task.reason})
        return
    try:
        row, images = measure(spec, task, params, phases)
    except ENDS as error:
        ended = ending_of(error)
        store(spec, out, {"dim": task.dim, "status": ended.status, "phase": phases.now, "reason": ended.reason})
    else:
        store(spec, out, row, images)


def store(spec: dict[str, Any], out: Path, facts: dict[str, Any], images: dict[str, Any] | None = None) -> None:
    """Write what is known of a task, over what holds for one of which nothing is."""
    kind = short(spec["problem"])
    row = {
        "task": spec["task"],
        "problem": kind,
        "family": kind.split(".")[0],
        "params": json.dumps(spec["problem_params"], sort_keys=True),
        "status": "ok",
        **dict.fromkeys(("phase", "reason"), ""),
        **dict.fromkeys(MEASURED),
        "gradients": [],
        **facts,
    }
    write_pictures(out / IMAGES, images or {})
    write_json(out / ROW, row)
    if row["status"] != "ok":
        print(f"{spec['task']}: {row['status']} {row['phase']} {row['reason']}", flush=True)


def measure(
    spec: dict[str, Any], problem: Problem, params: dict[str, Any], phases: Phases
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the row of a task and its pictures of start and target."""
    import torch

    from benchmarks.contract.seeds import derive
    from benchmarks.harness.certificate import certify, check_gradients
    from benchmarks.harness.clock import synchronize
    from benchmarks.harness.ending import Ended

    phases.enter("warm_up")
    starts = [problem.space(derive(spec["task"], "start", r), 1).start for r in spec["replicates"]]
    phases.enter("validate")
    losses = [problem.validate(start)["loss"] for start in starts]
    if not all(map(math.isfinite, losses)):
        raise Ended("invalid_loss", f"the task answered {losses} to its starts")
    batch = starts[0].expand(min(16, problem.max_batch), -1).contiguous()

    def evaluate() -> None:
        with torch.no_grad():
            problem.loss(batch, 0)
        synchronize(problem.device)

    def differentiate() -> None:
        problem.loss_and_grad(batch, 0)
        synchronize(problem.device)

    phases.enter("loss")
    evaluate_ms = median_ms(evaluate) / len(batch)
    row = {
        "params": json.dumps(params, sort_keys=True),
        "dim": problem.dim,
        "noise": problem.noise,
        "gradient": problem.gradient,
        "grad_cost": problem.grad_cost,
        "has_picture": problem.has_picture,
        "loss_start": statistics.median(losses),
        "loss_floor": problem.floor(),
        "evaluate_ms": evaluate_ms,
        "gradient_ratio": None,
        "central_difference": None,
        "gradient_error": None,
        "provenance": problem.provenance,
        "source": problem.source,
    }
    phases.enter("gradient")
    row |= certify(problem, starts, row["loss_start"] - row["loss_floor"])
    row["central_difference"], analytic = directional(problem, starts[0])
    if problem.gradient != "none":
        row["gradient_ratio"] = median_ms(differentiate) / len(batch) / evaluate_ms
        scale = max(abs(row["central_difference"]), abs(analytic), 1e-12)
        row["gradient_error"] = abs(row["central_difference"] - analytic) / scale
    row["gradients"] = check_gradients(problem, starts[0], evaluate_ms)
    phases.enter("image")
    images = {
        name: to_bytes(picture)
        for name, picture in (("start", problem.image(starts[0])), ("target", problem.target_image()))
        if picture is not None
    }
    return row, images


def directional(problem: Any, z: Any, step: float = 0.05) -> tuple[float, float]:
    """Return the slope at z (dim,) along a fixed random direction: by central differences, by the gradient.

    The direction moves every coordinate by about one natural step. Zero by differences: the start lies on a plateau.
    """
    import torch

    direction = torch.randn(problem.dim, generator=torch.Generator().manual_seed(0)).to(z)
    with torch.no_grad():
        ahead, behind = problem.loss(torch.stack([z + step * direction, z - step * direction]), 0).double().tolist()
    slope = 0.0 if problem.gradient == "none" else float(problem.loss_and_grad(z[None], 0)[1][0] @ direction)
    return (ahead - behind) / (2 * step), slope


def bury(spec: dict[str, Any], out: Path, death: Death) -> int:
    """Store what is known of a task whose measuring ended from outside."""
    facts = {"dim": death.beat.dim or None, "status": death.status, "phase": death.beat.phase, "reason": death.reason}
    store(spec, out, facts)
    return 1


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    spec, out = json.loads(arguments.spec), arguments.out
    work, buried = partial(calibrate, spec, out), partial(bury, spec, out)
    guard = Guard(phase_s=START_S, replicate_s=START_S)
    return Job(work, buried, guard, spec["device"], spec["threads"], whole=True)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
