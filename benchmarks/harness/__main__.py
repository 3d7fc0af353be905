"""Run one method on one task by hand, with a progress bar.

`python -m benchmarks.harness --task … --method … --seed …`
"""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from benchmarks.harness.cell import entry, limit_threads, open_device
from benchmarks.harness.errors import UsageError


def settings(pairs: list[str]) -> dict[str, Any]:
    """Parse `key=value` pairs, values as YAML; raises UsageError for anything else."""
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r}: expected key=value")
        parsed[key] = yaml.safe_load(value)
    return parsed


def main() -> None:
    """Parse the command line, run, and print the row that the tables would hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.harness", description=__doc__)
    parser.add_argument("--task", required=True, help="world.task, e.g. raster.square")
    parser.add_argument("--method", required=True, help="a file in methods/, e.g. prdpt")
    parser.add_argument(
        "--seed", type=int, default=0, help="replicate: decides the start and the method's random numbers"
    )
    parser.add_argument("--evaluations", type=int, default=2000, help="budget")
    parser.add_argument("--seconds", type=float, default=600.0, help="time limit")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--task-set", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of the task")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of the method")
    arguments = parser.parse_args()
    if arguments.evaluations < 1 or arguments.seconds <= 0:
        raise UsageError("--evaluations and --seconds must be positive")
    limit_threads(arguments.threads)

    from tqdm import tqdm

    from benchmarks.harness.loop import Limits
    from benchmarks.harness.parameters import check
    from benchmarks.harness.registry import method_class, task_class
    from benchmarks.harness.runner import run

    open_device(arguments.device)
    task_type, method_type = task_class(arguments.task), method_class(arguments.method)
    task_params = check(task_type.setup, settings(arguments.task_set), f"task {arguments.task}")
    params = check(method_type.setup, settings(arguments.set), f"method {arguments.method}")
    problem = task_type(device=arguments.device, **task_params)
    with tqdm(total=arguments.evaluations, unit="eval", desc=f"{arguments.task} · {arguments.method}") as bar:

        def progress(cost: float, loss: float, _seconds: float) -> None:
            bar.update(cost - bar.n)
            bar.set_postfix(loss=f"{loss:.4g}", refresh=False)

        result = run(
            problem,
            method_type,
            params,
            Limits(arguments.evaluations, arguments.seconds),
            task=arguments.task,
            label=arguments.method,
            replicate=arguments.seed,
            progress=progress,
        )
    for key, value in result.row.items():
        print(f"{key:>18}  {value:.6g}" if isinstance(value, float) else f"{key:>18}  {value}")


if __name__ == "__main__":
    entry(main)
