"""Run one method on one task by hand, with a progress bar.

`python -m benchmarks.harness --task … --method … --seed …`
"""

from __future__ import annotations

import argparse
import textwrap
from typing import Any, NoReturn

from benchmarks.contract.errors import UsageError, shown
from benchmarks.contract.parameters import check, listing
from benchmarks.contract.reading import parse_yaml
from benchmarks.harness.job import entry, limit_threads, open_device

MOST_SECONDS = 31_536_000  # a year


class Parser(argparse.ArgumentParser):
    """Complains in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{' '.join(message.split())}; --help shows what there is")


def settings(pairs: list[str], option: str) -> dict[str, Any]:
    """Parse `key=value` pairs, values as YAML; raises UsageError, naming the option, for anything else."""
    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"{option} {shown(pair)}: expected KEY=VALUE")
        if key in parsed:
            raise UsageError(f"{option} {shown(key)}: is there twice; keep one")
        parsed[key] = parse_yaml(value, f"{option} {key}")
    return parsed


def limited(option: str, value: float, lowest: float, highest: float) -> None:
    """Raise UsageError for a number outside these limits, NaN included."""
    if not lowest <= value <= highest:
        raise UsageError(f"{option} {value:g}: must lie between {lowest:g} and {highest:g}")


def parser() -> Parser:
    """Return the command line."""
    found = Parser(prog="python -m benchmarks.harness", description=__doc__, allow_abbrev=False)
    found.add_argument("--task", help="world.task, e.g. raster.square, or a file of your own, ….py")
    found.add_argument("--method", help="a file in methods/, e.g. prdpt, or one of your own, ….py")
    found.add_argument(
        "--seed", type=int, default=0, help="replicate: decides the start and the method's random numbers"
    )
    found.add_argument("--evaluations", type=int, default=2000, help="budget")
    found.add_argument("--seconds", type=float, default=600.0, help="time limit")
    found.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    found.add_argument("--threads", type=int, default=1)
    pairs = {"nargs": "*", "action": "extend", "default": [], "metavar": "KEY=VALUE"}
    found.add_argument("--task-set", help="parameters of the task", **pairs)
    found.add_argument("--set", help="parameters of the method", **pairs)
    found.add_argument(
        "--help-parameters", action="store_true", help="show the parameters of --task and --method and what they may be"
    )
    return found


def main() -> None:
    """Parse the command line, run, and print the row that the tables would hold."""
    arguments = parser().parse_args()
    if arguments.help_parameters:
        help_parameters(arguments.task, arguments.method)
        return
    for name in ("task", "method"):
        if getattr(arguments, name) is None:
            raise UsageError(f"--{name} is missing; --help shows what there is")
    limited("--evaluations", arguments.evaluations, 1, 10**12)
    limited("--seconds", arguments.seconds, 1e-9, MOST_SECONDS)
    limited("--threads", arguments.threads, 1, 1024)
    limited("--seed", arguments.seed, 0, 2**31 - 1)
    task_set, method_set = settings(arguments.task_set, "--task-set"), settings(arguments.set, "--set")
    limit_threads(arguments.threads)

    from tqdm import tqdm

    from benchmarks.harness.loop import Limits
    from benchmarks.harness.registry import method_class, task_class
    from benchmarks.harness.runner import run
    from benchmarks.harness.sources import short
    from benchmarks.harness.standing import standings

    open_device(arguments.device)
    task_type, method_type = task_class(arguments.task), method_class(arguments.method)
    task_params = check(task_type.setup, task_set, f"task {arguments.task}")
    params = check(method_type.setup, method_set, f"method {arguments.method}")
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
    floor = problem.floor()
    if result.row["loss_start"] > floor:  # not so for a start that is no number
        gap = (result.row["loss_final"] - floor) / (result.row["loss_start"] - floor)
        print(f"{'gap':>18}  {gap:.6g}")
        if gap == gap:  # a run that broke off has none
            for told in standings(short(arguments.task), task_params, arguments.evaluations, gap):
                print(f"{'standing':>18}  {told}")


def help_parameters(task: str | None, method: str | None) -> None:
    """Print name, default and range of every parameter."""
    from benchmarks.harness.registry import method_class, task_class

    if task is None and method is None:
        raise UsageError("--help-parameters: of what? name a --task, a --method or both")
    for kind, name, found in (("task", task, task_class), ("method", method, method_class)):
        if name is not None:
            print(f"{kind} {name}\n{textwrap.indent(listing(found(name).setup), '  ')}")


if __name__ == "__main__":
    entry(main)
