"""The papers' claims, held against this suite's runs.

A claim holds where the 95 % interval of the paired effect lies above `no_effect` and the mean beyond the smallest
effect of interest, does not hold where the interval excludes an effect of that size, and is inconclusive in between
or with fewer than three pairs. Effects are log10(gap of the other / gap of the claimed winner) at equal evaluations
unless told otherwise, so 0 is no effect and 1 a tenth of the distance left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import UNSCORED
from methods._look import SEARCH
from workflow.tables.claims_influence import influence_claims
from workflow.tables.claims_rendering import rendering_claims
from workflow.tables.evidence import PRDPT, Effect, Evidence, Row, judged

OVERVIEW, ZEROGRADS = "overview (seed)", "ZeroGrads, SIGGRAPH 2024"
OURS = "ours, see methods/prdpt.py"
INFLUENCE = "ours, see methods/influence.py"
DESCENT = "ours, see methods/base.py"
HIGH_DIM, PAPER_DIM, HUGE_DIM = 1_000, 10_000, 190_000
FIGURE_7 = ("networks.digit_mlp", "caustics.height_field")
RIVALS = ("spsa", "prdpt", "cma_es", "genetic_algorithm", "simulated_annealing", "finite_differences")


def gradient_variance(evidence: Evidence) -> Iterator[Row]:
    """Seed Fig. 8: the magnitude of ZeroGrads' gradient varies orders of magnitude less. Relative: per squared mean."""
    tasks = evidence.tasks_where(least_dim=HIGH_DIM)
    for rival in ("prdpt", "spsa"):
        absolute, relative = {}, {}
        for task in tasks:
            variance = {m: evidence.metric(task, m, "gradient_norm_variance") for m in ("zerograds", rival)}
            norm = {m: evidence.metric(task, m, "gradient_norm") for m in ("zerograds", rival)}
            for seed in variance["zerograds"].index.intersection(variance[rival].index):
                ours, theirs = variance["zerograds"][seed], variance[rival][seed]
                if not (ours > 0 and theirs > 0):
                    continue
                absolute[task, seed] = np.log10(theirs / ours)
                scale = 2 * np.log10(norm["zerograds"][seed] / norm[rival][seed])
                relative[task, seed] = absolute[task, seed] + scale
        claim = f"the variance of the gradient's norm is more than ten times lower with ZeroGrads than with {rival}"
        for kind, found in (("absolute", absolute), ("relative", relative)):
            effect = Effect.of(pd.Series(found, dtype=float))
            told = claim + (", relative to its squared mean" if kind == "relative" else "")
            tables = "curves (gradient_norm_variance, gradient_norm)"
            note = "log10 of the variances' ratio"
            yield judged(f"gradient_variance/{rival}/{kind}", f"{OVERVIEW}, Fig. 8", told, effect, 1.0, tables, note)


def zerograds_against_rivals(evidence: Evidence) -> Iterator[Row]:
    """Seed Fig. 7: ZeroGrads is ahead of the other methods at equal evaluations; each rival under its own name."""
    for problem in FIGURE_7:
        tasks = evidence.tasks_where(problem)
        runs = evidence.runs[evidence.runs["task"].isin(tasks)]
        labels = runs.drop_duplicates("method")[["method", "algorithm"]].itertuples(index=False)
        rivals = [m for m, a in labels if a in RIVALS and (m == a or a == "cma_es")] or list(RIVALS[:1])
        for rival in rivals:
            claim = f"ZeroGrads ends lower than {rival} on {problem} at equal evaluations"
            effect = Effect.of(evidence.advantage(tasks, "zerograds", rival))
            name = f"zerograds_wins/{problem.split('.')[1]}/{rival}"
            yield judged(name, f"{OVERVIEW}, Fig. 7", claim, effect)


def zerograds_scales(evidence: Evidence) -> Iterator[Row]:
    """The seed: tested in up to 250 k dimensions. Asked here: does it get a tenth of the way there?"""
    tasks = evidence.tasks_where(least_dim=HUGE_DIM)
    found = {
        (task, seed): -np.log10(evidence.final_gap(task, "zerograds", seed))
        for task in tasks
        for seed in evidence.seeds(task, "zerograds")
    }
    claim = f"ZeroGrads optimizes more than {HUGE_DIM:,} dimensions: at least a tenth of the way to the optimum"
    effect = Effect.of(pd.Series(found, dtype=float))
    row = judged("zerograds_scales", ZEROGRADS, claim, effect, -np.log10(0.9), note="log10(1 / gap)")
    asked = evidence.runs[evidence.runs["task"].isin(tasks) & (evidence.runs["method"] == "zerograds")]
    refused = asked[asked["status"] == "unsupported"]
    if len(refused) and not found:
        row |= {"verdict": "does not hold", "measured": f"unsupported: {refused['reason'].iloc[0]}"}
    yield row


def plateaus(evidence: Evidence) -> Iterator[Row]:
    """PRDPT's reason to be: it leaves plateaus on which the true gradient is zero."""
    flat = evidence.tasks[(evidence.tasks["central_difference"] == 0) & (evidence.tasks["gradient"] != "none")]
    steps = evidence.tasks_where("raster.square", case="overlap")  # the slope there is cut into steps, no plateau
    tasks = [task for task in flat["task"] if task not in steps]
    stays = [evidence.final_gap(task, "adam", seed) for task in tasks for seed in evidence.seeds(task, "adam", "prdpt")]
    still = float(np.median(stays)) if stays else np.nan
    claim = "PRDPT leaves plateaus (half the distance or more) on which Adam stays with the true gradient"
    pairs = evidence.advantage(tasks, "prdpt", "adam")
    note = f"Adam's median gap {still:.2f}" if stays else ""
    row = judged("prdpt_leaves_plateaus", PRDPT, claim, Effect.of(pairs), np.log10(2), note=note)
    if still < 0.5 and row["verdict"] == "holds":
        row["verdict"] = "inconclusive"  # Adam got away too: these are no plateaus
    yield row


def ablations(evidence: Evidence) -> Iterator[Row]:
    """What each part of a method is worth: variants that differ in this one parameter (and in tuned step sizes)."""
    parts = (
        ("prdpt", "importance_sampling", True, False, PRDPT, "importance sampling of the kernel's derivative"),
        ("prdpt", "antithetic", True, False, PRDPT, "antithetic sampling"),
        ("prdpt", "annealing", "linear", "constant", PRDPT, "annealing the bandwidth"),
        ("prdpt", "estimator", "exact", "released", OURS, "the exact estimator instead of the released one"),
        ("prdpt", "objective", "picture", "loss", OURS, "smoothing the picture (Eq. 3) instead of the loss"),
        ("prdpt", "objective", "leave_one_out", "loss", OURS, "smoothing the picture, leave-one-out"),
        ("zerograds", "surrogate", "neural", "quadratic", ZEROGRADS, "a neural instead of a quadratic surrogate"),
        ("zerograds", "surrogate", "neural", "linear", ZEROGRADS, "a neural instead of a linear surrogate"),
        ("zerograds", "smoothing", True, False, ZEROGRADS, "smoothing the loss"),
        ("zerograds", "locality", True, False, ZEROGRADS, "sampling locally"),
        ("zerograds", "antithetic", True, False, ZEROGRADS, "antithetic sampling"),
        ("zerograds", "fitting", "always", "before", ZEROGRADS, "refitting in every iteration instead of once before"),
        ("zerograds", "order", "fit_first", "released", "ours, see methods/zerograds.py", "fitting before stepping"),
        ("influence", "entries", 48, 0, INFLUENCE, "a sparse part beside the span of the renders"),
        ("influence", "factors", 4.0, 0.0, INFLUENCE, "taking out what all pixels share"),
        ("influence", "pyramid", True, False, INFLUENCE, "blurring pictures until they can be predicted"),
        ("prdpt", "schedule", "linear", "constant", DESCENT, "a linear decay of the rate"),
        ("zerograds", "schedule", "linear", "constant", DESCENT, "a linear decay of the rate"),
    )
    for algorithm, parameter, plain, changed, source, what in parts:
        pairs = [
            evidence.advantage([task], better, worse)
            for task, better, worse in evidence.contrasts(algorithm, parameter, plain, changed)
        ]
        effect = Effect.of(pd.concat(pairs) if pairs else pd.Series(dtype=float))
        yield judged(
            f"{algorithm}/{parameter}/{plain}_or_{changed}".lower(), source, f"{algorithm}: {what} helps", effect
        )


def search_does_not_scale(evidence: Evidence) -> Iterator[Row]:
    """The seed's related work: search-based methods do not scale; their scalable variants are asked, too."""
    large = evidence.tasks_where(least_dim=30_000)
    runs = evidence.runs[evidence.runs["task"].isin(large) & (evidence.runs["method"] == "cma_es")]
    refused = int(runs["status"].isin(["unsupported", "out_of_memory"]).sum())
    share = refused / len(runs) if len(runs) else np.nan
    row = judged(
        "full_cma_es_cannot_run",
        ZEROGRADS,
        "CMA-ES with full covariance cannot run above 30,000 dimensions",
        Effect.of(pd.Series(dtype=float)),
        np.nan,
    )
    if len(runs):
        verdict = {0.0: "does not hold", 1.0: "holds"}.get(share, "inconclusive")
        row |= {"effect": share, "n_pairs": len(runs), "verdict": verdict}
        row["measured"] = f"{refused} of {len(runs)} runs could not: {runs['reason'].iloc[0] or 'they ran'}"
    yield row
    tasks = evidence.tasks_where(least_dim=PAPER_DIM)
    ran = evidence.runs[evidence.runs["task"].isin(tasks) & ~evidence.runs["status"].isin(UNSCORED)]
    searchers = [method for method in ran["method"].unique() if evidence.kinds.get(method) in SEARCH]
    for rival in searchers or ["cma_es_separable"]:
        claim = f"above {PAPER_DIM:,} dimensions {rival} ends higher than a gradient estimator (evolution strategy)"
        effect = Effect.of(evidence.advantage(tasks, "evolution_strategy", rival))
        yield judged(f"search_does_not_scale/{rival}", f"{OVERVIEW}, Sec. 2", claim, effect)


def gradient_direction(evidence: Evidence) -> Iterator[Row]:
    """A low variance is worth something only if the direction is right: cosine to the true gradient, later half."""
    tasks = evidence.tasks_where(least_dim=HIGH_DIM)
    alone, paired = {}, {}
    for task in tasks:
        ours = evidence.metric(task, "zerograds", "gradient_cosine", since=0.5)
        theirs = evidence.metric(task, "evolution_strategy", "gradient_cosine", since=0.5)
        alone |= {(task, seed): value for seed, value in ours.items()}
        paired |= {(task, seed): ours[seed] - theirs[seed] for seed in ours.index.intersection(theirs.index)}
    tables = "curves (gradient_cosine)"
    claim = f"above {HIGH_DIM:,} dimensions ZeroGrads' gradient points along the true one (cosine above 0.1)"
    yield judged(
        "zerograds_direction", ZEROGRADS, claim, Effect.of(pd.Series(alone, dtype=float)), 0.1, tables, "cosines"
    )
    claim = f"above {HIGH_DIM:,} dimensions ZeroGrads' gradient is closer to the true one than an evolution strategy's"
    effect = Effect.of(pd.Series(paired, dtype=float))
    yield judged("zerograds_direction/evolution_strategy", ZEROGRADS, claim, effect, 0.0, tables, "cosines' difference")


CLAIMS: tuple[Callable[[Evidence], Iterator[Row]], ...] = (
    *(zerograds_against_rivals, gradient_variance, gradient_direction, zerograds_scales),
    *(plateaus, ablations, search_does_not_scale),
)


def run_claims(evidence: Evidence) -> list[Row]:
    """Return the rows of claims.csv that runs decide."""
    found = [row for claim in CLAIMS for row in claim(evidence)]
    return found + influence_claims(evidence) + rendering_claims(evidence)
