"""The claims about path tracing: who stays on a plateau, who leaves it, at what price per iteration, with which parts.

A gradient by automatic differentiation counts as evidence about a plateau only where it agrees with central
differences near the target (gradients.csv). Elsewhere its rows say so and judge nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from workflow.tables.evidence import PRDPT, Effect, Evidence, Row, judged
from workflow.tables.targets import GAPS, SOLVED, gap

WFR25 = "Wang, Fischer & Ritschel, ICCV 2025"
OURS = "ours, see methods/gauss_newton.py"
INTEGRATORS = {"prb": "prb", "prb_projective": "the projective integrator"}
STILL = 0.5  # of the way: who ends above it has stayed
FASTER = 8.0  # the paper's factor per iteration


def scenes(evidence: Evidence) -> pd.DataFrame:
    """Return the rows of tasks.csv that a path tracer shows."""
    return evidence.tasks[evidence.tasks["family"] == "rendering"]


def plateaus(evidence: Evidence) -> list[str]:
    """Return the scenes whose start is certified to be a plateau."""
    table = scenes(evidence)
    return list(table.loc[table["plateau"] == "plateau", "task"]) if "plateau" in table else []


def verdict_of(evidence: Evidence, task: str, source: str) -> str:
    """Return what gradients.csv says about an estimator near the target."""
    table = evidence.gradients
    found = table[(table["task"] == task) & (table["estimator"] == source) & (table["place"] == "near_target")]
    return str(found["verdict"].iloc[0]) if len(found) else "none"


def labels(evidence: Evidence, algorithm: str, **params: Any) -> list[str]:
    """Return the method labels of this algorithm whose parameters have these values."""
    rows = evidence.runs[evidence.runs["algorithm"] == algorithm].drop_duplicates("method")
    return [
        row.method
        for row in rows.itertuples()
        if all(json.loads(row.params).get(key) == value for key, value in params.items())
    ]


def series(found: dict[tuple[Any, ...], float]) -> pd.Series:
    """Return effects indexed by (task, …)."""
    index = pd.MultiIndex.from_tuples(found) if found else None
    return pd.Series(list(found.values()), index=index, dtype=float)


def stays(evidence: Evidence) -> Iterator[Row]:
    """Mitsuba's gradient is right near the target, and still the optimizer stays where it began."""
    for source, name in INTEGRATORS.items():
        verdicts = {task: verdict_of(evidence, task, source) for task in plateaus(evidence)}
        honest = [task for task, verdict in verdicts.items() if verdict == "agrees"]
        others = ", ".join(f"{task}: {verdict}" for task, verdict in verdicts.items() if verdict != "agrees")
        method = next(iter(labels(evidence, "adam", source=source)), "")
        gaps = {
            (task, seed): evidence.final_gap(task, method, seed)
            for task in honest
            for seed in evidence.seeds(task, method)
        }
        claim = (
            f"Adam with {name} stays on the plateau, where its gradient is right near the target (gap above {STILL})"
        )
        note = "gaps" + (f"; not counted, as the gradient there is no evidence: {others}" if others else "")
        tables = "runs, tasks (plateau), gradients (verdict)"
        yield judged(f"mitsuba_stays/{source}", PRDPT, claim, Effect.of(series(gaps)), STILL, tables, note)


def converges(evidence: Evidence) -> Iterator[Row]:
    """PRDPT reaches the target from the plateau, and gets closer than Adam on Mitsuba's gradients, right or not."""
    tasks = plateaus(evidence)
    reached = {
        (task, seed): -np.log10(evidence.final_gap(task, "prdpt", seed))
        for task in tasks
        for seed in evidence.seeds(task, "prdpt")
    }
    claim = "PRDPT converges from the plateau (nine tenths of the way)"
    solved = -np.log10(GAPS[SOLVED])
    yield judged("prdpt_converges", PRDPT, claim, Effect.of(series(reached)), solved, note="log10(1 / gap)")
    for source, name in INTEGRATORS.items():
        for method in labels(evidence, "adam", source=source)[:1]:
            effect = Effect.of(evidence.advantage(tasks, "prdpt", method))
            claim = f"on plateaus PRDPT ends at half the gap of Adam with {name} or less, at equal cost"
            yield judged(f"prdpt_beats_mitsuba/{source}", PRDPT, claim, effect, np.log10(2))


def seconds_per_step(evidence: Evidence) -> pd.Series:
    """Return (task, method, seed) → seconds per iteration, set-up left out."""
    ran = evidence.runs[evidence.runs["n_steps"] > 0] if "n_steps" in evidence.runs else evidence.runs[:0]
    seconds = ran["ask_s"] + ran["eval_s"] + ran["tell_s"]
    keys = [ran["task"], ran["method"], ran["seed"]]
    return pd.Series(
        (seconds / ran["n_steps"]).to_numpy() if len(ran) else [], index=pd.MultiIndex.from_arrays(keys), dtype=float
    )


def price(evidence: Evidence) -> Iterator[Row]:
    """The paper: an iteration of PRDPT (two renders) is about eight times faster than one of Mitsuba's AD."""
    seconds = seconds_per_step(evidence)
    for source, name in INTEGRATORS.items():
        method = next(iter(labels(evidence, "adam", source=source)), "")
        ratios = {
            (task, seed): np.log10(seconds[task, method, seed] / seconds[task, "prdpt", seed])
            for task in scenes(evidence)["task"]
            for seed in evidence.seeds(task, method, "prdpt")
            if (task, method, seed) in seconds and (task, "prdpt", seed) in seconds
        }
        effect = Effect.of(series(ratios))
        note = "log10 of the ratio of seconds per iteration"
        claim = f"an iteration of PRDPT is at least {FASTER:g} times faster than one of Adam with {name}"
        yield judged(f"price_per_iteration/{source}", PRDPT, claim, effect, np.log10(FASTER), "runs", note)


def random_numbers(evidence: Evidence) -> Iterator[Row]:
    """Common random numbers, and the loss without bias: pairs of tasks that differ in this one parameter."""
    for parameter, better, worse, what in (
        ("random_numbers", "common", "fresh", "common random numbers help"),
        ("comparison", "unbiased", "mse", "the unbiased loss helps where random numbers are fresh"),
    ):
        found = {}
        for left, right in twins(evidence, parameter, better, worse):
            for method in ("prdpt", "spsa", "cma_es"):
                errors = [evidence.metric(task, method, "parameter_error", since=1.0) for task in (left, right)]
                for seed in errors[0].index.intersection(errors[1].index):
                    found[left, method, seed] = np.log10(max(errors[1][seed], 1e-4) / max(errors[0][seed], 1e-4))
        note = "log10 of the ratio of parameter errors at the end (prdpt, spsa, cma_es)"
        yield judged(f"scene/{parameter}", "released code" if parameter == "random_numbers" else "ours", what,
                     Effect.of(series(found)), 0.0, "curves (parameter_error)", note)  # fmt: skip


def twins(evidence: Evidence, parameter: str, better: str, worse: str) -> list[tuple[str, str]]:
    """Return pairs of scenes that differ in this parameter alone."""
    table = scenes(evidence)
    known = {row.task: (row.problem, json.loads(row.params)) for row in table.itertuples()}
    return [
        (left, right)
        for left, (problem, params) in known.items()
        for right, (other, others) in known.items()
        if problem == other and params.get(parameter) == better and others == {**params, parameter: worse}
    ]


def iterations(evidence: Evidence) -> Iterator[Row]:
    """Second order: fewer iterations to nine tenths of the way (who never arrives counts with all its iterations)."""
    for method, source in (("smoothed_newton", WFR25), ("gauss_newton", OURS)):
        found = {}
        for task in scenes(evidence)["task"]:
            for seed in evidence.seeds(task, method, "prdpt"):
                ours, theirs = (steps_to(evidence, task, label, seed) for label in (method, "prdpt"))
                if ours[1] or theirs[1]:  # where neither arrives there is nothing to compare
                    found[task, seed] = np.log10(theirs[0] / ours[0])
        claim = f"{method} needs fewer iterations than PRDPT"
        note = "log10 of the ratio of iterations to a gap of .1"
        yield judged(f"fewer_iterations/{method}", source, claim, Effect.of(series(found)), 0.0, "curves, runs", note)


def steps_to(evidence: Evidence, task: str, method: str, seed: int) -> tuple[float, bool]:
    """Return the iterations to a gap of 0.1 and whether it was reached."""
    runs, curves = evidence.runs, evidence.curves
    run = runs[(runs["task"] == task) & (runs["method"] == method) & (runs["seed"] == seed)].iloc[0]
    mine = (curves["task"] == task) & (curves["method"] == method) & (curves["seed"] == seed)
    losses = curves[mine & (curves["metric"] == "loss")]
    gaps = gap(losses["value"], losses["task"], evidence.tasks)
    costs = losses.loc[gaps <= GAPS[SOLVED], "cost"]
    per_step = max(run["cost"], 1) / max(run.get("n_steps", 1), 1)
    return (max(costs.min(), per_step) / per_step, True) if len(costs) else (max(run["cost"], 1) / per_step, False)


def ours(evidence: Evidence) -> Iterator[Row]:
    """The Gauss-Newton step on the smoothed picture against its models, at equal renders."""
    tasks = list(scenes(evidence)["task"])
    for rival in ("prdpt", "smoothed_newton", "prdpt_picture"):
        effect = Effect.of(evidence.advantage(tasks, "gauss_newton", rival))
        yield judged(f"gauss_newton/{rival}", OURS, f"gauss_newton ends lower than {rival} at equal renders", effect)


def more_pairs(evidence: Evidence) -> Iterator[Row]:
    """One antithetic pair per step, as in the paper, or fewer steps of more pairs."""
    for pairs in (2, 4):
        contrasts = evidence.contrasts("prdpt", "pairs", 1, pairs)
        found = [evidence.advantage([task], better, worse) for task, better, worse in contrasts]
        effect = Effect.of(pd.concat(found) if found else pd.Series(dtype=float))
        yield judged(
            f"prdpt/pairs/1_or_{pairs}", PRDPT, f"prdpt: one pair is better than {pairs} at equal renders", effect
        )


CLAIMS = (stays, converges, price, random_numbers, iterations, ours, more_pairs)


def rendering_claims(evidence: Evidence) -> list[Row]:
    """Return the claims about path tracing; none where the suite has no scene."""
    if scenes(evidence).empty:
        return []
    return [row for claim in CLAIMS for row in claim(evidence)]
