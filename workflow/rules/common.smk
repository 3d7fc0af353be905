# What the rules share: the suite, and for each job its specification and the source files that it depends on.

import json
import os
import re
import shlex
import sys
from dataclasses import asdict
from functools import cache
from hashlib import sha256
from math import ceil
from pathlib import Path
from time import time

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from benchmarks.harness import search
from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT, module_of, sources
from benchmarks.harness.rooms import DIFFUSION, FAMILIES, GUIDES, LAWS, MEASUREMENTS
from workflow.lock import guard
from workflow.suite import load_suite, to_json

BASE_MIB = 1024  # what Python and the libraries take before a task is built
MINUTES_TO_START = 5
TABLES_OF_RUNS = [
    "tasks.csv",
    "gradients.csv",
    "runs.parquet",
    "curves.parquet",
    "targets.csv",
    "hits.parquet",
    "scores.csv",
    "summary.csv",
    "robustness.csv",
    "qc.csv",
    "reproduction.csv",
    "certificates.csv",
    "pictures.npz",
]
TABLES_OF_LEARNERS = [
    "models.parquet",
    "adaptation.parquet",
    "quality_at.csv",
    "speedups.csv",
    "adaptation_pictures.npz",
]
TABLES_OF_SAMPLING = ["sampling.parquet"]
TABLES_OF_DIFFUSION = [
    "diffusion.csv",
    "diffusion_choices.csv",
    "diffusion_tried.csv",
    "diffusion_reach.csv",
    "diffusion_order.csv",
]
TABLES_OF_POSTERIOR = ["posterior.csv", "posterior_choices.csv"]
TABLES_OF_RAYS = ["rays.csv", "rays_maps.parquet", "rays_descents.csv", "rays_endings.csv"]
TABLES_OF_COMPARISON = ["reference.csv", "leaderboard.csv", "duels.csv"]  # with stored results
TABLES_OF_ALL = ["labels.csv", "claims.csv", "environment.csv"]
FAILURES = "failures.csv"


def open_suite():
    here = Path.cwd()
    files = [Path(path).absolute() for path in workflow.configfiles]
    files = [(path.relative_to(here) if path.is_relative_to(here) else path).as_posix() for path in files]
    if len(files) > 1:
        raise WorkflowError(f"a suite is one config file, got {len(files)}: {', '.join(files)}")
    try:
        suite = load_suite(files[0])
    except UsageError as error:
        raise WorkflowError(str(error)) from None
    if suite.own != config:
        key = next(key for key in config if config[key] != suite.own.get(key))
        raise WorkflowError(
            f"--config {key}=…: what decides the numbers stands in the suite's file alone; "
            f"copy {files[0]}, give it another name under `suite:` and change {key!r} there"
        )
    if suite.tuned_path and not suite.tuned_path.is_file() and workflow.is_main_process:
        logger.info(
            f"{suite.tuned_path} is not there yet: the methods run with their defaults (target `tune` makes it)"
        )
    return suite


def logged(command):
    """Where a job fails, the end of its log is what the user wants to see."""
    return f"{command} > {{log:q}} 2>&1 || {{{{ code=$?; tail -n 25 {{log:q}} >&2; exit $code; }}}}"


def fingerprint_of_tuning():
    """The tables judge the grids as well, if there are some; nothing is tuned for their sake."""
    path = SUITE.tuned_path and SUITE.tuned_path.with_name("grid.csv")
    return sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""


def ours(name):
    """A file of the checkout, as seen from the working directory (--directory)."""
    return name if Path.cwd() == ROOT else str(ROOT / name)


def alternatives(labels):
    return "|".join(map(re.escape, labels)) or "none"


STARTED = time()
SUITE = open_suite()
FOLDER = SUITE.folder.as_posix()
TABLES = (
    (TABLES_OF_RUNS if SUITE.cells else [])
    + (TABLES_OF_LEARNERS if SUITE.meta_cells else [])
    + (TABLES_OF_SAMPLING if SUITE.sampling else [])
    + (TABLES_OF_DIFFUSION if SUITE.diffusion else [])
    + (TABLES_OF_POSTERIOR if SUITE.posterior else [])
    + (TABLES_OF_RAYS if SUITE.rays else [])
    + (TABLES_OF_COMPARISON if SUITE.reference else [])
    + TABLES_OF_ALL
)
CELLS = {(cell.task, cell.method): cell for cell in [*SUITE.cells, *SUITE.untuned_cells]}
SCENES = {  # label → problem and parameters
    label: [task.problem, task.params] for label, task in SUITE.tasks.items() if task.problem.startswith("rendering.")
}
TUNING = {(cell.task, cell.method): cell for cell in SUITE.tuning_cells}
LEARNERS = {(cell.family, cell.learner): cell for cell in SUITE.meta_cells}
# Where adaptations ask for more seeds than others, those beyond are trained as well, but no rule names them.
TRAININGS = min((cell.replicates for cell in SUITE.meta_cells), key=len, default=[])
TRAINED = [f"{FOLDER}/models/{{family}}/{{learner}}/replicate_{seed}.pt" for seed in TRAININGS]
META_TUNING = {(cell.family, cell.learner): cell for cell in SUITE.meta_tuning_cells}

if workflow.is_main_process:
    guard(workflow, SUITE.folder)

# Jobs find the packages from any working directory.
prefix = f"export PYTHONPATH={shlex.quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
# `.venv/bin/snakemake` works without an activated environment; in conda's environments `python` is theirs.
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    prefix += f'PATH="{Path(sys.executable).parent}:$PATH"; '
shell.prefix(prefix)


@cache
def modules(*names):
    return frozenset(map(ours, sources(*names)))


def sources_of_task(wildcards):
    problem = SUITE.tasks[wildcards.task].problem
    return sorted(modules("benchmarks.harness.calibrate") | modules(module_of("benchmarks", problem)))


def sources_of_cell(wildcards):
    cell = CELLS[wildcards.task, wildcards.method]
    runner = modules("benchmarks.harness.runner")
    return sorted(
        runner | modules(module_of("benchmarks", cell.problem)) | modules(module_of("methods", cell.algorithm))
    )


def sources_of_tuning(wildcards):
    return sorted(modules("benchmarks.harness.tune") | set(sources_of_cell(wildcards)))


def sources_of_training(wildcards):
    cell = LEARNERS[wildcards.family, wildcards.learner]
    world, learner = module_of(f"benchmarks.{FAMILIES}", cell.world), module_of("methods.meta", cell.algorithm)
    return sorted(modules("benchmarks.harness.meta_train") | modules(world) | modules(learner))


def sources_of_adaptation(wildcards):
    return sorted(modules("benchmarks.harness.adapt") | set(sources_of_training(wildcards)))


def sources_of_meta_tuning(wildcards):
    return sorted(modules("benchmarks.harness.meta_tune") | set(sources_of_training(wildcards)))


def sources_of_scenes():
    problems = {f"benchmarks.{problem}" for problem, _ in SCENES.values()}
    return sorted(modules("workflow.tables.scene_landscape", *sorted(problems)))


def sources_of_figure(wildcards):
    return sorted(modules("workflow.figures.__main__", f"workflow.figures.{wildcards.figure}"))


def sources_of_report():
    boards = [f"workflow.report.{path.stem}" for path in sorted((ROOT / "workflow/report").glob("board_*.py"))]
    shown = [path for kind in ("page/**/*.*", "*.rst") for path in (ROOT / "workflow/report").glob(kind)]
    files = [ours(path.relative_to(ROOT).as_posix()) for path in shown]
    return sorted(modules("workflow.report.__main__", *boards)) + sorted(files)


def calibration(wildcards):
    return to_json(SUITE.calibration(wildcards.task))


def cell_spec(wildcards):
    return to_json(CELLS[wildcards.task, wildcards.method])


def tuning_spec(wildcards):
    return to_json(TUNING[wildcards.task, wildcards.method])


def training_spec(wildcards):
    """How adaptation is measured decides nothing about training."""
    spec = asdict(LEARNERS[wildcards.family, wildcards.learner])
    return to_json(spec | {"steps": 1, "pictured": 0})


def adaptation_spec(wildcards):
    return to_json(LEARNERS[wildcards.family, wildcards.learner])


def meta_tuning_spec(wildcards):
    return to_json(META_TUNING[wildcards.family, wildcards.learner])


def sampling_spec(wildcards):
    return to_json(SUITE.sampling[wildcards.model])


def sources_of_diffusion(wildcards):
    spec = SUITE.diffusion[wildcards.law]
    samplers = {entry.get("algorithm", label) for label, entry in spec["samplers"].items()}
    used = [module_of(DIFFUSION, sampler) for sampler in sorted(samplers)]
    return sorted(modules("benchmarks.experiments.diffusion", module_of(f"benchmarks.{LAWS}", spec["law"]), *used))


def diffusion_spec(wildcards):
    return to_json(SUITE.diffusion[wildcards.law])


def sources_of_posterior(wildcards):
    spec = SUITE.posterior[wildcards.measured]
    guides = {entry.get("algorithm", label) for label, entry in spec["guides"].items()}
    used = [module_of(GUIDES, guide) for guide in sorted(guides)]
    measurement = module_of(f"benchmarks.{MEASUREMENTS}", spec["measurement"])
    return sorted(modules("benchmarks.experiments.posterior", measurement, *used))


def sources_of_rays(wildcards):
    return sorted(
        modules("benchmarks.experiments.rays", module_of("benchmarks", SUITE.rays[wildcards.scene]["problem"]))
    )


def rays_spec(wildcards):
    return to_json(SUITE.rays[wildcards.scene])


def posterior_spec(wildcards):
    return to_json(SUITE.posterior[wildcards.measured])


def options_of_figure(wildcards):
    return to_json(SUITE.figures[wildcards.figure])


def tables_of_figure(wildcards):
    own = {
        "plateau": ["landscape.parquet"],
        "surrogate": ["surrogate.parquet"],
        "influence": ["labels.csv", "influence.parquet"],
        "landscape": [*TABLES, "scene_landscape.parquet"],
        "worlds": [*TABLES, "worlds.npz"],
        "scenes": [*TABLES, "scene_landscape.parquet"],
    }
    return [f"{FOLDER}/tables/{name}" for name in own.get(wildcards.figure, TABLES)]


def drawing_commands():
    """One line per figure, for drawing all of them whatever else exists, and one for the report."""
    command = (
        "python -m workflow.figures {name} --tables {folder}/tables --options {options}"
        " --out {folder}/figures/{name}.pdf --record {folder}/logs/figures/{name}.json"
    )
    lines = [
        command.format(name=name, folder=shlex.quote(FOLDER), options=shlex.quote(to_json(options)))
        for name, options in SUITE.figures.items()
    ]
    names = " ".join(map(shlex.quote, SUITE.figures))
    return "\n".join([*lines, f"python -m workflow.report --results {shlex.quote(FOLDER)} --figures {names}"])


def tell_failures():
    """A run ends with a list of what failed in it; rows do not make the exit code."""
    path = Path(FOLDER, "tables", FAILURES)
    if path.is_file() and path.stat().st_mtime >= STARTED:
        import pandas as pd
        from workflow.failures import summary

        logger.info(summary(pd.read_csv(path), path))


def memory_mib(wildcards):
    return BASE_MIB + ceil(1024 * (SUITE.tasks[wildcards.task].memory_gib or 4))


def minutes(cell, runs):
    """Three times what the dearest run admitted is predicted to take, for validation and slow machines, and the start."""
    return MINUTES_TO_START + ceil(3 * runs * cell.minutes)


def minutes_of_cell(wildcards):
    cell = CELLS[wildcards.task, wildcards.method]
    return minutes(cell, len(cell.replicates))


def minutes_of_tuning(wildcards):
    cell = TUNING[wildcards.task, wildcards.method]
    return minutes(cell, ceil((search.CELLS * cell.fraction + search.FINALISTS) * len(cell.replicates)))


def memory_of_family(wildcards):
    return BASE_MIB + ceil(1024 * SUITE.config["families"][wildcards.family].get("memory_gib", 4))


def stored():
    """The tables of the results that the suite compares with."""
    names = ["tasks.csv", "scores.csv", "runs.parquet", "curves.parquet"] if SUITE.reference else []
    return [(SUITE.reference.folder / "tables" / name).as_posix() for name in names]


def of_all_learners(folder, name):
    return [f"{FOLDER}/{folder}/{family}/{learner}/{name}" for family, learner in LEARNERS]


def of_all_cells(name):
    return [f"{FOLDER}/runs/{task}/{method}/{name}" for task, method in CELLS]


def of_all_tasks(name):
    return [f"{FOLDER}/tasks/{task}/{name}" for task in dict.fromkeys(task for task, _ in CELLS)]
