# What the rules share: the suite, its jobs, and how a command is run.

import json
import re
import shlex
import sys
from pathlib import Path
from time import time

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from benchmarks.contract.errors import UsageError
from benchmarks.contract.reading import ROOT
from workflow.jobs import BASE_MIB, Jobs, ours
from workflow.lock import guard
from workflow.suite import load_suite, to_json

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


def alternatives(labels):
    return "|".join(map(re.escape, labels)) or "none"


def tell_failures():
    """A run ends with a list of what failed in it; rows do not make the exit code."""
    path = Path(FOLDER, "tables", FAILURES)
    if path.is_file() and path.stat().st_mtime >= STARTED:
        import pandas as pd
        from workflow.failures import summary

        logger.info(summary(pd.read_csv(path), path))


STARTED = time()
SUITE = open_suite()
FOLDER = SUITE.folder.as_posix()
JOBS = Jobs(SUITE)

if workflow.is_main_process:
    guard(workflow, SUITE.folder)

# Jobs find the packages from any working directory.
prefix = f"export PYTHONPATH={shlex.quote(str(ROOT))}${{{{PYTHONPATH:+:$PYTHONPATH}}}}; "
# `.venv/bin/snakemake` works without an activated environment; in conda's environments `python` is theirs.
if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
    prefix += f'PATH="{Path(sys.executable).parent}:$PATH"; '
shell.prefix(prefix)
