"""What is claimed about posterior sampling behind a plateau, held against posterior.csv.

Effects are log10(sliced W₂ of the other / sliced W₂ of the claimed winner) on the same measured value and at equal
evaluations per chain, unless a claim names two budgets, pooled over measurements.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow.tables.evidence import Effect, Row, judged

OURS = "ours, see methods/posterior/"
METRIC = "sliced_w2"
ALL = (40, 160, 640)
DUELS = (  # winner, loser, budgets
    ("loss", "unguided", ALL),
    ("picture", "loss", ALL),
    ("likelihood", "picture", ALL),
    ("picture_memory", "picture", ALL),
    ("picture_shared", "picture", ALL),
    ("picture_shared", "picture_memory", ALL),
    ("picture_shared", "enkg", ALL),
    ("picture_shared", "enkg", (40,)),
    ("picture_shared", "enkg", (160,)),
    ("picture_shared", "likelihood", ALL),
    ("picture_memory", "enkg", ALL),
    ("picture_shared", "dps", (40, 160)),
)
SAVED = (("picture_memory", "picture"), ("picture_shared", "picture"), ("picture_shared", "enkg"))
FACTOR = 4
ALIKE = 0.0414  # log10(1.1): as near to the truth, give or take a tenth


def posterior_claims(values: pd.DataFrame) -> list[Row]:
    """Return the rows of claims.csv that guided samplers decide."""
    values = values[values["metric"] == METRIC]
    rows = [duel(values, *item) for item in DUELS]
    return rows + [saving(values, *item) for item in SAVED]


def advantage(values: pd.DataFrame, winner: str, loser: str, budgets: tuple[int, ...], factor: int = 1) -> pd.Series:
    """Return log10(loser / winner) per (task, seed, budget); the loser may have `factor` times the evaluations."""
    found = {}
    known = values.set_index(["guide", "task", "seed", "budget"])["value"]
    unguided = values[values["guide"] == "unguided"].set_index(["task", "seed"])["value"]
    for guide, task, seed, budget in known.index:
        if guide != winner or budget not in budgets:
            continue
        other = unguided.get((task, seed)) if loser == "unguided" else known.get((loser, task, seed, factor * budget))
        if other is not None:
            found[task, seed, budget] = np.log10(other / known[guide, task, seed, budget])
    index = pd.MultiIndex.from_tuples(found) if found else None
    return pd.Series(list(found.values()), index=index, dtype=float)


def duel(values: pd.DataFrame, winner: str, loser: str, budgets: tuple[int, ...]) -> Row:
    """Is one guide nearer to the true posterior than another at equal evaluations?"""
    told = ", ".join(map(str, budgets))
    claim = (
        f"{winner} is nearer to the true posterior than {loser} at equal evaluations of a black box ({told} a chain)"
    )
    name = f"posterior/{winner}/{loser}" + (f"/{told}" if len(budgets) == 1 else "")
    effect = Effect.of(advantage(values, winner, loser, budgets))
    return judged(name, OURS, claim, effect, 0.0, "posterior", f"log10 of the ratio of {METRIC}")


def saving(values: pd.DataFrame, winner: str, loser: str) -> Row:
    """Is a guide as near to the truth as another with four times the evaluations?"""
    claim = f"{winner} is as near to the true posterior as {loser} with {FACTOR} times the evaluations, or nearer"
    effect = Effect.of(advantage(values, winner, loser, ALL, FACTOR))
    note = f"log10 of the ratio of {METRIC}; a tenth further away counts as alike"
    return judged(f"posterior/saves/{winner}/{loser}", OURS, claim, effect, -ALIKE, "posterior", note)
