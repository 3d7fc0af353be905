"""Tables of diffusion samplers: what the jobs measured, evaluations to reach DDPM, and the order without sampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.contract.parameters import check as check_params
from benchmarks.experiments.diffusion import CHOICES, TRIED, VALUES, Diffusion
from benchmarks.experiments.gaussian_order import spread_error
from benchmarks.harness.registry import sampler_class
from workflow.suite import Suite
from workflow.tables.collect import read_parquet
from workflow.tables.schema import check, schema

DISTANCES = ("sliced_w2", "frechet")  # lower is better, and a floor is known
BASE = "ddpm"  # the sampler whose largest budget is to be reached
SPREADS = (0.1, 0.3, 1.0, 3.0)
STEPS = (5, 10, 20, 40, 80, 160)


def tables_of_diffusion(suite: Suite, results: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of diffusion samplers."""
    kept = {
        name: pd.concat(
            [read_parquet(results / "diffusion" / task / name, results) for task in suite.diffusion], ignore_index=True
        )
        for name in (VALUES, CHOICES, TRIED)
    }
    values = check(kept[VALUES], "diffusion")
    return {
        "diffusion.csv": values,
        "diffusion_choices.csv": check(kept[CHOICES], "diffusion_choices"),
        "diffusion_tried.csv": check(kept[TRIED], "diffusion_tried"),
        "diffusion_reach.csv": make_reach(suite.name, values),
        "diffusion_order.csv": make_order(suite),
    }


def make_reach(suite: str, values: pd.DataFrame) -> pd.DataFrame:
    """Return the least budget of every sampler whose median distance is at most BASE's at its largest budget."""
    rows = []
    distances = values[values["metric"].isin(DISTANCES)]
    for (task, metric), part in distances.groupby(["task", "metric"], sort=False):
        medians = part.groupby(["sampler", "budget"], sort=False)["value"].median()
        if BASE not in medians.index.get_level_values("sampler"):
            continue
        last = int(medians[BASE].index.max())
        target = medians[BASE][last]
        for sampler, curve in medians.groupby("sampler", sort=False):
            reached = curve.droplevel("sampler")
            enough = reached.index[reached <= target]
            facts = {"suite": suite, "task": task, "sampler": sampler, "metric": metric}
            rows.append(
                {
                    **facts,
                    **{"target_budget": last, "target": target, "budget": enough.min() if len(enough) else None},
                    "largest": int(reached.index.max()),
                }
            )
    frame = pd.DataFrame(rows, columns=list(schema("diffusion_reach")["columns"]))
    return check(frame.assign(budget=pd.to_numeric(frame["budget"])), "diffusion_reach")


def make_order(suite: Suite) -> pd.DataFrame:
    """Return diffusion_order.csv: samplers that take the same steps whatever the values, and have nothing to tune."""
    spec = Diffusion(**next(iter(suite.diffusion.values())))
    rows: list[dict[str, Any]] = []
    for label in spec.samplers:
        entry = spec.entry(label)
        kind = sampler_class(entry.algorithm)
        if entry.grid or not kind.linear:
            continue
        sampler = kind(**check_params(kind.setup, entry.params, f"sampler {label!r}"))
        for spread in SPREADS:
            for steps in STEPS:
                error = float(f"{spread_error(sampler, steps, spread):.6g}")
                rows.append({"suite": suite.name, "sampler": label, "spread": spread, "steps": steps, "error": error})
    return check(pd.DataFrame(rows, columns=list(schema("diffusion_order")["columns"])), "diffusion_order")
