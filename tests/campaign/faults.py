"""Damaged files and a full disk at every write: nothing damaged is believed, nothing half is kept.

`python -m tests.campaign.faults` runs every stage of a small suite by the command that the pipeline calls, damages each
of its files in every way, or lets the disk be full at the k-th write, and runs the command again. A damaged file has to
be computed again, with the same numbers, or be refused in one line that names it; a full disk has to be one line and
exit code 2, leave no half file and lose nothing that is finished. Prints fault → outcome; ends with 1 if one is wrong.
`--small` takes one kind of damage per file and the first two writes of each stage.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import runpy
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.harness import kept
from workflow.suite import Suite, load_suite, to_json

SUITE = {
    "suite": "faults",
    "seeds": 2,
    "checkpoints": 6,
    "limits": {"evaluations": 160, "minutes": 1},
    "tasks": {"bowl": {"problem": "raster.square", "params": {"size": 16}}},
    "methods": {"es": {"algorithm": "evolution_strategy"}},
    "grid": [{"tasks": ["bowl"], "methods": ["es"]}],
    "families": {
        "brdf": {
            "family": "brdf",
            "params": {"train": 5, "validation": 2, "test": 3, "samples": 16, "pixels": 16},
            "training": {"samples": 4000},
        }
    },
    "learners": {"fomaml": {}, "finetune": {}},
    "adaptations": [{"families": ["brdf"], "learners": ["fomaml", "finetune"], "steps": 8}],
    "figures": {"ecdf": {}},
}
DIFFERS = ("wall_s", "seconds", "step_s", "train_s", "setup_s", "ask_s", "eval_s", "tell_s", "versions", "commit")


@dataclass(frozen=True)
class Stage:
    """One command of the pipeline: the files that it reads or writes and that may be damaged, its folder."""

    name: str
    module: str
    arguments: list[str]
    folder: Path
    files: list[str]  # below the results
    outputs: list[str]  # whose numbers are compared


@dataclass
class Ended:
    """How a command ended."""

    code: int
    said: str


@dataclass
class Outcomes:
    """Fault → outcome, in order."""

    rows: list[tuple[str, str, bool]] = field(default_factory=list)

    def add(self, fault: str, outcome: str, right: bool) -> None:
        self.rows.append((fault, outcome, right))

    @property
    def wrong(self) -> list[tuple[str, str, bool]]:
        return [row for row in self.rows if not row[2]]


def call(stage: Stage, before: Callable[[], None] = lambda: None) -> Ended:
    """Run a stage's command in a process of its own, after `before` there."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            try:
                sys.argv = [stage.module, *stage.arguments]
                before()
                runpy.run_module(stage.module, run_name="__main__", alter_sys=True)
            except SystemExit as end:
                os._exit(end.code if isinstance(end.code, int) else 1)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), output.read().decode(errors="replace"))


def stages(suite: Suite, config: Path) -> list[Stage]:
    """Return the commands of the suite, in the order in which they need each other."""
    root = suite.folder
    found = []
    (task,) = suite.tasks
    spec = to_json(suite.calibration(task))
    made = ["task.json", "images.npz"]
    at = [f"tasks/{task}/{name}" for name in made]
    found.append(
        Stage("calibrate", "benchmarks.harness.calibrate", ["--spec", spec, "--out", str(root / "tasks" / task)],
              root / "tasks" / task, [], [])
    )  # fmt: skip
    for cell in suite.cells:
        below = f"runs/{cell.task}/{cell.method}"
        found.append(
            Stage("cell", "benchmarks.harness.cell", ["--spec", to_json(cell), "--out", str(root / below)],
                  root / below,
                  [f"{below}/replicate_{n}.{kind}" for n in range(2) for kind in ("json", "npz")],
                  [f"{below}/{name}" for name in ("runs.parquet", "curves.parquet", "images.npz")])
        )  # fmt: skip
        at += found[-1].outputs
    for cell in suite.meta_cells:
        models, below = f"models/{cell.family}/{cell.learner}", f"adaptation/{cell.family}/{cell.learner}"
        trained = [f"{models}/replicate_{n}.pt" for n in range(2)]
        found.append(
            Stage("train", "benchmarks.harness.meta_train", ["--spec", to_json(cell), "--out", str(root / models)],
                  root / models, [*trained, f"{models}/replicate_1.kept", f"{models}/cards.json"], trained)
        )  # fmt: skip
        arguments = ["--spec", to_json(cell), "--models", str(root / models), "--out", str(root / below)]
        outputs = [f"{below}/{name}" for name in ("models.parquet", "adaptation.parquet", "pictures.npz")]
        kept_files = [f"{below}/replicate_{n}.{kind}" for n in range(2) for kind in ("json", "npz")]
        found.append(
            Stage("adapt", "benchmarks.harness.adapt", arguments, root / below, [*trained, *kept_files], outputs)
        )
        at += outputs
    tables = ["--config", str(config), "--results", str(root)]
    names = ["scores.csv", "summary.csv", "models.parquet", "adaptation.parquet", "quality_at.csv", "pictures.npz"]
    written = [f"tables/{name}" for name in names]
    found.append(Stage("tables", "workflow.tables", tables, root / "tables", at, written))
    picture = root / "figures" / "ecdf.pdf"
    arguments = ["ecdf", "--tables", str(root / "tables"), "--out", str(picture)]
    shown = ["runs.parquet", "curves.parquet", "tasks.csv", "scores.csv"]
    found.append(
        Stage("figure", "workflow.figures", arguments, root / "figures", [f"tables/{name}" for name in shown],
              ["figures/ecdf.png"])
    )  # fmt: skip
    told = [f"tables/{name}" for name in ("claims.csv", "scores.csv", "models.parquet")]
    found.append(
        Stage(
            "report",
            "workflow.report",
            ["--results", str(root), "--out", str(root / "report" / "report.html")],
            root / "report",
            told,
            ["report/report.html"],
        )
    )
    return found


# Kinds of damage


def _flipped(content: bytes, at: float) -> bytes:
    place = min(len(content) - 1, int(at * len(content)))
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def _other(path: Path) -> bytes:
    """Return a valid file of the same format with another structure."""
    buffer = io.BytesIO()
    match path.suffix:
        case ".json":
            return b"[1, 2, 3]"
        case ".npz":
            np.savez(buffer, other=np.zeros((2, 2)))
        case ".parquet":
            pd.DataFrame({"other": [1.0]}).to_parquet(buffer)
        case ".csv":
            return b"other\n1\n"
        case _:
            torch.save([torch.zeros(3)], buffer)
    return buffer.getvalue()


def _lacking(path: Path) -> bytes:
    """Return a file sealed by us that lacks what belongs there, or has another shape."""
    other = path.with_name(f"other{path.suffix}")
    match path.suffix:
        case ".json":
            kept.write_json(other, {"fingerprint": "none"})
        case ".npz":
            kept.write_pictures(other, {"picture": np.zeros(3, np.uint8)})
        case ".parquet":
            kept.write_table(other, pd.DataFrame({"other": [1.0]}))
        case ".csv":
            return path.read_bytes().split(b"\n", 1)[1]
        case _:
            kept.write_state(other, {"card": [], "state": torch.zeros(3)})
    content = other.read_bytes()
    other.unlink()
    return content


DAMAGES: dict[str, Callable[[Path, bytes], bytes | None]] = {
    "empty": lambda _, __: b"",
    **{f"cut at {tenth}/10": lambda _, whole, t=tenth: whole[: t * len(whole) // 10] for tenth in range(1, 10)},
    "last byte missing": lambda _, whole: whole[:-1],
    **{f"one bit at {share:.0%}": lambda _, whole, s=share: _flipped(whole, s) for share in (0.03, 0.3, 0.6, 0.97)},
    "other structure": lambda path, _: _other(path),
    "sealed, lacking": lambda path, _: _lacking(path),
    "no file of this kind": lambda _, __: b"\0\xff" * 50,
    "missing": lambda _, __: None,
}
SMALL = ("cut at 5/10", "one bit at 60%", "other structure", "missing")


# What is compared


def numbers(path: Path) -> Any:
    """Return what a file tells, without times."""
    match path.suffix:
        case ".parquet" | ".csv":
            frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
            timed = [name for name in frame if name in DIFFERS or "mib" in name or "second" in name or "wall" in name]
            frame = frame.drop(columns=timed)
            if "metric" in frame:
                frame = frame[~frame["metric"].astype(str).str.contains("second")]
            return frame.to_json(orient="split", double_precision=15)
        case ".npz":
            with np.load(path) as file:
                return {key: file[key].tolist() for key in file.files}
        case ".pt":
            learned = torch.load(path, weights_only=True)["state"]["learned"]
            return {key: value.tolist() for key, value in learned.items()}
        case _:
            return path.read_bytes()


def state_of(root: Path, outputs: list[str]) -> dict[str, Any]:
    """Return output → what it tells; for comparison."""
    return {name: numbers(root / name) for name in outputs}


def said_on(root: Path) -> list[bytes]:
    """Return the panels of the report that say what is wrong with a table."""
    found = [
        panel for page in (root / "report").glob("*.html") for panel in page.read_bytes().split(b'class="fault"')[1:]
    ]
    words = (b" is damaged", b" is missing", b"cannot be read", b" has no column")
    return [text.partition(b"</p>")[0] for text in found if any(word in text.partition(b"</p>")[0] for word in words)]


def one_line(ended: Ended, *words: str) -> bool:
    """Tell whether a command was refused as it should be: exit code 2, one line `error: …` with these words in it."""
    lines = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    quiet = "Traceback" not in ended.said and "weights_only" not in ended.said
    return ended.code == 2 and quiet and len(lines) == 1 and all(word in lines[0] for word in words)


def leftovers(root: Path) -> list[Path]:
    """Return files that are not whole."""
    return [path for path in root.rglob("*.part")]


class Campaign:
    """A suite that was run undamaged, and copies of it that are not."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.live, self.whole = home / "results", home / "whole"
        config = home / "faults.yaml"
        config.write_text(yaml.safe_dump({**SUITE, "results": str(self.live)}), encoding="utf-8")
        suite = load_suite(config)
        self.root = suite.folder
        self.stages = stages(suite, config)
        for stage in self.stages:
            ended = call(stage)
            if ended.code:
                raise RuntimeError(f"{stage.name} fails undamaged:\n{ended.said}")
        shutil.copytree(self.live, self.whole)
        self.outcomes = Outcomes()

    def restore(self) -> None:
        """Make the results undamaged again, to the last byte."""
        shutil.rmtree(self.live)
        shutil.copytree(self.whole, self.live)

    def judge(self, stage: Stage, ended: Ended, expected: dict[str, Any], file: str, fault: str) -> None:
        """Note whether a command dealt with a damaged file as it should."""
        if ended.code == 0 and "Traceback" not in ended.said and "weights_only" not in ended.said:
            found = state_of(self.root, stage.outputs)
            told = stage.name == "report" and any(Path(file).stem.encode() in page for page in said_on(self.root))
            if found == expected:
                self.outcomes.add(fault, "computed, same numbers", True)
            else:
                self.outcomes.add(fault, "named on its page" if told else "OTHER NUMBERS", told)
        elif one_line(ended, Path(file).name):
            self.outcomes.add(fault, "refused by name", True)
        else:
            self.outcomes.add(fault, f"exit {ended.code}: {ended.said.strip()[-300:]}", False)

    def damage(self, small: bool) -> None:
        """Damage every file of every stage in every way."""
        seen: set[tuple[str, str]] = set()
        for stage in self.stages:
            expected = state_of(self.root, stage.outputs)
            for file in stage.files:
                kind = (stage.name, Path(file).name.replace("_1", "_0"))
                if kind in seen:
                    continue
                seen.add(kind)
                path = self.root / file
                for name, spoil in DAMAGES.items():
                    if small and name not in SMALL:
                        continue
                    content = spoil(path, path.read_bytes())
                    path.unlink() if content is None else path.write_bytes(content)
                    self.judge(stage, call(stage), expected, file, f"{stage.name}: {file}, {name}")
                    self.restore()
                path.unlink()
                path.mkdir()
                self.judge(stage, call(stage), expected, file, f"{stage.name}: {file}, a folder in its place")
                self.restore()

    def full_disk(self, small: bool) -> None:
        """Let the disk be full at the first, second … write of every stage, then give it room again."""
        seen = set()
        for stage in self.stages:
            if stage.name in seen:
                continue
            seen.add(stage.name)
            expected = state_of(self.root, stage.outputs)
            for write in range(1, 3 if small else 99):
                shutil.rmtree(stage.folder)
                ended = call(stage, lambda write=write: _full_at(write, self.home))
                fault = f"{stage.name}: disk full at write {write}"
                if ended.code == 0:
                    if write == 1:
                        self.outcomes.add(fault, "no write failed", False)
                    self.restore()
                    break
                finished = {path: path.read_bytes() for path in self.live.rglob("replicate_*.json")}
                refused, left = one_line(ended, "No space left"), leftovers(self.live)
                after = call(stage)
                same = after.code == 0 and state_of(self.root, stage.outputs) == expected
                lost = [path for path, content in finished.items() if path.read_bytes() != content]
                right = refused and not left and same and not lost
                told = f"exit {ended.code}, left {left}, after {after.code}, same {same}: {ended.said.strip()[-300:]}"
                self.outcomes.add(fault, "one line, then the same numbers" if right else told, right)
                self.restore()


# Jobs watch children that do the work: this is what every Python started below runs first. The system says that a disk
# is full at `fsync` at the latest, and every file of ours passes there once.
INJECTED = """
import errno, itertools, os

sync, count = os.fsync, itertools.count(1)

def full(number):
    if next(count) >= int(os.environ["FULL_AT"]):
        raise OSError(errno.ENOSPC, "No space left on device")
    sync(number)

os.fsync = full
"""


def _full_at(write: int, home: Path) -> None:
    """Make the disk full from the given write on, of this process and each that it starts."""
    (home / "injected").mkdir(exist_ok=True)
    (home / "injected" / "sitecustomize.py").write_text(INJECTED, encoding="utf-8")
    paths = [str(home / "injected"), *filter(None, [os.environ.get("PYTHONPATH")])]
    # Unfinished work is saved at every chance, so that those writes fail as well.
    os.environ.update(PYTHONPATH=os.pathsep.join(paths), FULL_AT=str(write), BEYOND_GD_SAVE_SECONDS="0")
    exec(INJECTED, {})


def run(home: Path, small: bool, only: str | None = None) -> Outcomes:
    """Run the campaign, or one half of it, in an empty folder."""
    campaign = Campaign(home)
    if only != "disk":
        campaign.damage(small)
    if only != "damage":
        campaign.full_disk(small)
    return campaign.outcomes


def table(outcomes: Outcomes) -> Iterator[str]:
    """Yield the lines of a table: stage → outcomes counted; then what is wrong."""
    counts: dict[str, Counter[str]] = {}
    for fault, outcome, right in outcomes.rows:
        stage, what = fault.split(": ", 1)
        kind = "full disk" if what.startswith("disk full") else "damage"
        counts.setdefault(f"{stage}, {kind}", Counter())[outcome if right else "WRONG"] += 1
    for kind, counted in counts.items():
        yield f"{kind:<22} " + ", ".join(f"{number} × {outcome}" for outcome, number in counted.items())
    for fault, outcome, _ in outcomes.wrong:
        yield f"WRONG {fault}: {outcome}"
    yield f"{len(outcomes.rows)} faults, {len(outcomes.wrong)} wrong"


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.faults", description=__doc__)
    parser.add_argument("--small", action="store_true", help="minutes instead of many")
    parser.add_argument("--only", choices=("damage", "disk"), help="one half of it")
    parser.add_argument("--json", type=Path, help="file for every fault and its outcome")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        outcomes = run(Path(home), arguments.small, arguments.only)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcomes.rows, indent=1), encoding="utf-8")
    print("\n".join(table(outcomes)))
    sys.exit(1 if outcomes.wrong else 0)


if __name__ == "__main__":
    main()
