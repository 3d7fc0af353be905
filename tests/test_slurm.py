"""The pipeline through a real Slurm: the same tables as on one machine, also after a job was killed.

`.ci/slurm start` makes a one-node Slurm of a bare machine; any other one that answers `sinfo` serves as well, if its
nodes share the folder of the tests (pytest's `--basetemp`).
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
PARTS = ["Snakefile", "environment.yml", "benchmarks", "methods", "workflow", "config"]
ON_SLURM = ["--workflow-profile", "workflow/profiles/slurm", "--slurm-init-seconds-before-status-checks", "3"]
HERE = ["--cores", "2"]
PATIENCE_S = 600  # a bound for queues and busy machines, no expectation

# What a machine and its load decide; everything else the seed decides.
MEASURED = [f"{part}_s" for part in ("wall", "setup", "ask", "eval", "tell")]
MEASURED += ["memory_base_mib", "memory_peak_mib", "gpu_peak_mib"]

SMALL = {
    "suite": "small",
    "seeds": 2,
    "checkpoints": 6,
    "limits": {"evaluations": 300, "minutes": 1, "memory_gib": 1},
    "tasks": {
        "bowl_10": {"problem": "analytic.quadratic", "params": {"dim": 10}},
        "square_apart": {"problem": "raster.square", "params": {"case": "apart", "size": 32}},
    },
    "methods": {"random_search": {}, "evolution_strategy": {}, "cma_es": {}},
    "grid": [
        {"tasks": ["bowl_10", "square_apart"], "methods": ["random_search", "evolution_strategy", "cma_es"]},
    ],
}
LONG = {
    "suite": "long",
    "seeds": 2,
    "limits": {"evaluations": 500_000, "minutes": 1, "memory_gib": 1},
    "tasks": {"bowl_1000": {"problem": "analytic.quadratic", "params": {"dim": 1000}}},
    "methods": {"evolution_strategy": {}},
    "grid": [{"tasks": ["bowl_1000"], "methods": ["evolution_strategy"]}],
}

pytestmark = pytest.mark.slurm


class Started:
    """A Snakemake at work on one target; what it and its jobs say goes to a file."""

    def __init__(self, folder, config, results, target, where):
        name = f"{config['suite']}_{results}"
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**config, "results": results}))
        self.folder = folder / results / config["suite"]
        self.log = folder / f"{name}.log"
        target = (self.folder / target).relative_to(folder)
        command = [sys.executable, "-m", "snakemake", *where, "--configfile", f"{name}.yaml", "--", str(target)]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "MPLBACKEND": "agg", "PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Leave nothing behind, whatever happened."""
        if self.process.poll() is None:
            self.process.terminate()  # it submits nothing more, but waits for what it has submitted
            self.cancel()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
            self.process.kill()
            self.process.wait()
        self.cancel()

    @property
    def said(self):
        return self.log.read_text()

    def finish(self):
        assert self.process.wait(PATIENCE_S) == 0, self.said[-6000:]
        return self

    def wait_for(self, path):
        give_up = time.monotonic() + PATIENCE_S
        while not path.is_file():
            assert self.process.poll() is None, f"it ended before {path.name} was there\n{self.said[-6000:]}"
            assert time.monotonic() < give_up, f"{path.name} did not come\n{self.said[-6000:]}"
            time.sleep(0.1)

    def submissions(self):
        return re.findall(r"submitted with SLURM jobid '?(\d+)", self.said)

    def queued(self):
        """Return the ids of this workflow's jobs that have not ended: all of them bear its id as their name."""
        run = re.search(r"SLURM run ID: (\S+)", self.said)
        if run is None:
            return []
        command = ["squeue", "--noheader", "--format=%A", "--name", run[1]]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    def cancel(self):
        """End this workflow's jobs, and no others; return their ids."""
        jobs = self.queued()
        if jobs:
            subprocess.run(["scancel", *jobs], check=False)  # some may have ended by now
        return jobs


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, with a Slurm to submit to."""
    try:
        answer = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no Slurm: there is no sinfo here")
    except subprocess.TimeoutExpired:
        pytest.skip("no Slurm: sinfo does not answer")
    if answer.returncode or not answer.stdout.strip():
        pytest.skip(f"no Slurm: sinfo says {(answer.stderr.strip() or 'nothing').splitlines()[0]!r}")
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def assert_same(table, other, measured):
    assert set(measured) <= set(table.columns)
    pd.testing.assert_frame_equal(table.drop(columns=measured), other.drop(columns=measured), check_exact=True)


def test_slurm_gives_the_same_tables(project):
    target = "tables/runs.parquet"
    with (
        Started(project, SMALL, "here", target, HERE) as here,
        Started(project, SMALL, "slurm", target, ON_SLURM) as slurm,
    ):
        here.finish()
        slurm.finish()
    submissions = slurm.submissions()
    assert len(submissions) == len(set(submissions)) == 4, slurm.said  # two calibrations, the cells together, tables
    assert not here.submissions()
    runs = pd.read_parquet(slurm.folder / target)
    assert len(runs) == 12
    assert set(runs["status"]) == {"finished"}
    assert_same(runs, pd.read_parquet(here.folder / target), MEASURED)
    curves = (pd.read_parquet(run.folder / "tables/curves.parquet") for run in (slurm, here))
    assert_same(*curves, ["wall_s"])


def test_a_killed_job_goes_on(project, monkeypatch):
    monkeypatch.setenv("BEYOND_GD_SAVE_SECONDS", "0.2")  # the jobs inherit it
    cell = "runs/bowl_1000/evolution_strategy"
    target = f"{cell}/runs.parquet"
    with (
        Started(project, LONG, "here", target, HERE) as here,
        Started(project, LONG, "slurm", target, ON_SLURM) as slurm,
    ):
        folder = slurm.folder / cell
        slurm.wait_for(folder / "replicate_1.state")
        finished = (folder / "replicate_0.json").stat().st_mtime_ns
        state = torch.load(folder / "replicate_1.state", weights_only=True)
        killed = slurm.cancel()
        assert killed == slurm.submissions()
        here.finish()
        slurm.finish()
    assert "Trying to restart" in slurm.said
    assert slurm.submissions()[: len(killed)] == killed
    assert len(slurm.submissions()) > len(killed)
    assert (folder / "replicate_0.json").stat().st_mtime_ns == finished
    # Seconds tell one computation from its repetition: these are the ones from before the kill.
    before = state["run"]["curve"]
    assert before[-1]["cost"] > 0
    assert json.loads((folder / "replicate_1.json").read_text())["curve"][: len(before)] == before

    runs = pd.read_parquet(slurm.folder / target)
    assert set(runs["status"]) == {"finished"}
    assert (runs["loss_final"] > 0).all()
    assert_same(runs, pd.read_parquet(here.folder / target), MEASURED)
    curves = (pd.read_parquet(run.folder / cell / "curves.parquet") for run in (slurm, here))
    assert_same(*curves, ["wall_s"])
