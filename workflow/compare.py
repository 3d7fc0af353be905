"""Where does my method stand? `python -m benchmarks compare --file path/to/mine.py` runs it beside stored results.

The method meets the tasks of the stored suite with its budgets, starts, seeds and tuning effort; only the method runs.
With `--task-file` it is the other way round: all fast methods on one's own task. Everything lands in
results/compare_<name>/: tables, figures, report; run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from tqdm import tqdm

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.harness.costs import MACHINES
from benchmarks.harness.sources import ROOT
from workflow.estimate import estimates
from workflow.extends import Reference, found_here
from workflow.suite import Suite, load_suite
from workflow.tables.stored import tuning_cells
from workflow.tables.written import read_written

MOST_DIM = 12_288  # of the tasks that are compared on where none is named
FAST_S = 10.0  # a run of a fast method is predicted to take at most
FIGURES = {"overview": {}, "ecdf": {}, "scaling": {}, "time": {}}
STEP = re.compile(r"(\d+) of (\d+) steps")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    found.add_argument("--method", help="its name; with --file, what to call it")
    found.add_argument("--file", type=Path, help="a method's file, anywhere on disk")
    found.add_argument("--task-file", type=Path, help="a task's file, anywhere on disk: all fast methods run on it")
    found.add_argument("--task", nargs="*", default=[], help=f"default: all that fit, up to {MOST_DIM:,} dimensions")
    found.add_argument("--with", dest="reference", default="results/desk", help="folder of stored results")
    found.add_argument("--results", default="results", help="folder to write below")
    found.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, run what is not stored, print the leaderboard."""
    given = parser().parse_args(arguments)
    if not (given.method or given.file or given.task_file):
        raise UsageError("compare what? name a --method, its --file or a --task-file; --help shows what there is")
    config = write_suite(given)
    suite = load_suite(config)
    if suite.tuned_path:
        run(config, given.cores, "tune", "tuning")
    run(config, given.cores, "all", "comparison")
    print(board(suite.folder / "tables"))
    print(f"\ntables, figures and report: {suite.folder}")


def write_suite(given: argparse.Namespace) -> Path:
    """Write the config of the comparison and return its path; the same command writes the same file."""
    stored = Path(given.reference).name
    base = f"config/{stored}.yaml"
    if not found_here(base).is_file():
        raise UsageError(f"--with {given.reference}: there is no {base}, the suite that it comes from")
    content: dict[str, Any] = {"extends": base, "reference": given.reference, "results": given.results}
    if given.task_file:
        label = label_of(given.task_file)
        content |= {"tasks": {label: {"problem": str(given.task_file.resolve())}}}
    else:
        label = label_of(Path(given.method or given.file.stem))
        content |= {"methods": {label: {"algorithm": str(given.file.resolve())} if given.file else {}}}
    content |= {"suite": f"compare_{label}", "figures": FIGURES}
    path = Path(given.results).expanduser() / content["suite"] / "suite.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)  # checked before anything is chosen from it
    suite = load_suite(path)
    if given.task_file:
        content["grid"] = [{"tasks": [label], "methods": fast_methods(suite, label)}]
    else:
        tasks = given.task or fitting_tasks(suite, suite.reference)
        for task in tasks:
            if task not in suite.tasks:
                raise unknown("task label", task, suite.tasks)
        content["grid"] = [{"tasks": tasks, "methods": [label]}]
        for task in tasks:
            if why := suite.misfit(task):
                print(f"{task}: what {given.reference} has of it is refused: {why}", file=sys.stderr)
    write(path, content)
    return path


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a config."""
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def label_of(path: Path) -> str:
    """Return a file's name as a label."""
    return re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_") or "mine"


def fitting_tasks(suite: Suite, reference: Reference) -> list[str]:
    """Return the tasks of which something stored can be used, up to MOST_DIM dimensions."""
    found = []
    for task in suite.tasks:
        why = suite.misfit(task)
        if why:
            print(f"{task}: left out, what is stored of it is refused: {why}", file=sys.stderr)
        elif float(reference.tasks[task]["dim"]) <= MOST_DIM:
            found.append(task)
    if not found:
        raise UsageError(f"{reference.folder}: nothing stored there fits {suite.own['extends']}; name a --task")
    return found


def fast_methods(suite: Suite, task: str) -> list[str]:
    """Return the methods, ablations aside, of which a run on a task is predicted to be short."""
    seconds = {
        item.method: 3600 * item.hours / suite.seeds
        for item in estimates(suite, MACHINES["cpu"])
        if item.task == task and not item.reason
    }
    parts = {label for label, entry in suite.config["methods"].items() if "tuned_as" in entry}
    return [method for method, taken in seconds.items() if method not in parts and taken <= FAST_S]


def run(config: Path, cores: int, target: str, what: str) -> None:
    """Let Snakemake make a target, with a progress bar; raises UsageError with the end of what it said if it fails."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)]
    command += ["--configfile", str(config), "--rerun-incomplete", "--", target]
    said: list[str] = []
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
        ) as process,
        tqdm(desc=what, unit="job", leave=False) as bar,
    ):
        for line in process.stdout or ():
            said.append(line)
            if step := STEP.search(line):
                bar.total = int(step[2])
                bar.update(int(step[1]) - bar.n)
    if process.returncode:
        raise UsageError(f"{what} failed; the same command goes on from there\n{''.join(said[-25:])}")


def dash(value: float, form: str) -> str:
    """Return a number in this form, a dash where there is none."""
    return "–".rjust(int(form.partition(".")[0])) if pd.isna(value) else format(value, ">" + form)


def board(folder: Path) -> str:
    """Return the leaderboard of a comparison's tables as text."""
    ranked, duels = (read_written(folder / f"{name}.csv") for name in ("leaderboard", "duels"))
    own = set(duels["method"])
    lines = [f"{'':2}{'place':>5}  {'method':<30}{'rank':>6}{'gap':>9}{'targets':>9}{'tasks':>7}  best, worst on"]
    for row in ranked.itertuples(index=False):
        place = "" if pd.isna(row.place) else f"{row.place:.0f}"
        mark = "> " if row.method in own else "  "
        ends = f"{row.best_task}, {row.worst_task}" if isinstance(row.best_task, str) else ""
        numbers = f"{dash(row.relative_rank, '6.2f')}{dash(row.gap, '9.3g')}{row.targets:>9.0%}{row.n_tasks:>7}"
        lines.append(f"{mark}{place:>5}  {row.name:<30}{numbers}  {ends}")
    lines.append("rank: mean over tasks, 0 = always best; gap: median over tasks; without a place: bounds, fewer tasks")
    names = dict(zip(ranked["method"], ranked["name"], strict=True))
    for method, rivals in duels.groupby("method", sort=False):
        lines.append(f"\n{names[method] + ' against':<32}{'wins':>5}{'ties':>5}{'losses':>7}  lower by a factor of")
        for row in rivals.itertuples(index=False):
            low, middle, high = (10**value for value in (row.low, row.effect, row.high))
            counts = f"{row.wins:>5}{row.ties:>5}{row.losses:>7}"
            ends = f"best on {row.best_task}, worst on {row.worst_task}" if row.n_tasks > 1 else ""
            lines.append(f"  {names[row.rival]:<30}{counts}  {middle:.3g} [{low:.3g}, {high:.3g}]  {ends}")
    refused = read_written(folder / "reference.csv")
    here, there = (
        set(tuning_cells(folder.parent).values()),
        set(refused["tuning_cells"][refused["used"].eq(True)]) - {0},
    )
    if own and there and max(here, default=0) > min(there):
        lines.append(
            f"unequal: tuned over up to {max(here)} cells here, {min(there)} to {max(there)} in what is stored"
        )
    refused = refused[refused["used"].eq(False)]
    for reason, rows in refused.groupby("reason", sort=False):
        lines.append(f"refused: {len(rows)} stored cells ({', '.join(rows['task'].unique())}): {reason}")
    return "\n".join(lines)
