"""What did not run, and why: `python -m workflow.failures --config config/<suite>.yaml --results results/<suite>`.

Writes tables/failures.csv from the tables and the figures' records. Whatever is missing or damaged is a row;
nothing here depends on anything having worked.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.contract.statuses import GOOD, LEFT_OUT
from benchmarks.experiments.rays import STILL
from benchmarks.harness.job import entry
from benchmarks.harness.kept import read_json
from benchmarks.harness.store import atomic
from workflow.suite import Suite, load_suite
from workflow.tables.schema import check, schema

TABLE = "failures.csv"
MISSING = "missing"
NO_ROW = "no row: its job failed or was not started; the same command goes on"
SHOWN = 8  # causes that the end of a suite lists
Row = dict[str, Any]


def make_failures(suite: Suite, results: Path) -> pd.DataFrame:
    """Return failures.csv of a suite from what lies in its results folder."""
    rows: list[Row] = []
    if suite.cells:
        rows += failed_tasks(suite, results) + failed_cells(suite, results)
    if suite.meta_cells:
        rows += failed_learners(suite, results)
    if suite.sampling:
        rows += failed_sampling(suite, results)
    if suite.diffusion:
        rows += failed_draws("diffusion", "sampler", suite.diffusion, results)
    if suite.posterior:
        rows += failed_draws("posterior", "guide", suite.posterior, results)
    if suite.rays:
        rows += failed_rays(suite, results)
    rows += failed_figures(suite, results)
    frame = pd.DataFrame([{"suite": suite.name, **row} for row in rows], columns=list(schema("failures")["columns"]))
    return check(frame.astype({"runs": int}), "failures")


def read(results: Path, name: str) -> tuple[pd.DataFrame, list[Row]]:
    """Return a table with status, phase and reason, and a row of this list where it is missing or damaged."""
    path = results / "tables" / name
    try:
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except Exception as error:  # noqa: BLE001  (pandas and pyarrow raise many kinds for a damaged file)
        told = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({type(error).__name__}): delete it"
        reason = f"{path} is {told}; `snakemake tables` makes it again"
        return pd.DataFrame(), [row("table", name, MISSING, reason=reason, log="logs/tables.log")]
    for column in ("status", "phase", "reason"):
        frame[column] = frame[column].fillna("").astype(str) if column in frame else ""
    return frame, []


def row(kind: str, name: str, status: str, phase: str = "", reason: str = "", runs: int = 1, log: str = "") -> Row:
    """Return one row of the table."""
    return {"kind": kind, "name": name, "status": status, "phase": phase, "runs": runs, "reason": reason, "log": log}


def grouped(kind: str, frame: pd.DataFrame, keys: list[str], log: str) -> Iterator[Row]:
    """Yield a row for every cause among the rows that failed; `log` is a pattern of their keys."""
    for (*labels, status, phase, reason), part in frame.groupby([*keys, "status", "phase", "reason"], sort=False):
        where = log.format(**dict(zip(keys, labels, strict=True)))
        yield row(kind, "/".join(map(str, labels)), status, phase, reason, len(part), where)


def absent(kind: str, wanted: list[tuple[str, ...]], frame: pd.DataFrame, keys: list[str]) -> list[Row]:
    """Return a row for everything wanted that the table does not have."""
    found = set(frame[keys].astype(str).itertuples(index=False, name=None)) if len(frame) else set()
    return [row(kind, "/".join(item), MISSING, reason=NO_ROW) for item in wanted if item not in found]


def failed_tasks(suite: Suite, results: Path) -> list[Row]:
    """Return the tasks that could not be calibrated."""
    tasks, rows = read(results, "tasks.csv")
    if rows:
        return rows
    used = [(task,) for task in dict.fromkeys(cell.task for cell in suite.cells)]
    bad = tasks[~tasks["status"].isin(["", "ok"])]
    return [*grouped("task", bad, ["task"], "logs/calibrate/{task}.log"), *absent("task", used, tasks, ["task"])]


def failed_cells(suite: Suite, results: Path) -> list[Row]:
    """Return the runs that left no final loss."""
    runs, rows = read(results, "runs.parquet")
    if rows:
        return rows
    bad = runs[~runs["status"].isin(GOOD) | runs["loss_final"].isna()]
    keys = ["task", "method"]
    wanted = [(cell.task, cell.method) for cell in suite.cells]
    return [*grouped("cell", bad, keys, "logs/run/{task}/{method}.log"), *absent("cell", wanted, runs, keys)]


def failed_learners(suite: Suite, results: Path) -> list[Row]:
    """Return the learners whose training or adaptation failed."""
    models, rows = read(results, "models.parquet")
    if rows:
        return rows
    keys = ["family", "learner"]
    wanted = [(cell.family, cell.learner) for cell in suite.meta_cells]
    bad = models[~models["status"].isin(["", "ok"])]
    return [
        *grouped("learner", bad, keys, "logs/adapt/{family}/{learner}.log"),
        *absent("learner", wanted, models, keys),
    ]


def failed_sampling(suite: Suite, results: Path) -> list[Row]:
    """Return the models of BRDFs of which nothing was measured."""
    sampling, rows = read(results, "sampling.parquet")
    return rows or absent("sampling", [(model,) for model in suite.sampling], sampling, ["model"])


def failed_draws(block: str, kind: str, specs: Mapping[str, dict[str, Any]], results: Path) -> list[Row]:
    """Return the diffusion samplers, or guides of them, that did not come to their end."""
    choices, rows = read(results, f"{block}_choices.csv")
    if rows:
        return rows
    keys = ["task", kind]
    wanted = [(task, label) for task, spec in specs.items() for label in spec[f"{kind}s"]]
    bad = choices[choices["status"] != "ok"]
    return [*grouped(kind, bad, keys, f"logs/{block}/{{task}}.log"), *absent(kind, wanted, choices, keys)]


def failed_rays(suite: Suite, results: Path) -> list[Row]:
    """Return the scenes, or ways to spend their rays, of which nothing was measured."""
    endings, rows = read(results, "rays_endings.csv")
    if rows:
        return rows
    keys = ["task", "piece"]
    wanted = [(scene, piece) for scene, spec in suite.rays.items() for piece in (STILL, *spec.get("arms", {}))]
    bad = endings[endings["status"] != "ok"]
    return [*grouped("rays", bad, keys, "logs/rays/{task}.log"), *absent("rays", wanted, endings, keys)]


def failed_figures(suite: Suite, results: Path) -> list[Row]:
    """Return the figures that are a panel with a reason, by their records."""
    rows = []
    for name in suite.figures:
        log = f"logs/figures/{name}.log"
        record = read_json(results / "logs" / "figures" / f"{name}.json", ("status", "reason"))
        if record is None:
            rows.append(row("figure", name, MISSING, reason=NO_ROW, log=log))
        elif record["status"] != "drawn":
            rows.append(row("figure", name, record["status"], "draw", record["reason"], log=log))
    return rows


def causes(failures: pd.DataFrame) -> pd.DataFrame:
    """Return one row per status and reason, with how many there are and their names; what is broken comes first."""
    if failures.empty:
        return pd.DataFrame(columns=["status", "reason", "count", "names"])
    failures = failures.assign(reason=failures["reason"].fillna(""), broken=~failures["status"].isin(LEFT_OUT))
    found = failures.groupby(["broken", "status", "reason"], sort=False)["name"].agg([len, list]).reset_index()
    found = found.rename(columns={"len": "count", "list": "names"})
    return found.sort_values(["broken", "count"], ascending=False, kind="stable").drop(columns="broken")


def summary(failures: pd.DataFrame, path: Path) -> str:
    """Return what the end of a suite says: the number of rows, where they are, and the commonest causes."""
    if failures.empty:
        return "Everything ran."
    found = causes(failures)
    lines = [f"{len(failures)} of the suite's parts did not run to their end, all listed in {path} and in the report:"]
    for cause in found.head(SHOWN).itertuples(index=False):
        names = ", ".join(map(str, cause.names[:3])) + (", …" if cause.count > 3 else "")
        reason = textwrap.shorten(cause.reason, 160, placeholder=" …") or "no reason is known"
        lines.append(f"  {cause.count} × {cause.status} ({names}): {reason}")
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} other causes")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, write the table, print the list."""
    parser = argparse.ArgumentParser(prog="python -m workflow.failures", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="config/<suite>.yaml")
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    arguments = parser.parse_args()
    results = arguments.results
    failures = make_failures(load_suite(arguments.config), results)
    with atomic(results / "tables" / TABLE) as part:
        failures.to_csv(part, index=False)
    print(summary(failures, results / "tables" / TABLE))


if __name__ == "__main__":
    entry(main)
