"""Metappearance's claims, held against adapted learners, seed by seed.

Metrics are medians over test members; speed-ups are told for means, too, because there the answer depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd

from workflow.tables.evidence import Effect, Row, judged
from workflow.tables.learners import OVER, by_seed, make_ratios, sign_of

PAPER, OURS = "Metappearance, TOG 2022", "ours, see methods/meta/learned_schedule.py and learned_curvature.py"
PUBLISHED = ("maml", "fomaml")  # the paper's learners, the first of them that a family met
OWN = ("learned_schedule", "learned_curvature")
ORDERS = 2.0  # log10: "several orders of magnitude" are at least two
SAVED = 0.995  # share of samples, the most that the paper reports


@dataclass(frozen=True)
class Learned:
    """Models and adaptation, seen as paired comparisons."""

    models: pd.DataFrame
    adaptation: pd.DataFrame

    @cached_property
    def ratios(self) -> pd.DataFrame:
        """Return what rivals need, seed by seed."""
        return make_ratios(self.models, self.adaptation)

    @cached_property
    def medians(self) -> pd.Series:
        """Return the median over members by (family, metric, learner, seed, step)."""
        return by_seed(self.adaptation, "median")["value"]

    @cached_property
    def families(self) -> pd.DataFrame:
        """Return metric and inner_steps by family."""
        return self.models.drop_duplicates("family").set_index("family")[["metric", "inner_steps"]]

    def learners(self, family: str) -> list[str]:
        """Return the labels of the learners that a family met."""
        return list(self.models.loc[self.models["family"] == family, "learner"].unique())

    @cached_property
    def own(self) -> list[str]:
        """Return the labels of our learners that a suite has."""
        return [label for label in OWN if label in set(self.models["learner"])]

    def published(self, family: str) -> str | None:
        """Return the label of the paper's learner on a family."""
        return next((label for label in PUBLISHED if label in self.learners(family)), None)

    def pairs(self, family: str, metric: str, over: str, learner: str, rival: str) -> pd.DataFrame:
        """Return the ratios of one learner and one rival, seed by seed."""
        wanted = {"family": family, "metric": metric, "over": over, "learner": learner, "rival": rival}
        chosen = np.logical_and.reduce([self.ratios[key] == value for key, value in wanted.items()])
        return self.ratios[chosen].set_index(["family", "learner", "rival", "seed"])

    def metrics(self, family: str) -> list[str]:
        """Return the metric that stands for all, and PSNR where there is one."""
        found = set(self.adaptation.loc[self.adaptation["family"] == family, "metric"])
        return [self.families.loc[family, "metric"], *({"psnr"} & found)]

    def at(self, family: str, metric: str, learner: str, step: int) -> pd.Series:
        """Return seed → median over members at the last checkpoint up to a step."""
        values = self.medians.loc[(family, metric, learner)].unstack("step")
        known = [known for known in values.columns if known <= step]
        return values[max(known)]

    def better(self, family: str, metric: str, better: str, worse: str) -> dict[tuple[str, str, str, int], float]:
        """Return `distance` after the inner loop by (family, better, worse, seed); above 0 where it is as named."""
        step = int(self.families.loc[family, "inner_steps"])
        one, other = (self.at(family, metric, label, step) for label in (better, worse))
        return {
            (family, better, worse, seed): distance(metric, other[seed], one[seed])
            for seed in one.index.intersection(other.index)
        }


def distance(metric: str, worse: float, better: float) -> float:
    """Return by how many powers of ten an error is smaller; for PSNR the difference / 10 dB, which is the same."""
    if sign_of(metric) < 0:
        return (better - worse) / 10
    return float(np.log10(max(worse, 1e-12) / max(better, 1e-12)))


def series(found: dict[tuple[str, str, str, int], float]) -> pd.Series:
    """Return paired effects indexed by (family, …)."""
    index = pd.MultiIndex.from_tuples(found, names=["family", "better", "worse", "seed"]) if found else None
    return pd.Series(list(found.values()), index=index, dtype=float)


def speedups(learned: Learned) -> Iterator[Row]:
    """How many more seconds, steps and samples a rival needs for the quality of a learner after its inner loop."""
    for family in learned.families.index:
        metrics = [(metric, over) for metric in learned.metrics(family) for over in OVER]
        for learner, (metric, over) in product(filter(None, (learned.published(family), *OWN)), metrics):
            where = f"at equal {metric} ({over} over members) on {family}"
            for rival, least in (("overfit", ORDERS), ("finetune", 0.0)):
                found = learned.pairs(family, metric, over, learner, rival)
                if found.empty:
                    continue
                with np.errstate(divide="ignore"):
                    effect = Effect.of(np.log10(found["seconds_ratio"]))
                times = f"more than {10**least:.0f} times " if least else ""
                claim = f"{learner} is {times}faster than {rival} {where}"
                name = f"{family}/{learner}/{rival}/{metric}/{over}"
                note = f"log10 of the seconds' ratio; {told(found)}"
                yield judged(f"faster/{name}", PAPER, claim, effect, least, "speedups", note)
                with np.errstate(divide="ignore"):
                    effect = Effect.of(np.log10(found["steps_ratio"]))
                claim = f"{learner} takes {times}fewer steps than {rival} {where}"
                note = f"log10 of the steps' ratio; {told(found)}"
                yield judged(f"fewer_steps/{name}", PAPER, claim, effect, least, "speedups", note)
                if rival == "overfit":
                    effect = Effect.of((1 - 1 / found["samples_ratio"]).clip(lower=-1))
                    claim = f"{learner} needs {SAVED:.1%} fewer samples than {rival} {where}"
                    note = "share of samples saved; −1 where it takes twice as many or more"
                    yield judged(f"fewer_samples/{name}", PAPER, claim, effect, SAVED, "speedups", note)


def told(pairs: pd.DataFrame) -> str:
    """Return in words what one rival needs for the quality of one learner."""
    steps, rival = pairs["rival_steps"].median(), pairs.index.get_level_values("rival")[0]
    quality, step = pairs["quality"].median(), pairs["step"].iloc[0]
    never = int(np.isinf(pairs["rival_steps"]).sum())
    late = f"not within {pairs['rival_last'].max():,} steps in {never} of {len(pairs)} seeds" if never else ""
    reached = f"takes {steps:,.0f} steps" if np.isfinite(steps) else ""
    return f"the quality {quality:.3g} of step {step}: {rival} {', '.join(filter(None, (reached, late)))}"


def compared(learned: Learned, better: str, worse: str) -> Effect:
    """Return how much better one learner is than another after the inner loop, on the families that both met."""
    found: dict[tuple[str, str, str, int], float] = {}
    for family, facts in learned.families.iterrows():
        if {better, worse} <= set(learned.learners(str(family))):
            found |= learned.better(str(family), facts["metric"], better, worse)
    return Effect.of(series(found))


def parts(learned: Learned) -> Iterator[Row]:
    """Is learning start and step sizes better than either alone? Is second order better than first?"""
    note = "log10 of the metrics' ratio after the inner loop"
    for label in PUBLISHED:
        for part, what in (("init", "the start"), ("rates", "the step sizes")):
            claim = f"{label}: learning start and step sizes is better than {what} alone"
            effect = compared(learned, label, f"{label}_{part}")
            yield judged(f"both_learned/{label}/{part}", PAPER, claim, effect, 0.0, "quality_at", note)
    claim = "second order (MAML) ends better than first order (FOMAML) at equal training samples"
    yield judged("second_order", PAPER, claim, compared(learned, "maml", "fomaml"), 0.0, "quality_at", note)
    for own in learned.own:
        for rival in (*PUBLISHED, "reptile", *OWN[: OWN.index(own)]):
            claim = f"{own} ends better than {rival} at equal training samples"
            yield judged(f"{own}/{rival}", OURS, claim, compared(learned, own, rival), 0.0, "quality_at", note)


def keeps_improving(learned: Learned) -> Iterator[Row]:
    """Does a learner go on improving past its last trained step? Twice the inner loop against once."""
    for label in (*PUBLISHED, "reptile", *learned.own):
        for kind in ("own", "psnr"):
            found: dict[tuple[str, str, str, int], float] = {}
            for family, facts in learned.families.iterrows():
                metric = facts["metric"] if kind == "own" else "psnr"
                if label not in learned.learners(str(family)) or metric not in learned.metrics(str(family)):
                    continue
                step = int(facts["inner_steps"])
                once, twice = (learned.at(str(family), metric, label, length) for length in (step, 2 * step))
                found |= {(str(family), label, label, s): distance(metric, once[s], twice[s]) for s in once.index}
            told = "the family's metric" if kind == "own" else "PSNR"
            claim = f"{label} goes on improving {told} after its last trained step"
            note = "log10 of the errors' ratio, once / twice the inner loop"
            effect = Effect.of(series(found))
            yield judged(f"keeps_improving/{label}/{kind}", OURS, claim, effect, 0.0, "quality_at", note)


def learner_claims(models: pd.DataFrame, adaptation: pd.DataFrame) -> list[Row]:
    """Return the rows of claims.csv that learners decide."""
    learned = Learned(models, adaptation)
    return [row for claims in (speedups, parts, keeps_improving) for row in claims(learned)]
