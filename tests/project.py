"""A copy of the project with a small suite, in which a test may run, edit, kill and break things."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PARTS = ["Snakefile", "environment.yml", "profiles", "benchmarks", "methods", "workflow"]

MICRO = {
    "suite": "micro",
    "seeds": 2,
    "checkpoints": 6,
    "limits": {"evaluations": 64, "minutes": 1},
    "tuned": "results/micro/tuning/best.csv",
    "tuning": {"seeds": 1, "fraction": 0.5},
    "tasks": {
        "square": {"problem": "raster.square", "params": {"size": 16}},
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 3}},
    },
    "methods": {"random_search": {}, "es": {"algorithm": "evolution_strategy"}},
    "grid": [{"tasks": ["square", "bowl"], "methods": ["random_search", "es"]}],
    "figures": {"overview": {}, "gallery": {"tasks": ["square"]}},
}


class Project:
    """A copy of the project in which one may edit, run and break things."""

    def __init__(self, folder):
        self.folder = folder
        for part in PARTS:
            if (ROOT / part).is_symlink():
                (folder / part).symlink_to((ROOT / part).readlink())
            elif (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder / part)
        (folder / "config").mkdir()
        self.write(MICRO)

    @property
    def results(self):
        return self.folder / "results" / "micro"

    def write(self, config, name="micro"):
        (self.folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(config))

    def snakemake(self, *arguments, config="config/micro.yaml", ok=True):
        run = self.start(*arguments, config=config)
        output = run.communicate()[0]
        assert (run.returncode == 0) == ok, output[-6000:]
        return output

    def start(self, *arguments, config="config/micro.yaml", cwd=None):
        """Type the command and return while it runs."""
        cores = [] if "--cores" in arguments else ["--cores", "2"]
        command = [sys.executable, "-m", "snakemake", "--configfile", config, *cores, *arguments]
        environment = {**os.environ, "MPLBACKEND": "agg"}
        return subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def planned(self, *arguments):
        """Return (rule, task, method) of every job that a dry run lists."""
        jobs = set()
        for block in self.snakemake("--dry-run", *arguments).split("\n["):
            rule = re.search(r"^(?:local)?rule (\w+):", block, re.MULTILINE)
            if rule:
                found = dict(re.findall(r"(task|method)=(\w+)", block.partition("wildcards:")[2].partition("\n")[0]))
                jobs.add((rule[1], found.get("task"), found.get("method")))
        return jobs

    @contextlib.contextmanager
    def changed(self, name, content):
        path = self.folder / name
        before = path.read_text() if path.exists() else None
        path.write_text(content(before) if callable(content) else content)
        try:
            yield path
        finally:
            path.unlink() if before is None else path.write_text(before)
