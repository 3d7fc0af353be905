"""LFR23's claims about learned sampling of BRDFs, held against sampling.parquet; medians over test members."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow.tables.evidence import Effect, Row, judged

PAPER = "LFR23, learning to learn and sample BRDFs"
METRIC = "log_l1"
FEW = 8  # measurements, up to which choosing them well should matter most


def sampling_claims(sampling: pd.DataFrame) -> list[Row]:
    """Return the rows of claims.csv that sampling decides."""
    chosen = sampling[sampling["metric"] == METRIC].assign(value=lambda table: table["value"].fillna(np.inf))
    medians = chosen.groupby(["model", "seed", "method", "n"])["value"].median()
    return [
        *(fewer_measurements(medians, rival) for rival in ("random", "stratified", "meta")),
        *(directions_matter(medians, least, most) for least, most in ((1, FEW), (FEW + 1, np.inf))),
    ]


def fewer_measurements(medians: pd.Series, rival: str) -> Row:
    """How many measurements a rival takes for each one of learned directions, for the lowest error that both reach."""
    found = {}
    for (model, seed), values in medians.groupby(level=["model", "seed"]):
        curves = {method: curve.droplevel([0, 1, 2]) for method, curve in values.groupby(level="method")}
        if not {"learned", rival} <= set(curves):
            continue
        error = max(curves["learned"].min(), curves[rival].min())
        needed = {method: curves[method][curves[method] <= error].index.min() for method in ("learned", rival)}
        found[model, seed] = np.log10(needed[rival] / needed["learned"])
    claim = f"learned directions need fewer measurements than {rival} for the lowest error that both reach"
    note = "log10 of the numbers' ratio, at most that of the largest to the smallest number measured"
    return judged(f"sampling/fewer/{rival}", PAPER, claim, Effect.of(series(found)), 0.0, "sampling", note)


def directions_matter(medians: pd.Series, least: float, most: float) -> Row:
    """Is learning the directions worth something beyond learning start and step sizes?"""
    found = {}
    for (model, seed, n), values in medians.groupby(level=["model", "seed", "n"]):
        errors = values.droplevel([0, 1, 3])
        if least <= n <= most and {"meta", "learned"} <= set(errors.index):
            found[model, seed, n] = np.log10(errors["meta"] / errors["learned"])
    span = f"with at most {most:.0f} measurements" if np.isfinite(most) else f"with {least:.0f} measurements or more"
    claim = f"{span} learning the directions, too, is better than start and step sizes alone"
    name = f"sampling/directions/{'few' if np.isfinite(most) else 'many'}"
    note = f"log10 of the ratio of {METRIC}"
    return judged(name, PAPER, claim, Effect.of(series(found)), 0.0, "sampling", note)


def series(found: dict[tuple[object, ...], float]) -> pd.Series:
    """Return paired effects indexed by (model, seed, …)."""
    index = pd.MultiIndex.from_tuples(found) if found else None
    return pd.Series(list(found.values()), index=index, dtype=float)
