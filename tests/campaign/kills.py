"""Kill a small suite at random moments, type the same command again, and compare what comes out.

    python -m tests.campaign.kills --kills 6

All of Snakemake and its jobs die at once (a power cut), or Snakemake alone, or one job with everything below it. The
suite holds every kind of job. Whenever it is finished its tables are compared with those of a run that nobody
disturbed, and it begins anew. Exit code 0: every command went on by itself and every table was the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from tests.project import Project
from workflow.tables.written import CHECKSUMS

SUITE: dict[str, Any] = {
    "suite": "kills",
    "seeds": 2,
    "checkpoints": 6,
    "limits": {"evaluations": 2_000, "minutes": 1},
    "tasks": {
        "square": {"problem": "raster.square", "params": {"size": 32}},
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 10}},
    },
    "methods": {"random_search": {}, "prdpt": {}},
    "grid": [{"tasks": ["square", "bowl"], "methods": ["random_search", "prdpt"]}],
    "families": {
        "brdf": {
            "params": {"train": 8, "validation": 2, "test": 2, "samples": 64, "pixels": 16},
            "training": {"samples": 10_000},
        }
    },
    "learners": {"fomaml": {}, "general": {}},
    "adaptations": [{"families": ["brdf"], "learners": ["fomaml", "general"], "steps": 5}],
    "sampling": {
        "family": "brdf",
        "params": {"train": 4, "validation": 2, "test": 2, "samples": 32, "pixels": 16},
        "models": ["phong"],
        "counts": [1, 8],
        "warm_steps": 3,
        "outer_steps": 2,
    },
    "figures": {"gallery": {"tasks": ["square"]}, "adaptation": {}},
}
CONFIG = "config/kills.yaml"
# What a machine and its load decide; everything else the seed decides.
MEASURED = re.compile(r"(.*_)?(s|ms|seconds|memory(_base|_peak)?_mib|gpu(_peak)?_mib|gradient_ratio|time|timing)")
JOBS = re.compile(r"-m (?:benchmarks\.harness|workflow)\.(\w+)|-m (snakemake) .*--report")
PATIENCE_S = 900  # a bound for one command


def jobs(run: subprocess.Popen) -> list[tuple[str, list[psutil.Process]]]:
    """Return what each job at work is, and its processes."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(run.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                tree = [child, *child.children(recursive=True)]
                name = JOBS.search(" ".join(child.cmdline()))
                if name:
                    found.append((name[1] or "report", tree))
    return found


def kill(run: subprocess.Popen, how: str, choose: random.Random) -> str | None:
    """Kill, and return what was running; None where there was nothing of the kind to kill."""
    at_work = jobs(run)
    names = "+".join(sorted({name for name, _ in at_work})) or "Snakemake alone"
    if how == "everything":
        os.killpg(run.pid, signal.SIGKILL)
    elif how == "Snakemake":
        run.kill()
    elif at_work:
        names, tree = choose.choice(at_work)
        for send in (psutil.Process.suspend, psutil.Process.kill):  # nobody sees another one die
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    send(process)
    else:
        return None
    return names


def frame(path: Path) -> pd.DataFrame:
    """Return a table without what is measured, its rows in an order of their own."""
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    table = table[[column for column in table if not MEASURED.fullmatch(column)]]
    for column in ("metric", "quantity", "name", "check"):
        if column in table:
            table = table[[not MEASURED.fullmatch(str(value)) for value in table[column]]]
    return table.astype(str).sort_values(list(table)).reset_index(drop=True)


def differences(one: Path, other: Path) -> list[str]:
    """Return the tables of two folders that differ apart from times, with a cell of each differing column."""
    wrong = []
    names = {path.name for folder in (one, other) for path in folder.iterdir()}
    for name in sorted(names - {CHECKSUMS}):  # which cover the times
        if not (one / name).is_file() or not (other / name).is_file():
            wrong.append(f"{name}: missing")
        elif name.endswith(".npz"):
            with np.load(one / name) as ours, np.load(other / name) as theirs:
                same = sorted(ours) == sorted(theirs) and all(np.array_equal(ours[k], theirs[k]) for k in ours)
            wrong += [] if same else [name]
        else:
            ours, theirs = frame(one / name), frame(other / name)
            if ours.shape != theirs.shape or list(ours) != list(theirs):
                wrong.append(f"{name}: {ours.shape} {theirs.shape}")
            elif not ours.equals(theirs):
                for column in ours.columns[(ours != theirs).any()]:
                    row = int((ours[column] != theirs[column]).to_numpy().argmax())
                    wrong.append(f"{name}: {column}: {ours[column][row]} | {theirs[column][row]}")
    return wrong


def leftovers(results: Path) -> list[str]:
    """Return the half-written files in a folder of results."""
    return [str(path.relative_to(results)) for path in results.rglob("*.part")]


class Campaign:
    """Rounds of one suite, killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.choose = random.Random(seed)
        self.kills: Counter[tuple[str, str]] = Counter()
        self.commands = self.rounds = 0
        self.wrong: list[str] = []
        self.project = Project(folder)
        self.project.write(SUITE, "kills")
        self.results = folder / "results" / SUITE["suite"]
        self.log = folder / "output.log"

    def start(self) -> subprocess.Popen:
        """Type the command."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", CONFIG]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=self.project.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def undisturbed(self) -> float:
        """Make the tables to compare with; return the seconds that takes."""
        begin = time.monotonic()
        if self.start().wait():
            raise SystemExit(f"the suite fails without any kill:\n{self.log.read_text()[-4000:]}")
        self.wanted = self.project.folder / "wanted"
        shutil.copytree(self.results / "tables", self.wanted)
        return time.monotonic() - begin

    def forget(self) -> None:
        """Let the suite begin anew."""
        shutil.rmtree(self.results)
        shutil.rmtree(self.project.folder / ".snakemake")

    def attempt(self, seconds: float, wanted: int) -> bool:
        """Type the command once and kill it or its jobs, `seconds` apart on average; return whether it finished."""
        begin, harmed = self.log.stat().st_size, False
        self.commands += 1
        run = self.start()
        while self.kills.total() < wanted:
            how = self.choose.choice(("everything", "everything", "Snakemake", "one job", "one job"))
            try:
                run.wait(self.choose.uniform(0, 2 * seconds))
                break
            except subprocess.TimeoutExpired:
                running = kill(run, how, self.choose)
            if running is None:
                continue
            self.kills[how, running] += 1
            print(f"{self.kills.total():4d}  {how:12s} {running}", flush=True)
            harmed = True
            if how != "one job":
                run.wait()
                return False
        code = run.wait(PATIENCE_S)
        said = self.log.read_bytes()[begin:].decode(errors="replace")
        if code and not harmed:
            self.wrong.append(f"the command did not go on by itself:\n{said[-3000:]}")
            self.forget()
        if "Traceback" in said:
            self.wrong.append(f"a traceback:\n{said[-3000:]}")
        return code == 0

    def finished(self) -> None:
        """Compare the tables of a finished round."""
        self.rounds += 1
        wrong = differences(self.results / "tables", self.wanted)
        wrong += [f"half-written: {name}" for name in leftovers(self.results)]
        print(f"      round {self.rounds} finished, {len(wrong)} differences", *wrong, sep="\n      ", flush=True)
        self.wrong += wrong
        self.forget()

    def run(self, kills: int) -> bool:
        """Kill so often, and let the last round finish; return whether all was well."""
        took = self.undisturbed()
        print(f"undisturbed: {took:.0f} s", flush=True)
        self.forget()
        while self.kills.total() < kills:
            if self.attempt(took / 8, kills):
                self.finished()
        for _ in range(2):  # a job that was killed last fails its command; the next one must do
            if self.results.exists() and self.attempt(took, 0):
                self.finished()
        if self.results.exists():
            self.wrong.append("the last round did not finish")
        self.tell()
        return not self.wrong

    def tell(self) -> None:
        """Print the table."""
        kinds = ("everything", "Snakemake", "one job")
        whats = sorted({what for _, what in self.kills})
        print(f"\n| running | {' | '.join(f'{kind} killed' for kind in kinds)} |\n|---|{'---|' * len(kinds)}")
        for what in whats:
            print(f"| {what} | {' | '.join(str(self.kills[kind, what]) for kind in kinds)} |")
        print(f"| all | {' | '.join(str(sum(n for (k, _), n in self.kills.items() if k == kind)) for kind in kinds)} |")
        print(f"\n{self.kills.total()} kills, {self.commands} times the same command, ", end="")
        print(f"{self.rounds} suites finished and compared, {len(self.wrong)} faults")
        print(*self.wrong, sep="\n")


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="agg")
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(not Campaign(Path(folder), arguments.seed).run(arguments.kills))


if __name__ == "__main__":
    main()
