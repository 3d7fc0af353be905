"""The pipeline end to end, with a real Snakemake in a copy of the project: what is redone, and what is left alone."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.cli import parse_args

from tests.project import MICRO, ROOT, Project

# One process makes the project that they all share.
pytestmark = pytest.mark.xdist_group("workflow")

README = ROOT / "README.md"
NOTHING = "Nothing to be done"
CELLS = {(task, method) for task in MICRO["tasks"] for method in MICRO["methods"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = Project(tmp_path_factory.mktemp("project"))
    copy.first_output = copy.snakemake()
    return copy


def test_one_command_makes_everything(project):
    made = {str(path.relative_to(project.results)) for path in project.results.rglob("*") if path.is_file()}
    for name in ("tables/scores.csv", "tables/qc.csv", "figures/gallery.pdf", "figures/gallery.png", "report.html"):
        assert name in made
    for task, method in CELLS:
        assert f"runs/{task}/{method}/runs.parquet" in made
    assert not (project.results.parent / "desk").exists()
    assert "Missing" not in project.first_output.partition("Job stats")[0]


def test_the_report_is_one_file_that_holds_all(project):
    text = (project.results / "report.html").read_text()
    for words in ("figure-gallery", "figure-overview", "table-scores", "table-qc", 'id="hardware"', 'id="claims"'):
        assert words in text
    assert "Start, what each method shows" in text
    assert "Everything that the suite asks for ran to its end." in text
    sources = re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](https?:[^"']+)""", text)
    assert sources == []


def test_a_second_run_does_nothing(project):
    assert NOTHING in project.snakemake("all")
    assert NOTHING in project.snakemake("--dry-run", "all", "tables", "report")


def test_an_older_date_alone_changes_nothing(project):
    (project.folder / "methods" / "evolution_strategy.py").touch()
    (project.folder / "benchmarks" / "raster" / "square.py").touch()
    assert project.planned("all") <= {("figures", None, None)}


def test_editing_a_method_reruns_its_cells_only(project):
    with project.changed("methods/evolution_strategy.py", lambda text: text + "\n# another thought\n"):
        jobs = project.planned("all")
    assert {job for job in jobs if job[1]} == {("run", task, "es") for task in MICRO["tasks"]}
    assert ("tables", None, None) in jobs


def test_editing_a_task_reruns_its_cells_only(project):
    with project.changed("benchmarks/analytic/quadratic.py", lambda text: text + "\n# another thought\n"):
        jobs = {job for job in project.planned("all") if job[1]}
    assert jobs == {("calibrate", "bowl", None), *(("run", "bowl", method) for method in MICRO["methods"])}


@pytest.mark.slow
def test_another_seed_reuses_the_finished_ones(project):
    kept = project.results / "runs" / "bowl" / "es" / "replicate_0.json"
    before = kept.stat().st_mtime_ns
    with project.changed("config/micro.yaml", lambda text: text.replace("seeds: 2", "seeds: 3", 1)):
        assert "seeds: 3" in (project.folder / "config" / "micro.yaml").read_text()
        project.snakemake("--", "results/micro/runs/bowl/es/runs.parquet")
    assert kept.with_name("replicate_2.json").is_file()
    assert kept.stat().st_mtime_ns == before
    project.snakemake("all")


def test_an_unfinished_cell_goes_on_where_it_stopped(project):
    folder = project.results / "runs" / "square" / "es"
    before = (folder / "replicate_0.json").stat().st_mtime_ns
    (folder / "runs.parquet").unlink()
    (folder / "replicate_1.json").write_text('{"fingerprint": "cut of')
    output = project.snakemake("--", "results/micro/runs/square/es/runs.parquet")
    assert "1 of 1 steps" in output
    assert (folder / "replicate_0.json").stat().st_mtime_ns == before
    assert "damaged" in (project.results / "logs" / "run" / "square" / "es.log").read_text()
    project.snakemake("all")


def test_figures_from_stored_tables_alone(project, tmp_path):
    checkout = Project(tmp_path)
    for part in ("tables", "figures"):
        shutil.copytree(project.results / part, checkout.results / part)
    picture = checkout.results / "figures" / "gallery.png"
    stored = picture.read_bytes()
    picture.write_bytes(b"")
    checkout.snakemake("redraw")
    assert picture.read_bytes() == stored
    assert not (checkout.results / "runs").exists()


def test_a_killed_job_does_not_keep_the_others_from_running(project):
    killed = (ROOT / "methods" / "random_search.py").read_text().replace("def ask(self)", "def ask_nobody(self)")
    killed += "\n    def ask(self) -> Tensor:\n        import os, signal\n\n        print('on its way', flush=True)"
    killed += "\n        os.kill(os.getppid(), signal.SIGKILL)\n        os._exit(1)\n"
    others = [f"other_{number}" for number in range(3)]
    config = {
        **MICRO,
        "suite": "other",
        "methods": {"killed": {}, **{name: {"algorithm": "random_search"} for name in others}},
        "grid": [{"tasks": ["bowl"], "methods": ["killed", *others]}],
        "figures": {},
    }
    project.write(config, "other")
    cells = [f"results/other/runs/bowl/{name}/runs.parquet" for name in ("killed", *others)]
    with project.changed("methods/killed.py", killed):
        output = project.snakemake("--cores", "1", "--", *cells, config="config/other.yaml", ok=False)
    assert "on its way" in output
    assert [(project.folder / cell).is_file() for cell in cells] == [False, True, True, True]


def documented():
    """Return every documented command that starts Snakemake, without what stands before it."""
    text = "\n".join(
        path.read_text() for path in (README, ROOT / "docs" / "commands.md", ROOT / "docs" / "findings.md")
    )
    spans = [*re.findall(r"`(snakemake [^`…]*)`", text), *re.findall(r"^.*&& (snakemake .*)$", text, re.MULTILINE)]
    return [shlex.split(span)[1:] for span in spans]


@pytest.mark.parametrize("command", documented(), ids=" ".join)
def test_a_profile_is_active_from_every_documented_command(command, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    settings = parse_args(command)[1]
    capsys.readouterr()
    assert settings.keep_going
    assert settings.rerun_incomplete
    assert settings.show_failed_logs
    assert settings.cores or settings.executor != "local"
    if "slurm" in str(settings.workflow_profile):
        assert (settings.executor, settings.retries) == ("slurm", 2)


@pytest.mark.parametrize(
    ("command", "setting", "value"),
    [
        ("--cores 1", "cores", 1),
        ("-c1", "cores", 1),
        ("--cores all", "cores", len(os.sched_getaffinity(0))),
        ("-j1", "jobs", 1),
        ("-j1", "cores", None),  # Snakemake then takes the number of jobs
        ("--workflow-profile gpu -c1", "cores", 1),
        ("--workflow-profile workflow/profiles/gpu", "retries", 1),
        ("--workflow-profile slurm", "executor", "slurm"),
        ("--workflow-profile workflow/profiles/slurm --executor local", "executor", "local"),
        ("--workflow-profile workflow/profiles/slurm --retries 5", "retries", 5),
        ("--workflow-profile generic", "executor", "cluster-generic"),
        ("--workflow-profile none", "keep_going", False),
    ],
)
def test_the_command_line_wins_over_profiles(command, setting, value, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    settings = parse_args(command.split())[1]
    capsys.readouterr()
    assert getattr(settings, setting) == value


@pytest.mark.slow
def test_tuning_changes_what_it_tuned_and_nothing_else(project):
    project.snakemake("tune")
    best = project.results / "tuning" / "best.csv"
    header, *rows = best.read_text().splitlines()
    assert header == "task,method,parameter,value"
    on_a_plateau = {("square", "es")}  # no cell of its grid leaves it: it keeps its defaults
    assert {tuple(row.split(",")[:2]) for row in rows} == CELLS - on_a_plateau
    assert NOTHING in project.snakemake("tune")
    best.write_text("\n".join([header, *(row for row in rows if row.startswith("bowl,es,"))]) + "\n")
    jobs = {job for job in project.planned("all") if job[0] == "run"}
    shutil.rmtree(best.parent)
    assert jobs == {("run", "bowl", "es")}


def test_suites_do_not_leak_into_each_other(project):
    with project.changed("config/desk.yaml", yaml.safe_dump({**MICRO, "suite": "desk", "tasks": {"wrong": {}}})):
        assert project.planned("all") <= {("figures", None, None)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "seeds=5"], ["--config seeds", "config/micro.yaml"]),
        (["config/other.yaml"], ["a suite is one config file"]),
    ],
)
def test_settings_come_from_one_file(project, arguments, words):
    project.write(MICRO, "other")
    if arguments[0].startswith("config"):
        output = project.snakemake("--dry-run", "--configfile", "config/micro.yaml", *arguments, ok=False)
    else:
        output = project.snakemake("--dry-run", *arguments, ok=False)
    assert "Traceback" not in output
    for word in words:
        assert word in output


def test_a_wrong_config_is_one_message(project):
    project.write({**MICRO, "methods": {"random_search": {}, "es": {"algorithm": "evolution_stratgy"}}}, "wrong")
    output = project.snakemake("--dry-run", config="config/wrong.yaml", ok=False)
    assert (
        "config/wrong.yaml: methods.es: unknown method 'evolution_stratgy'; did you mean 'evolution_strategy'?"
        in output
    )
    assert "Traceback" not in output
    assert not (project.folder / "results" / "wrong").exists()


def test_results_that_cannot_be_written(project):
    (project.folder / "occupied").write_text("a file, no folder")
    project.write({**MICRO, "results": "occupied"}, "unwritable")
    output = project.snakemake(config="config/unwritable.yaml", ok=False)
    assert "occupied" in output


@pytest.mark.parametrize("arguments", [[], ["--configfile", "config/smoke.yaml"]], ids=["default", "smoke"])
def test_lint(arguments):
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_snakefmt():
    command = [str(Path(sys.executable).with_name("snakefmt")), "--check", "Snakefile", "workflow/rules"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_run_ends_with_a_list_of_what_failed_and_rows_do_not_make_the_exit_code(project):
    pictures = {"algorithm": "prdpt", "params": {"objective": "picture", "pairs": 2}}
    config = {
        **{key: value for key, value in MICRO.items() if key not in ("tuned", "tuning")},
        "suite": "listed",
        "seeds": 1,
        "tasks": {"bowl": MICRO["tasks"]["bowl"]},
        "methods": {"random_search": {}, "pictures": pictures},
        "grid": [{"tasks": ["bowl"], "methods": ["random_search", "pictures"]}],
        "figures": {"overview": {}, "gallery": {}},  # no task has a picture
    }
    project.write(config, "listed")
    said = project.snakemake(config="config/listed.yaml")
    assert "2 of the suite's parts did not run to their end" in said
    assert "1 × unsupported (bowl/pictures)" in said
    assert "1 × missing (gallery)" in said
    results = project.results.with_name("listed")
    lines = (results / "tables" / "failures.csv").read_text().splitlines()
    assert len(lines) == 3
    assert (results / "figures" / "gallery.png").stat().st_size > 1000
    text = (results / "report.html").read_text()
    assert "The figure “gallery” could not be drawn (missing)" in text
    assert "bowl/pictures" in text.partition('id="failures"')[2].partition("</section>")[0]
    assert "did not run" not in project.snakemake(config="config/listed.yaml")  # nothing was to be done
