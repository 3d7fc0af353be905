"""A run that was killed goes on with the same command; two at once do not disturb each other; any folder will do."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
from snakemake.exceptions import WorkflowError

from tests.project import MICRO, ROOT, Project
from workflow import lock

PATIENCE_S = 300  # a bound for busy machines, no expectation
ASK = "def ask(self) -> Tensor:\n"
WAITING = f"""{ASK}        import pathlib, time

        print("waits", flush=True)
        while not pathlib.Path("go").exists():
            time.sleep(0.05)
"""
SUITE = {
    **MICRO,
    "methods": {"waiting": {}, "random_search": {}},
    "grid": [{"tasks": ["bowl"], "methods": ["waiting", "random_search"]}],
    "figures": {},
}
TARGETS = ["--", *(f"results/micro/runs/bowl/{method}/runs.parquet" for method in SUITE["methods"])]
LOG = "results/micro/logs/run/bowl/waiting.log"

pytestmark = pytest.mark.xdist_group("interrupted")


@pytest.fixture
def project(tmp_path):
    """A suite with a cell that waits for the file `go`."""
    project = Project(tmp_path)
    source = (ROOT / "methods" / "random_search.py").read_text().replace(ASK, WAITING)
    (tmp_path / "methods" / "waiting.py").write_text(source)
    project.write(SUITE)
    project.write({**SUITE, "suite": "second"}, "second")
    yield project
    (tmp_path / "go").touch()


def until(condition):
    """Wait for a condition, but not for ever."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def started(project, *arguments, log=LOG, **where):
    """Start Snakemake and return when the waiting cell is at work."""
    run = project.start(*arguments, **where)
    path = project.folder / log
    until(lambda: run.poll() is not None or (path.is_file() and "waits" in path.read_text()))
    assert run.poll() is None, run.communicate()[0]
    return run


def living(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def kill_all(run):
    os.killpg(run.pid, signal.SIGKILL)


def kill_snakemake(run):
    run.kill()


def kill_workers(run):
    for child in psutil.Process(run.pid).children(recursive=True):
        child.kill()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill_all, kill_snakemake])
def test_the_same_command_goes_on_after_a_kill(project, kill):
    run = started(project, *TARGETS)
    workers = psutil.Process(run.pid).children(recursive=True)
    kill(run)
    run.wait()
    run.stdout.close()
    until(lambda: kill is kill_snakemake or not living(workers))
    alive = living(workers)
    assert bool(alive) == (kill is kill_snakemake)
    (project.folder / "go").touch() if not alive else None
    again = project.start(*TARGETS)
    psutil.wait_procs(alive, PATIENCE_S)  # they wait for `go`: only the new run can have ended them
    (project.folder / "go").touch()
    output = again.communicate()[0]
    assert again.returncode == 0, output
    assert f"Going on after process {run.pid} on {socket.gethostname()}" in output
    assert bool(re.search(r"ended [1-9]\d* processes", output)) == bool(alive), output
    rows = pd.concat(pd.read_parquet(project.folder / target) for target in TARGETS[1:])
    assert set(rows["status"]) == {"finished"}
    assert not list(project.results.rglob("*.part"))
    assert "Nothing to be done" in project.snakemake(*TARGETS)


@pytest.mark.slow
def test_killed_workers_do_not_stop_what_else_there_is(project):
    run = started(project, "--cores", "1", *TARGETS)
    kill_workers(run)
    (project.folder / "go").touch()
    run.communicate()
    assert (project.folder / TARGETS[2]).is_file()
    project.snakemake(*TARGETS)
    assert (project.folder / TARGETS[1]).is_file()


@pytest.mark.slow
def test_a_living_run_is_named(project):
    run = started(project, *TARGETS)
    records = project.folder / ".snakemake" / "runs"
    before = [path.read_bytes() for path in records.iterdir()]
    output = project.snakemake(*TARGETS, ok=False)
    assert f"results/micro is being made by process {run.pid} on {socket.gethostname()} since 20" in output
    assert "--configfile config/micro.yaml" in output
    assert f"kill {run.pid}" in output
    assert "Traceback" not in output
    looked = project.snakemake("--dry-run", *TARGETS)
    assert f"results/micro is being made by process {run.pid}" in looked
    assert "Error" not in looked
    assert [path.read_bytes() for path in records.iterdir()] == before
    (project.folder / "go").touch()
    output = run.communicate()[0]
    assert run.returncode == 0, output


@pytest.mark.slow
def test_two_suites_at_once_in_one_folder(project):
    run = started(project, *TARGETS)
    (project.folder / "config" / "second.yaml").write_text(
        (project.folder / "config" / "second.yaml").read_text().replace("waiting: {}", "waiting: {algorithm: adam}")
    )
    project.snakemake("--", "results/second/runs/bowl/random_search/runs.parquet", config="config/second.yaml")
    refused = project.snakemake(*TARGETS, ok=False)  # the end of the other one has not opened the first one's lock
    assert f"process {run.pid}" in refused
    (project.folder / "go").touch()
    output = run.communicate()[0]
    assert run.returncode == 0, output


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--directory", "--snakefile"])
def test_from_and_into_any_folder(project, way, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("else where")
    checkout = project.folder
    (checkout / "config" / "micro.yaml").rename(elsewhere / "mine.yaml")
    (elsewhere / "go").touch()
    config = os.path.relpath(elsewhere / "mine.yaml", checkout) if way == "--directory" else "mine.yaml"
    arguments = (
        ["--directory", str(elsewhere)]
        if way == "--directory"
        else ["-s", os.path.relpath(checkout, elsewhere) + "/Snakefile"]
    )
    cwd = checkout if way == "--directory" else elsewhere
    before = {path for path in checkout.rglob("*") if "__pycache__" not in path.parts}
    run = project.start(*arguments, config=config, cwd=cwd)
    output = run.communicate()[0]
    assert run.returncode == 0, output
    assert "profiles/default" in output
    assert (elsewhere / "results/micro/report.html").is_file()
    assert {path for path in checkout.rglob("*") if "__pycache__" not in path.parts} == before
    again = project.start(*arguments, config=config, cwd=cwd)
    assert "Nothing to be done" in again.communicate()[0]
    with project.changed("methods/waiting.py", lambda text: text + "\n# another thought\n"):
        planned = project.start("--dry-run", *arguments, config=config, cwd=cwd).communicate()[0]
    assert "method=waiting" in planned
    assert "method=random_search" not in planned


def test_tuned_parameters_of_the_checkout_are_used_elsewhere(project):
    best = project.results / "tuning" / "best.csv"
    best.parent.mkdir(parents=True)
    best.write_text("task,method,parameter,value\nbowl,random_search,sigma,0.125\n")
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    output = project.snakemake("--directory", "elsewhere", "--dry-run", "--printshellcmds", *TARGETS)
    assert '"sigma": 0.125' in output
    assert "is not there yet" not in output


FACTS = {
    "host": socket.gethostname(),
    "boot": lock.boot(),
    "pid": 1,
    "since": "2020-02-02 02:02:02",
    "command": "snakemake --cores all",
    "local": True,
    "mark": "nobody's",
}


@pytest.fixture
def held(tmp_path):
    path = tmp_path / "lock"

    def take(content):
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        file = files.enter_context(path.open("a+"))
        assert lock.acquire(file, ROOT / "results")
        lock.take_over(file, ROOT / "results")
        return file

    with contextlib.ExitStack() as files:
        yield take


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", FACTS, {**FACTS, "boot": "before the power cut"}, {**FACTS, "host": "a container, now gone"}],
    ids=["clean", "cut", "list", "empty", "killed", "reboot", "container"],
)
def test_a_lock_that_nobody_holds_is_taken(held, content):
    file = held(content)
    lock.write(file, True)
    assert lock.read(file)["pid"] == os.getpid()


def test_a_lock_of_another_machine_is_refused_with_the_way_out(held, tmp_path):
    with pytest.raises(WorkflowError) as caught:
        held({**FACTS, "host": "elsewhere", "boot": "another"})
    message = str(caught.value)
    for words in ("process 1 on elsewhere since 2020-02-02", "snakemake --cores all", "delete", "lock"):
        assert words in message


def test_a_lock_ends_with_its_holder(tmp_path):
    path = tmp_path / "lock"
    path.write_text(json.dumps(FACTS))
    program = (
        "import fcntl, sys, time\nfile = open(sys.argv[1], 'a+')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print(flush=True)\ntime.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert lock.living(path) == FACTS
    with path.open("a+") as file, pytest.raises(WorkflowError, match="process 1 on .* since 2020"):
        lock.acquire(file, ROOT)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert lock.living(path) == {}
    with path.open("a+") as file:
        assert lock.acquire(file, ROOT)


def test_a_file_system_without_locks(monkeypatch, tmp_path):
    def flock(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "lock").open("a+") as file:
        assert not lock.acquire(file, ROOT)
