"""Make all tables of a suite: `python -m workflow.tables --config config/<suite>.yaml --results results/<suite>`."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.harness.job import entry
from workflow.suite import Suite, load_suite
from workflow.tables.certificates import make_certificates
from workflow.tables.claims import run_claims
from workflow.tables.claims_diffusion import diffusion_claims
from workflow.tables.claims_learners import learner_claims
from workflow.tables.claims_posterior import posterior_claims
from workflow.tables.claims_rays import rays_claims
from workflow.tables.claims_sampling import sampling_claims
from workflow.tables.collect import read_curves, read_gradients, read_runs, read_tasks
from workflow.tables.diffusion import tables_of_diffusion
from workflow.tables.evidence import Evidence
from workflow.tables.labels import deterministic, kinds, make_labels
from workflow.tables.leaderboard import make_duels, make_leaderboard
from workflow.tables.learners import (
    collect_adaptation_pictures,
    make_quality_at,
    make_ratios,
    make_speedups,
    read_adaptation,
    read_models,
    read_sampling,
)
from workflow.tables.pictures import Pictures, collect_pictures
from workflow.tables.posterior import tables_of_posterior
from workflow.tables.quality import Results, make_quality
from workflow.tables.rays import tables_of_rays
from workflow.tables.reproduction import make_reproduction
from workflow.tables.robustness import make_robustness, read_untuned
from workflow.tables.schema import check, schema
from workflow.tables.scores import make_scores
from workflow.tables.stored import FRESH, Stored, joined, read_stored
from workflow.tables.summary import ORIGIN, make_environment, make_summary
from workflow.tables.targets import make_hits, make_targets
from workflow.tables.written import write


def make_tables(suite: Suite, results: Path) -> dict[str, pd.DataFrame | Pictures]:
    """Return file name → table of everything that the suite's finished cells tell."""
    labels = make_labels(suite)
    tables: dict[str, pd.DataFrame | Pictures] = {"labels.csv": labels}
    claims, origins = [], []
    if suite.cells:
        tables |= tables_of_runs(suite, results, labels)
        evidence = Evidence(
            *(tables[name] for name in ("tasks.csv", "runs.parquet", "curves.parquet", "gradients.csv")), kinds(labels)
        )
        claims += run_claims(evidence)
        origins.append(tables["runs.parquet"])
    if suite.meta_cells:
        tables |= tables_of_learners(suite, results)
        models = tables["models.parquet"]
        claims += learner_claims(models[models["inner_steps"].notna()], tables["adaptation.parquet"])
        origins.append(tables["models.parquet"])
    if suite.sampling:
        sampling = read_sampling(suite.sampling, results)
        tables["sampling.parquet"] = sampling
        claims += sampling_claims(sampling)
    if suite.diffusion:
        diffusion = tables_of_diffusion(suite, results)
        tables |= diffusion
        claims += diffusion_claims(
            *(diffusion[f"{name}.csv"] for name in ("diffusion", "diffusion_choices", "diffusion_order")), labels
        )
        origins.append(diffusion["diffusion_choices.csv"])
    if suite.posterior:
        tables |= tables_of_posterior(suite, results)
        claims += posterior_claims(tables["posterior.csv"])
        origins.append(tables["posterior_choices.csv"])
    if suite.rays:
        tables |= tables_of_rays(suite, results)
        claims += rays_claims(tables["rays.csv"], tables["rays_descents.csv"])
        origins.append(tables["rays_endings.csv"])
    tables["claims.csv"] = check(pd.DataFrame(claims, columns=list(schema("claims")["columns"])), "claims")
    tables["environment.csv"] = make_environment(pd.concat([origin[ORIGIN] for origin in origins]))
    return tables


def tables_of_learners(suite: Suite, results: Path) -> dict[str, pd.DataFrame | Pictures]:
    """Return the tables of learners on families."""
    cells = suite.meta_cells
    models, adaptation = read_models(cells, results), read_adaptation(cells, results)
    return {
        "models.parquet": models,
        "adaptation.parquet": adaptation,
        "quality_at.csv": make_quality_at(adaptation),
        "speedups.csv": make_speedups(suite.name, make_ratios(models, adaptation)),
        "adaptation_pictures.npz": collect_adaptation_pictures(cells, results),
    }


def tables_of_runs(suite: Suite, results: Path, labels: pd.DataFrame) -> dict[str, pd.DataFrame | Pictures]:
    """Return the tables of methods on tasks."""
    cells = suite.cells
    asked = dict.fromkeys(cell.task for cell in cells)
    tasks, gradients = read_tasks(suite.name, asked, results), read_gradients(suite.name, asked, results)
    runs, curves = with_dims(read_runs(cells, results), tasks), read_curves(cells, results)
    pictures = collect_pictures(cells, suite.pictured, results)
    stored = read_stored(suite, tasks, runs) if suite.reference else None
    if stored:
        runs = joined(runs.assign(source=FRESH), stored.runs, "runs")
        curves = joined(curves, stored.curves, "curves")
        pictures = stored.pictures | pictures
    measured = tasks[tasks["status"] == "ok"]  # of the others neither start nor floor is known
    oracles = {label for label, kind in kinds(labels).items() if kind == "oracle"}
    targets = make_targets(measured)
    hits = make_hits(runs, curves, targets)
    scores = make_scores(runs, tasks, hits, oracles)
    if stored:
        first = runs.groupby(["task", "method"])["source"].first().str.partition(":")[0].rename("source")
        scores = check(scores.merge(first, on=["task", "method"]), "scores")
    grid = read_grid(suite.tuned_path)
    tunable = [pair for pair in suite.pairs if suite.tuned_path and pair[0] not in suite.never_tuned]
    untuned = [pair for pair in tunable if not suite.tuned_params(*pair)]
    compared = comparison(suite, stored, scores, hits, labels, runs, tasks) if stored else {}
    return compared | {
        "tasks.csv": tasks,
        "gradients.csv": gradients,
        "targets.csv": targets,
        "scores.csv": scores,
        "summary.csv": make_summary(scores),
        "qc.csv": make_quality(Results(cells, measured, runs, curves, scores, grid, untuned, deterministic(labels))),
        "runs.parquet": runs,
        "curves.parquet": curves,
        "hits.parquet": hits,
        "robustness.csv": make_robustness(runs, read_untuned(suite.untuned_cells, results), measured),
        "reproduction.csv": make_reproduction(measured, runs, curves),
        "certificates.csv": make_certificates(tasks, scores),
        "pictures.npz": pictures,
    }


def comparison(
    suite: Suite,
    stored: Stored,
    scores: pd.DataFrame,
    hits: pd.DataFrame,
    labels: pd.DataFrame,
    runs: pd.DataFrame,
    tasks: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    """Return the tables of one's own methods against what is stored."""
    own = set(suite.own.get("methods", {}))
    board = make_leaderboard(scores, hits, labels, own)
    duels = make_duels(Evidence(tasks, runs, pd.DataFrame()), board, own)
    return {"reference.csv": stored.reference, "leaderboard.csv": board, "duels.csv": duels}


def with_dims(runs: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with their tasks' dimensions where a run did not come to know its own."""
    dims = runs["dim"].fillna(runs["task"].map(tasks.set_index("task")["dim"])).astype(float)
    return runs.assign(dim=dims if dims.isna().any() else dims.astype(int))


def read_grid(tuned: Path | None) -> pd.DataFrame | None:
    """Return the tuning grid beside the table of tuned parameters, if there is one."""
    path = tuned.with_name("grid.csv") if tuned else None
    if path is None or not path.is_file():
        return None
    try:
        return check(pd.read_csv(path), "grid")
    except ValueError as error:  # of pandas or of the schema
        raise UsageError(f"{path}: {error}; delete it and run the target `tune` again") from error


def main() -> None:
    """Parse the command line, make the tables, tell what the checks found."""
    parser = argparse.ArgumentParser(prog="python -m workflow.tables", description=__doc__)
    parser.add_argument("--config", required=True, type=Path, help="config/<suite>.yaml")
    parser.add_argument("--results", required=True, type=Path, help="results/<suite>")
    arguments = parser.parse_args()
    tables = make_tables(load_suite(arguments.config), arguments.results)
    write(tables, arguments.results / "tables")
    found = tables.get("qc.csv", pd.DataFrame({"verdict": []}))
    for row in found[found["verdict"] != "ok"].itertuples():
        print(f"{row.verdict}: {row.check} {row.subject}: {row.explanation}")


if __name__ == "__main__":
    entry(main)
