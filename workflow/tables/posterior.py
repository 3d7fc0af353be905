"""Tables of posterior sampling behind a plateau: what the jobs measured, and what every guide ran with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.experiments.posterior import CHOICES, VALUES
from workflow.suite import Suite
from workflow.tables.collect import read_parquet
from workflow.tables.schema import check


def tables_of_posterior(suite: Suite, results: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of guided samplers."""
    values, choices = (
        pd.concat([read_parquet(results / "posterior" / task / name, results) for task in suite.posterior])
        for name in (VALUES, CHOICES)
    )
    return {
        "posterior.csv": check(values.reset_index(drop=True), "posterior"),
        "posterior_choices.csv": check(choices.reset_index(drop=True), "posterior_choices"),
    }
