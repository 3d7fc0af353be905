"""Tables small enough to know every result by heart: tasks start at 1 and have their floor at 0, so gap = loss."""

from __future__ import annotations

import json

import pandas as pd

from benchmarks.harness.cell import Cell
from workflow.tables.claims import run_claims
from workflow.tables.schema import check


def make_tasks(*names, **changes):
    row = {
        "suite": "hand",
        "problem": "analytic.quadratic",
        "family": "analytic",
        "params": "{}",
        "dim": 10,
        "noise": "fixed",
        "gradient": "exact",
        "grad_cost": 2.0,
        "has_picture": False,
        "loss_start": 1.0,
        "loss_floor": 0.0,
        "evaluate_ms": 1.0,
        "gradient_ratio": 2.0,
        "central_difference": 0.5,
        "gradient_error": 0.01,
        "provenance": "ours",
        "source": "by hand",
    }
    order = ["suite", "task", *list(row)[1:]]
    return pd.DataFrame([{**row, "task": name, **changes} for name in names])[order]


def make_run(task, method, seed, loss, **changes):
    status = changes.get("status", "finished")
    row = {
        "suite": "hand",
        "task": task,
        "method": method,
        "algorithm": changes.pop("algorithm", method),
        "seed": seed,
        "dim": 10,
        "status": status,
        "reason": "" if status == "finished" else f"why {status}",
        "budget": 1000,
        "n_evals": 1000,
        "n_grads": 0,
        "cost": 1000.0,
        "wall_s": 4.0,
        "setup_s": 0.5,
        "ask_s": 0.5,
        "eval_s": 2.0,
        "tell_s": 1.0,
        "memory_base_mib": 100.0,
        "memory_peak_mib": 150.0,
        "gpu_peak_mib": 0.0,
        "loss_start": 1.0,
        "loss_final": loss,
        "params": "{}",
        "device": "a processor",
        "versions": "python=3.11.7 torch=2.13.0",
        "commit": "0123456789ab",
    }
    return {**row, **changes}


def make_curve(run, points, metric="loss"):
    """Rows of curves.parquet from (cost, value) pairs."""
    keys = {key: run[key] for key in ("suite", "task", "method", "seed")}
    return [{**keys, "cost": float(c), "wall_s": c / 1000, "metric": metric, "value": v} for c, v in points]


def make_tables(finals, **changes):
    """Return runs and curves from {(task, method): [final loss per seed]}; the curves go 1, a bit lower, final."""
    runs, curves = [], []
    for (task, method), losses in finals.items():
        for seed, loss in enumerate(losses):
            run = make_run(task, method, seed, loss, **changes)
            runs.append(run)
            curves += make_curve(run, [(0, 1.0), (10, 0.99 - 0.001 * seed), (1000, loss)])
    return pd.DataFrame(runs), pd.DataFrame(curves)


def make_cells(finals):
    return [
        Cell("hand", task, "analytic.quadratic", method, method, 1000, 10.0, list(range(len(losses))))
        for (task, method), losses in finals.items()
    ]


def make_tuning(finals, task="t", method="m"):
    """Return tuning runs from {(lr, sigma): [final loss per replicate, None = failed]}."""
    rows = []
    for cell, ((lr, sigma), losses) in enumerate(finals.items()):
        for seed, loss in enumerate(losses):
            status = "diverged" if loss is None else "finished"
            run = make_run(task, method, 1_000_000 + seed, float("nan") if loss is None else loss, status=status)
            del run["algorithm"]
            rows.append({**run, "round": 1, "cell": cell, "choice": json.dumps({"lr": lr, "sigma": sigma})})
    return pd.DataFrame(rows)


def claims_of(evidence):
    """claims.csv of a suite that has runs only."""
    return check(pd.DataFrame(run_claims(evidence)), "claims")
