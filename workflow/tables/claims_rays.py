"""What is claimed about rays for gradients, held against rays.csv and rays_descents.csv; effects: log10 of ratios."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workflow.tables.evidence import Effect, Row, judged

OURS = "ours, see methods/_ray_allocation.py"
TWICE = float(np.log10(2))
DUELS = (  # arms of equal rays: winner, loser, what is said of them
    ("many_pairs", "few_pairs", "more pairs of fewer samples a pixel"),
    ("by_gradient", "even", "rays allotted by the gradient's deviation"),
    ("by_gradient", "by_primal", "rays allotted by the gradient's deviation instead of the picture's"),
)
PRB = {"gradient": "gradient", "primal": "picture"}  # allocation → its name in words
BUDGETED = (  # the like of equal cost, the overhead of renders counted
    ("joint", "budget_few_pairs", "pairs and samples chosen at every step, instead of two pairs of many samples,"),
    ("joint", "budget_some_pairs", "pairs and samples chosen at every step, instead of four pairs,"),
    ("joint", "budget_many_pairs", "pairs and samples chosen at every step, instead of eight pairs of few samples,"),
)


def rays_claims(values: pd.DataFrame, descents: pd.DataFrame) -> list[Row]:
    """Return the rows of claims.csv that rays decide."""
    scenes = list(dict.fromkeys(values["task"]))
    gains = [
        ("gradient", "ray_gain", 0.0, TWICE, "the gradient's allocation halves the variance that comes from rays"),
        (
            "primal",
            "ray_gain",
            0.0,
            0.0,
            "the picture's allocation lowers the gradient's variance that comes from rays",
        ),
        ("gradient", "total_gain", 0.125, 0.0, "the gradient's allocation lowers a gradient's variance at 1/8 sample"),
        ("gradient", "total_gain", 1.0, 0.0, "the gradient's allocation lowers a gradient's variance at 1 sample"),
        ("gradient", "total_gain", 16.0, 0.0, "the gradient's allocation lowers a gradient's variance at 16 samples"),
        ("uniform", "fewer", 0.0, TWICE, "1 sample a pixel and 16 times the pairs halve the variance of 16 samples"),
        ("uniform", "common", 0.0, TWICE, "common random numbers in a pair halve the variance that comes from rays"),
    ]
    rows = [gain(values, scenes, *item) for item in gains]
    of_prb = "allocation lowers the variance of the gradient of Mitsuba's `prb`"
    rows += [
        gain(values, scenes, name, "prb_ray_gain", 0.0, 0.0, f"the {what}'s {of_prb}") for name, what in PRB.items()
    ]
    for scene in scenes:
        rows.append(gain(values, [scene], *gains[0], name=f"/{scene}"))
    rows += [duel(descents, *item, "rays") for item in DUELS]
    return rows + [duel(descents, *item, "cost") for item in BUDGETED]


def gain(
    values: pd.DataFrame,
    scenes: Iterable[str],
    allocation: str,
    metric: str,
    samples: float,
    no_effect: float,
    claim: str,
    name: str = "",
) -> Row:
    """Is a ratio of variances large enough?"""
    chosen = values[
        (values["allocation"] == allocation)
        & (values["metric"] == metric)
        & (values["samples"] == samples)
        & values["task"].isin(list(scenes))
    ]
    effect = Effect.of(np.log10(chosen.set_index(["task", "state", "seed"])["value"].astype(float)))
    at = f"/{samples:g}" if samples else ""
    told = claim + (f", on {name[1:]}" if name else ", over scenes")
    note = "log10 of the ratio of variances"
    return judged(f"rays/{allocation}/{metric}{at}{name}", OURS, told, effect, no_effect, "rays", note)


def duel(descents: pd.DataFrame, winner: str, loser: str, what: str, equal: str) -> Row:
    """Does one way to spend the rays, or the cost, of a step end nearer to the truth than another?"""
    keys = ["task", "seed"]
    sides = [descents[descents["arm"] == arm].set_index(keys)["error"] for arm in (loser, winner)]
    effect = Effect.of(np.log10(sides[0] / sides[1]))
    claim = f"{what} end a descent nearer to the truth at equal {equal} ({winner} against {loser})"
    note = "log10 of the ratio of errors"
    return judged(f"rays/descent/{winner}/{loser}", OURS, claim, effect, 0.0, "rays_descents", note)
