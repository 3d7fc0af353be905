"""What is to be known about a task before any method runs: a row of tasks.csv, pictures of start and target.

`python -m benchmarks.harness.calibrate --spec JSON --out FOLDER` is what the pipeline calls; SPEC holds task, problem,
problem_params, replicates, device, threads.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.harness.cell import entry, limit_threads, open_device, to_bytes
from benchmarks.harness.kept import write_json, write_pictures

ROW, IMAGES = "task.json", "images.npz"


def median_ms(action: Any, repeats: int = 5) -> float:
    """Return the median duration of `action` in milliseconds, after one call as warm-up."""
    action()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        action()
        times.append(1000 * (perf_counter() - begin))
    return statistics.median(times)


def calibrate(spec: dict[str, Any], out: Path) -> None:
    """Measure one task and store it."""
    import torch

    from benchmarks.harness.certificate import certify, check_gradients
    from benchmarks.harness.clock import synchronize
    from benchmarks.harness.parameters import check
    from benchmarks.harness.registry import task_class
    from benchmarks.harness.seeds import derive

    open_device(spec["device"])
    kind = task_class(spec["problem"])
    params = check(kind.setup, spec["problem_params"], f"task {spec['task']!r} ({spec['problem']})")
    problem = kind(device=spec["device"], **params)
    starts = [problem.space(derive(spec["task"], "start", r), 1).start for r in spec["replicates"]]
    losses = [problem.validate(start)["loss"] for start in starts]
    batch = starts[0].expand(min(16, problem.max_batch), -1).contiguous()

    def evaluate() -> None:
        with torch.no_grad():
            problem.loss(batch, 0)
        synchronize(problem.device)

    def differentiate() -> None:
        problem.loss_and_grad(batch, 0)
        synchronize(problem.device)

    evaluate_ms = median_ms(evaluate) / len(batch)
    row = {
        "task": spec["task"],
        "problem": spec["problem"],
        "family": spec["problem"].split(".")[0],
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
    row |= certify(problem, starts, row["loss_start"] - row["loss_floor"])
    row["central_difference"], analytic = directional(problem, starts[0])
    if problem.gradient != "none":
        row["gradient_ratio"] = median_ms(differentiate) / len(batch) / evaluate_ms
        scale = max(abs(row["central_difference"]), abs(analytic), 1e-12)
        row["gradient_error"] = abs(row["central_difference"] - analytic) / scale
    images = {
        name: to_bytes(picture)
        for name, picture in (("start", problem.image(starts[0])), ("target", problem.target_image()))
        if picture is not None
    }
    write_pictures(out / IMAGES, images)
    row["gradients"] = check_gradients(problem, starts[0], evaluate_ms)
    write_json(out / ROW, row)


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


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="the task as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for what was measured")
    arguments = parser.parse_args()
    spec = json.loads(arguments.spec)
    limit_threads(spec["threads"])
    calibrate(spec, arguments.out)


if __name__ == "__main__":
    entry(main)
