"""From adapted learners to tables: models, quality over steps, and what rivals need to be as good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.experiments.sampling import TABLE
from benchmarks.harness.adapt import ADAPTATION, MODELS, PICTURES
from benchmarks.harness.meta_cell import MetaCell
from workflow.tables.collect import read_parquet
from workflow.tables.intervals import Floats, bootstrap, interval, median
from workflow.tables.pictures import Pictures, read_pictures
from workflow.tables.schema import check, schema

OVER = ("median", "mean")  # of members
RATIOS = [
    *("family", "metric", "learner", "rival", "seed", "step", "quality", "rival_steps", "rival_last"),
    *("steps_ratio", "seconds_ratio", "samples_ratio"),
]
MEASURED = ("train_s", "train_loss", "step_s")  # numbers that a failed learner lacks
RESAMPLES = 500  # of members and seeds at every checkpoint


def folder_of(cell: MetaCell, results: Path) -> Path:
    """Return the folder of what a learner did on a family."""
    return results / "adaptation" / cell.family / cell.learner


def read_models(cells: Sequence[MetaCell], results: Path) -> pd.DataFrame:
    """Return models.parquet."""
    tables = [read_parquet(folder_of(cell, results) / MODELS, results) for cell in cells]
    models = pd.concat([table.astype(object) for table in tables], ignore_index=True).infer_objects()
    return check(models.assign(**{name: models[name].astype(float) for name in MEASURED}), "models")


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the tables in one, without the empty ones (learners that failed), which would spoil the columns' types."""
    full = [table for table in tables if len(table)]
    return pd.concat(full or tables[:1], ignore_index=True)


def read_adaptation(cells: Sequence[MetaCell], results: Path) -> pd.DataFrame:
    """Return adaptation.parquet."""
    tables = [read_parquet(folder_of(cell, results) / ADAPTATION, results) for cell in cells]
    return check(stacked(tables), "adaptation")


def read_sampling(models: Iterable[str], results: Path) -> pd.DataFrame:
    """Return sampling.parquet, with the numbers of measurements for every model of BRDFs."""
    tables = [read_parquet(results / "sampling" / model / TABLE, results) for model in models]
    return check(pd.concat(tables, ignore_index=True), "sampling")


def collect_adaptation_pictures(cells: Sequence[MetaCell], results: Path) -> Pictures:
    """Return `<family>/<member>/<learner>/<step>` and `<family>/<member>/reference`, of the first replicate."""
    pictures: Pictures = {}
    for cell in cells:
        for key, picture in read_pictures(folder_of(cell, results) / PICTURES).items():
            member, what = key.rsplit("/", 1)
            name = what if what == "reference" else f"{cell.learner}/{what}"
            pictures[f"{cell.family}/{member}/{name}"] = picture
    return pictures


def sign_of(metric: str) -> int:
    """Return 1 where lower values of a metric are better, −1 where higher ones are."""
    return -1 if metric.endswith("psnr") else 1


def filled(adaptation: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the worst possible value where there is none."""
    worst = np.inf * adaptation["metric"].map(sign_of)
    return adaptation.assign(value=adaptation["value"].fillna(worst))


def make_quality_at(adaptation: pd.DataFrame) -> pd.DataFrame:
    """Return quality_at.csv: medians over members and seeds, with an interval that resamples both."""
    generator = np.random.default_rng(0)
    rows = []
    keys = ["suite", "family", "learner", "metric", "step"]
    for key, group in filled(adaptation).groupby(keys, sort=False):
        values = group.pivot_table(index="seed", columns="member", values="value", aggfunc="first")
        grid = values.to_numpy(float)
        low, high = interval(resampled_medians(grid, generator)) if grid.size > 1 else (np.nan, np.nan)
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "samples": int(group["samples"].iloc[0]),
                "seconds": float(group["seconds"].median()),
                "median": float(median(grid.reshape(1, -1))[0]),
                "low": low,
                "high": high,
                "n_seeds": grid.shape[0],
                "n_members": grid.shape[1],
            }
        )
    return check(pd.DataFrame(rows, columns=list(schema("quality_at")["columns"])), "quality_at")


def resampled_medians(grid: Floats, generator: np.random.Generator) -> Floats:
    """Return medians (RESAMPLES,) of values (seeds, members) with seeds and members drawn with replacement."""
    seeds, members = grid.shape
    rows = generator.integers(seeds, size=(RESAMPLES, seeds, 1))
    columns = generator.integers(members, size=(RESAMPLES, 1, members))
    return median(grid[rows, columns].reshape(RESAMPLES, -1))


def by_seed(adaptation: pd.DataFrame, over: str) -> pd.DataFrame:
    """Return the median or mean over members by (family, metric, learner, seed, step), with samples and seconds."""
    keys = ["family", "metric", "learner", "seed", "step"]
    grouped = filled(adaptation).groupby(keys)
    return grouped.agg(value=("value", over), samples=("samples", "first"), seconds=("seconds", "first"))


def needed(curve: pd.DataFrame, quality: float, sign: int) -> pd.Series | None:
    """Return the first checkpoint of one seed's curve (indexed by step) that is as good as `quality`; None: never."""
    reached = curve[sign * curve["value"] <= sign * quality]
    return reached.reset_index().iloc[0] if len(reached) else None


def make_ratios(models: pd.DataFrame, adaptation: pd.DataFrame) -> pd.DataFrame:
    """Return what every rival needs to be as good as every meta-learner after its inner loop, seed by seed.

    Quality is the median over members and, in rows of their own, the mean: the mean minds the few that fail.
    """
    parts = [ratios_of(models, by_seed(adaptation, over)).assign(over=over) for over in OVER]
    return pd.concat(parts, ignore_index=True)


def ratios_of(models: pd.DataFrame, medians: pd.DataFrame) -> pd.DataFrame:
    """Return the like for one statistic over members."""
    facts = (
        models[models["inner_steps"].notna()].drop_duplicates(["family", "learner"]).set_index(["family", "learner"])
    )
    curves = {key: curve.droplevel([0, 1, 2, 3]) for key, curve in medians.groupby(level=[0, 1, 2, 3])}
    rows = []
    for (family, metric, learner, seed), curve in curves.items():
        step = facts.loc[(family, learner), "inner_steps"]
        if facts.loc[(family, learner), "role"] != "meta" or step not in curve.index:
            continue
        ours = curve.loc[step]
        for other in facts.loc[family].index[facts.loc[family, "role"] == "rival"]:
            theirs = curves.get((family, metric, other, seed))
            if theirs is None:
                continue
            found = needed(theirs, ours["value"], sign_of(metric))
            never = {"step": np.inf, "seconds": np.inf, "samples": np.inf}
            cost = never if found is None else {key: float(found[key]) for key in never}
            rows.append(
                {
                    "family": family,
                    "metric": metric,
                    "learner": learner,
                    "rival": other,
                    "seed": seed,
                    "step": int(step),
                    "quality": float(ours["value"]),
                    "rival_steps": cost["step"],
                    "rival_last": int(theirs.index.max()),
                    "steps_ratio": cost["step"] / step,
                    "seconds_ratio": cost["seconds"] / ours["seconds"],
                    "samples_ratio": cost["samples"] / ours["samples"],
                }
            )
    return pd.DataFrame(rows, columns=RATIOS)


def make_speedups(suite: str, ratios: pd.DataFrame) -> pd.DataFrame:
    """Return speedups.csv: medians of the ratios over seeds."""
    rows = []
    keys = ["family", "metric", "over", "learner", "rival"]
    for key, group in ratios.groupby(keys, sort=False):
        steps = group["steps_ratio"].to_numpy(float)
        low, high = bootstrap(steps, median) if len(steps) > 1 else (np.nan, np.nan)
        middle = {
            name: float(median(group[name].to_numpy(float)[None])[0])
            for name in ("quality", "rival_steps", "steps_ratio", "seconds_ratio", "samples_ratio")
        }
        facts = {"step": int(group["step"].iloc[0]), "rival_last": int(group["rival_last"].max())}
        bounds = {"steps_low": low, "steps_high": high, "n_seeds": len(group)}
        rows.append({"suite": suite, **dict(zip(keys, key, strict=True)), **facts, **middle, **bounds})
    return check(pd.DataFrame(rows, columns=list(schema("speedups")["columns"])), "speedups")
