"""What is claimed about sampling diffusion models in fewer steps, held against diffusion.csv and diffusion_order.csv.

Effects are log10(distance of the other / distance of the claimed winner) at an equal budget of evaluations and equal
seeds, pooled over the budgets of FEW: with more, most samplers are at the floor.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from workflow.tables.evidence import Effect, Row, judged

QUESTION, OURS = "overview (seed), future work", "ours, see methods/diffusion/family.py"
FEW = (5, 10, 20)
METRIC = "sliced_w2"
DUELS = (  # winner, loser
    ("ahead_ddpm", "ddpm"),
    ("ahead_ddim", "ddim"),
    ("ahead_ddim", "dpm_solver"),
    ("ahead_ddpm", "sde_dpm_solver"),
    ("ahead_ddim", "unipc"),
)
ORDERS = (("ahead_ddpm", 2), ("ahead_ddim", 2), ("ddpm", 1), ("ddim", 1))
FINE = 20  # steps from which on the order shows
NEAR = 0.25  # a measured order within this much of a whole number is that order


def diffusion_claims(
    values: pd.DataFrame, choices: pd.DataFrame, order: pd.DataFrame, labels: pd.DataFrame
) -> list[Row]:
    """Return the rows of claims.csv that the samplers decide."""
    exact = set(choices.loc[choices["scores"] == "exact", "task"])
    network = set(choices.loc[choices["scores"] == "network", "task"])
    varied = labels[(labels["what"] == "sampler") & labels["ablation_of"].notna()]
    rows = [smoothing(values, *row) for row in varied[["label", "name", "ablation_of"]].itertuples(index=False)]
    rows += [order_of(order, sampler, claimed) for sampler, claimed in ORDERS]
    for winner, loser in DUELS:
        rows.append(duel(values, winner, loser, "exact", exact, METRIC, FEW))
        rows += [duel(values, winner, loser, "network", network, metric, FEW) for metric in (METRIC, "frechet")]
    for budget in FEW:
        rows.append(duel(values, "ahead_ddim", "dpm_solver", "exact", exact, METRIC, (budget,)))
    return rows


def advantage(
    values: pd.DataFrame, winner: str, loser: str, tasks: Iterable[str], metric: str, budgets: Iterable[int]
) -> pd.Series:
    """Return log10(loser / winner) per (task, budget, seed): above 0, the winner is nearer to the truth."""
    chosen = values[
        (values["metric"] == metric) & values["task"].isin(list(tasks)) & values["budget"].isin(list(budgets))
    ]
    keys = ["task", "budget", "seed"]
    sides = [chosen[chosen["sampler"] == name].set_index(keys)["value"] for name in (loser, winner)]
    both = pd.concat(sides, axis=1, join="inner").to_numpy(float)
    index = sides[0].index.intersection(sides[1].index, sort=False)
    return pd.Series(np.log10(both[:, 0] / both[:, 1]), index=index, dtype=float)


def smoothing(values: pd.DataFrame, label: str, name: str, plain: str) -> Row:
    """Does a smoothed sampler come nearer to the truth than the plain one with few evaluations?"""
    effect = Effect.of(advantage(values, label, plain, values["task"].unique(), METRIC, FEW))
    claim = f"smoothing allows fewer steps: {name} is nearer to the truth than {plain} at equal evaluations"
    note = f"log10 of the ratio of {METRIC} at {', '.join(map(str, FEW))} evaluations"
    return judged(f"diffusion/smoothing/{label}", QUESTION, claim, effect, 0.0, "diffusion", note)


def duel(
    values: pd.DataFrame, winner: str, loser: str, where: str, tasks: set[str], metric: str, budgets: tuple[int, ...]
) -> Row:
    """Is look-ahead nearer to the truth than a rival at equal evaluations?"""
    effect = Effect.of(advantage(values, winner, loser, tasks, metric, budgets))
    few = ", ".join(map(str, budgets))
    scores = {"exact": "exact scores", "network": "a network"}[where]
    claim = f"{winner} is nearer to the truth than {loser} at equal evaluations, with {scores} ({metric}, {few})"
    name = f"diffusion/{winner}/{loser}/{where}/{metric}" + (f"/{few}" if len(budgets) == 1 else "")
    return judged(name, OURS, claim, effect, 0.0, "diffusion", "log10 of the ratio of distances")


def order_of(order: pd.DataFrame, sampler: str, claimed: int) -> Row:
    """By which power of the step does the error of the standard deviation fall? No random numbers: spreads differ."""
    found = {}
    errors = order[order["sampler"] == sampler].set_index(["spread", "steps"])["error"].abs()
    for spread, steps in errors.index:
        if steps >= FINE and (spread, 2 * steps) in errors.index:
            found[f"spread {spread:g}", steps] = np.log2(errors[spread, steps] / errors[spread, 2 * steps])
    index = pd.MultiIndex.from_tuples(found) if found else None
    effect = Effect.of(pd.Series(list(found.values()), index=index, dtype=float))
    claim = f"{sampler}: the standard deviation of Gaussian data is right to order {claimed} of the step"
    note = f"log2 of the error's ratio when steps double, from {FINE} steps on; the interval is over data, not chance"
    row = judged(f"diffusion/order/{sampler}", OURS, claim, effect, claimed - NEAR, "diffusion_order", note)
    if effect.n_pairs and effect.low >= claimed + 1 - NEAR:
        row["verdict"] = "does not hold"  # it is of a higher order
    return row
