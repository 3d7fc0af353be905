"""Where a run by hand would stand among stored results of the same task, parameters and budget."""

from __future__ import annotations

import csv
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.sources import ROOT


def standings(problem: str, params: Mapping[str, Any], evaluations: int, gap: float) -> Iterator[str]:
    """Yield a sentence per stored suite that has this task: the rank of `gap` among its methods' median gaps.

    Starts are others than the stored ones, as a run by hand has no label of its own in the suite.
    """
    folders = {
        path.resolve(): None for root in (Path.cwd(), ROOT) for path in sorted((root / "results").glob("*/tables"))
    }
    for folder in folders:
        suite = f"results/{folder.parent.name}"
        for row in _rows(folder / "tasks.csv"):
            if row.get("problem") != problem or json.loads(row["params"]) != dict(params):
                continue
            stored = [item for item in _rows(folder / "scores.csv") if item["task"] == row["task"]]
            budgets = {int(item["budget"]) for item in stored}
            gaps = sorted(
                float(item["gap_median"]) for item in stored if item["gap_median"] and item["oracle"] == "False"
            )
            if budgets != {evaluations}:
                yield f"{suite} has {row['task']} with {', '.join(map(str, sorted(budgets)))} evaluations"
            elif gaps:
                rank = bisect_left(gaps, gap) + 1
                yield f"rank {rank} of {len(gaps) + 1} on {row['task']} by the medians of {suite} (other starts)"


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
