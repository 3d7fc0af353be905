"""The scoreboard of claims: one line per claim, over all of its rows in claims.csv."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

HOLDS, PART, NOT, OPEN, UNTESTED = "holds", "in part", "does not hold", "inconclusive", "not tested"
ORDER = (HOLDS, PART, NOT, OPEN, UNTESTED)
MEANING = (
    "A claim with several rows (rivals, tasks) holds where all rows that were tested hold, in part where some do, does"
    " not hold where none does and at least one says the opposite; inconclusive: the intervals cannot tell."
)


@dataclass(frozen=True)
class Claim:
    """A claim with its verdict over all rows and how many rows say what."""

    id: str
    source: str
    verdict: str
    rows: dict[str, int]


def verdict_of(verdicts: pd.Series) -> str:
    """Return the verdict of a claim from those of its rows."""
    tested = set(verdicts) - {UNTESTED}
    if not tested:
        return UNTESTED
    if tested == {HOLDS}:
        return HOLDS
    return PART if HOLDS in tested else NOT if NOT in tested else OPEN


def scoreboard(claims: pd.DataFrame) -> list[Claim]:
    """Return the claims in the order of the table.

    Rows belong together that have the same id up to the first slash; up to the second where the first part is the same
    in all of them.
    """
    parts = claims["id"].str.split("/")
    depth = 2 if len(parts) > 1 and parts.str[0].nunique() == 1 else 1
    names = parts.str[:depth].str.join("/")
    return [
        Claim(
            str(name),
            str(rows["source"].iloc[0]),
            verdict_of(rows["verdict"]),
            {verdict: count for verdict in ORDER if (count := int(rows["verdict"].eq(verdict).sum()))},
        )
        for name, rows in claims.groupby(names, sort=False)
    ]


def totals(found: list[Claim]) -> dict[str, int]:
    """Return how many claims have each verdict."""
    return {verdict: sum(claim.verdict == verdict for claim in found) for verdict in ORDER}
