"""Tables of the rays of gradients: what they are worth with a scene held still, maps, and descents that spend them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.experiments.rays import DESCENTS, ENDINGS, MAPS, VALUES
from workflow.suite import Suite
from workflow.tables.collect import read_parquet
from workflow.tables.schema import check

TABLES = {"rays.csv": VALUES, "rays_maps.parquet": MAPS, "rays_descents.csv": DESCENTS, "rays_endings.csv": ENDINGS}


def tables_of_rays(suite: Suite, results: Path) -> dict[str, pd.DataFrame]:
    """Return file → table."""
    found = {}
    for name, kept in TABLES.items():
        parts = [read_parquet(results / "rays" / scene / kept, results) for scene in suite.rays]
        filled = [part for part in parts if len(part)] or parts[:1]  # an empty part has columns of no type
        found[name] = check(pd.concat(filled, ignore_index=True), name.partition(".")[0])
    return found
