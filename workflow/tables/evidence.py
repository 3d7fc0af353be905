"""Paired comparisons for the claims: two methods on the same tasks and seeds, at equal cost, with an interval."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import GOOD, UNSCORED
from workflow.tables.intervals import cluster_bootstrap
from workflow.tables.targets import GAPS, gap

SMALLEST = 0.0414  # log10(1.1): the smallest effect of interest; a tenth more or less is no reason to choose a method
MIN_PAIRS = 3  # fewer seeds prove nothing
WORST = 10.0  # gaps are compared between the last target and this one, which a failed run gets
TUNED = ("lr", "sigma")  # two variants of a method may differ in these: each was tuned


PRDPT = "PRDPT, CVPR 2023"
Row = dict[str, Any]


def margin_of(no_effect: float, smallest: float = SMALLEST) -> float:
    """Return what an effect has to exceed `no_effect` by: nothing where that is a stated size itself ("ten times")."""
    return smallest if no_effect == 0 else 0.0


@dataclass(frozen=True)
class Effect:
    """A mean paired effect with its 95 % interval, and the medians per task that it comes from."""

    mean: float
    low: float
    high: float
    n_pairs: int
    by_task: dict[str, float]

    @classmethod
    def of(cls, pairs: pd.Series) -> Effect:
        """Pool paired effects indexed by (task, …): every task weighs the same."""
        pairs = pairs.dropna()
        groups = {str(task): group for task, group in pairs.groupby(level=0, sort=False)}
        if not groups:
            return cls(np.nan, np.nan, np.nan, 0, {})
        low, high = cluster_bootstrap([group.to_numpy(float) for group in groups.values()])
        mean = float(np.mean([group.mean() for group in groups.values()]))
        return cls(mean, low, high, len(pairs), {task: float(group.median()) for task, group in groups.items()})

    def verdict(self, no_effect: float, smallest: float = SMALLEST) -> str:
        """Return what the interval says about an effect that exceeds `no_effect` by `smallest` or more.

        It holds where the interval excludes `no_effect` and the mean is that large; it does not hold where the interval
        excludes an effect that large (Lakens 2017, equivalence tests). A difference that is certain but too small to
        matter is inconclusive at best. With three seeds on one task the interval is the range: all have to agree.
        """
        margin = margin_of(no_effect, smallest)
        if self.n_pairs == 0:
            return "not tested"
        if self.n_pairs < MIN_PAIRS or np.isnan(self.low):
            return "inconclusive"
        if self.low > no_effect and self.mean >= no_effect + margin:
            return "holds"
        return "does not hold" if self.high < no_effect + margin else "inconclusive"


def spelled(effect: float) -> str:
    """Return an effect in two digits; an infinite one says that something was not reached, or needed no step at all."""
    if np.isinf(effect):
        return "beyond what was run" if effect > 0 else "from the start"
    return f"{effect:.2f}"


def judged(
    name: str, source: str, claim: str, effect: Effect, no_effect: float = 0.0, tables: str = "runs", note: str = ""
) -> Row:
    """Return the row of a claim with its numbers and verdict."""
    if effect.n_pairs:
        each = ", ".join(f"{task} {spelled(value)}" for task, value in effect.by_task.items())
        alike = effect.low == effect.mean == effect.high and np.isinf(effect.mean)
        ends = "" if alike else f" [{spelled(effect.low)}, {spelled(effect.high)}]"
        measured = f"{spelled(effect.mean)}{ends} over {effect.n_pairs} pairs{'' if alike else f' ({each})'}"
    else:
        measured = "this suite has no pair of runs to compare"
    return {
        "id": name,
        "source": source,
        "claim": claim,
        "measured": measured + (f"; {note}" if note else ""),
        "effect": effect.mean,
        "low": effect.low,
        "high": effect.high,
        "no_effect": no_effect,
        "smallest": margin_of(no_effect),
        "n_pairs": effect.n_pairs,
        "verdict": effect.verdict(no_effect),
        "tables": tables,
    }


@dataclass(frozen=True)
class Evidence:
    """The suite's tables, seen as paired comparisons."""

    tasks: pd.DataFrame
    runs: pd.DataFrame
    curves: pd.DataFrame
    gradients: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["task", "estimator", "place", "verdict"])
    )
    kinds: Mapping[str, str] = field(default_factory=dict)  # method → kind, as labels.csv has it

    def tasks_where(self, problem: str | None = None, least_dim: int = 1, **params: Any) -> list[str]:
        """Return the labels of tasks of this problem, size and with these parameters."""
        chosen = self.tasks[(self.tasks["dim"] >= least_dim) & self.tasks["loss_start"].notna()]
        if problem is not None:
            chosen = chosen[chosen["problem"] == problem]
        matches = chosen["params"].map(
            lambda text: all(json.loads(text).get(key) == value for key, value in params.items())
        )
        return list(chosen.loc[matches.astype(bool), "task"])

    @cached_property
    def _runs(self) -> pd.DataFrame:
        ran = self.runs[~self.runs["status"].isin(UNSCORED)].copy()
        ran["good"] = ran["status"].isin(GOOD) & ran["loss_final"].notna()
        ran["gap"] = gap(ran["loss_final"], ran["task"], self.tasks)
        return ran.set_index(["task", "method", "seed"]).sort_index()

    def seeds(self, task: str, *methods: str) -> list[int]:
        """Return the seeds that all these methods ran on a task."""
        index = self._runs.index
        sets = [{seed for t, m, seed in index if (t, m) == (task, method)} for method in methods]
        return sorted(set.intersection(*sets)) if sets else []

    def final_gap(self, task: str, method: str, seed: int, least: float = GAPS[-1]) -> float:
        """Return the gap that a run ended with, cut to the range that is compared; WORST for a failed run."""
        run = self._runs.loc[(task, method, seed)]
        return float(np.clip(run["gap"], least, WORST)) if run["good"] else WORST

    def advantage(self, tasks: Iterable[str], better: str, worse: str) -> pd.Series:
        """Return log10(gap of `worse` / gap of `better`) at the end, per (task, seed): above 0, `better` is better."""
        found = {}
        for task in tasks:
            for seed in self.seeds(task, better, worse):
                gaps = [self.final_gap(task, method, seed) for method in (worse, better)]
                found[task, better, worse, seed] = np.log10(gaps[0] / gaps[1])
        return _series(found)

    def metric(self, task: str, method: str, name: str, since: float = 0.0) -> pd.Series:
        """Return seed → median of a metric over the checkpoints from this share of the run's cost on."""
        chosen = self._metrics.get((task, method, name))
        if chosen is None:
            return pd.Series(dtype=float)
        late = chosen[chosen["cost"] >= since * chosen.groupby("seed")["cost"].transform("max")]
        return late.groupby("seed")["value"].median()

    @cached_property
    def _metrics(self) -> dict[tuple[Any, ...], pd.DataFrame]:
        keys = ["task", "method", "metric"]
        other = self.curves[self.curves["metric"] != "loss"].dropna(subset=["value"])
        return {key: group for key, group in other.groupby(keys)}

    def contrasts(self, algorithm: str, parameter: str, plain: Any, changed: Any) -> list[tuple[str, str, str]]:
        """Return (task, label with `plain`, label with `changed`): runs that differ in this parameter alone."""
        labels = self._runs[self._runs["algorithm"] == algorithm].reset_index()
        labels = labels.drop_duplicates(["task", "method"])
        found = []
        for task, group in labels.groupby("task", sort=False):
            params = {row.method: json.loads(row.params) for row in group.itertuples()}
            for first, left in params.items():
                for second, right in params.items():
                    differ = {key for key in left | right if left.get(key) != right.get(key)} - set(TUNED)
                    values = left.get(parameter), right.get(parameter)
                    if differ == {parameter} and values == (plain, changed):
                        found.append((str(task), first, second))
        return found


def _series(found: dict[tuple[Any, ...], float]) -> pd.Series:
    """Return effects indexed by (task, better, worse, seed)."""
    if not found:
        return pd.Series(dtype=float)
    return pd.Series(list(found.values()), index=pd.MultiIndex.from_tuples(found), dtype=float)
