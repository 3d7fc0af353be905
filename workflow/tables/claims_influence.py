"""What reading the picture is worth: how far `influence` gets in few evaluations, and against rivals that read losses.

The bars are ours and older than the runs, of which the method's constants have seen some; nobody has published any.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from methods._look import SEARCH
from workflow.tables.evidence import Effect, Evidence, Row, judged
from workflow.tables.targets import GAPS, gap

SOURCE = "ours, see methods/influence.py"
RESOLVED = 1e-12  # gaps below this are alike
BARS: tuple[tuple[str, str, int, float], ...] = (  # name, problem, evaluations, gap
    ("texture", "pixels.texture", 64, 1e-6),
    ("camera", "pixels.camera", 256, 1e-2),
    ("digit_mlp", "networks.digit_mlp", 1000, 1e-3),
    ("caustic", "caustics.height_field", 1300, 0.45),
    ("caustic", "caustics.height_field", 5000, 0.25),
)
LOSSES = {*SEARCH, "gradient estimator"}  # kinds of methods that read a loss
FACTOR = 10.0
DENSE = "pixels.mixture"  # nothing is sparse there, and nothing shared


def gaps(evidence: Evidence, task: str, method: str) -> pd.Series:
    """Return seed → gap at the end, the worst one for a run that failed."""
    seeds = evidence.seeds(task, method)
    return pd.Series([evidence.final_gap(task, method, seed, RESOLVED) for seed in seeds], seeds, dtype=float)


def best_of_losses(evidence: Evidence, task: str) -> str | None:
    """Return the method of least median gap among those that read losses."""
    met = evidence.runs.loc[evidence.runs["task"] == task, "method"].unique()
    medians = {m: gaps(evidence, task, m).median() for m in met if evidence.kinds.get(m) in LOSSES}
    medians = {method: gap for method, gap in medians.items() if gap == gap}
    return min(medians, key=lambda method: medians[method]) if medians else None


def bars(evidence: Evidence, budgets: pd.Series) -> Iterator[Row]:
    """Ours: gaps that a user may count on, on every replicate."""
    for name, problem, evaluations, bar in BARS:
        found = {
            (task, seed): np.log10(bar / gap)
            for task in evidence.tasks_where(problem)
            if budgets.get(task) == evaluations
            for seed, gap in gaps(evidence, task, "influence").items()
        }
        if found:
            claim = f"influence leaves a gap of at most {bar:g} after {evaluations:,} evaluations of {problem}"
            effect = Effect.of(pd.Series(found, dtype=float))
            note = f"log10(bar / gap); {sum(value >= 0 for value in found.values())} of {len(found)} replicates"
            yield judged(f"influence_reaches/{name}/{evaluations}", SOURCE, claim, effect, note=note)


def against_losses(evidence: Evidence, budgets: pd.Series) -> Iterator[Row]:
    """Ours: ten times below the best that reads losses, and no worse than it where nothing can be learned."""
    wins: dict[tuple[str, str, int], float] = {}
    dense: dict[tuple[str, str, int], float] = {}
    for task in budgets.index:
        rival = best_of_losses(evidence, task)
        if rival is None or solved(evidence, task, "influence", rival):
            continue
        found = dense if task in evidence.tasks_where(DENSE) else wins
        ours, theirs = (gaps(evidence, task, method) for method in ("influence", rival))
        for seed in ours.index.intersection(theirs.index):
            found[task, rival, seed] = np.log10(theirs[seed] / ours[seed])
    a_tenth = "influence leaves at most a tenth of what the best method that reads losses leaves"
    alike = "without any structure influence is within 10 % of the best that reads losses"
    for name, found, least, claim in (
        ("ten_times", wins, np.log10(FACTOR), a_tenth),
        ("dense", dense, -np.log10(1.1), alike),
    ):
        if found:
            met = ", ".join(f"{task}: {rival}" for task, rival in dict.fromkeys((t, r) for t, r, _ in found))
            effect = Effect.of(pd.Series(found, dtype=float))
            yield judged(f"influence/{name}", SOURCE, claim, effect, least, note=f"log10 of the gaps' ratio; {met}")


def solved(evidence: Evidence, task: str, *methods: str) -> bool:
    """Tell whether nothing is left at the end of all runs of these methods."""
    return all(gaps(evidence, task, method).max() <= RESOLVED for method in methods)


def costs_to_solve(evidence: Evidence, task: str, method: str) -> pd.Series:
    """Return seed → evaluations until no more than the last target's gap was left."""
    curves = evidence.curves
    mine = curves[(curves["task"] == task) & (curves["method"] == method) & (curves["metric"] == "loss")]
    there = mine[gap(mine["value"], mine["task"], evidence.tasks) <= GAPS[-1]]
    return there.groupby("seed")["cost"].min()


def sooner(evidence: Evidence, budgets: pd.Series) -> Iterator[Row]:
    """Ours: where who reads losses solves a task as well, a tenth of the evaluations is enough."""
    found: dict[tuple[str, str, int], float] = {}
    for task in budgets.index:
        rival = best_of_losses(evidence, task)
        if rival is None or not solved(evidence, task, "influence", rival):
            continue
        ratio = np.log10(costs_to_solve(evidence, task, rival) / costs_to_solve(evidence, task, "influence"))
        found |= {(task, rival, int(seed)): value for seed, value in ratio.dropna().items()}
    if found:
        claim = "influence solves in a tenth of the evaluations what the best method that reads losses solves as well"
        met = ", ".join(f"{task}: {rival}" for task, rival in dict.fromkeys((t, r) for t, r, _ in found))
        note = f"log10 of the evaluations' ratio; {met}"
        effect = Effect.of(pd.Series(found, dtype=float))
        yield judged("influence/tenth_of_evaluations", SOURCE, claim, effect, np.log10(FACTOR), "curves", note)


def influence_claims(evidence: Evidence) -> list[Row]:
    """Return the rows of a suite that ran `influence`; none of another."""
    ran = evidence.runs[evidence.runs["method"] == "influence"]
    budgets = ran.groupby("task", sort=False)["budget"].first()
    return [*bars(evidence, budgets), *against_losses(evidence, budgets), *sooner(evidence, budgets)]
