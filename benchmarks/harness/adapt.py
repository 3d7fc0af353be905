"""Adapt trained learners to members they have never seen: `python -m benchmarks.harness.adapt --spec JSON …`.

`--models` is the folder that `meta_train` wrote, `--out` takes the tables of all replicates, each of which is kept as
soon as it is finished. All members are adapted to in one batch; what a step costs is timed with a single one.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.harness.cell import commit, device_name, entry, limit_threads, open_device, to_bytes, versions
from benchmarks.harness.family import Family
from benchmarks.harness.kept import load_pictures, read_json, unless_damaged, write_json, write_pictures, write_table
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import train_all
from benchmarks.harness.parameters import check
from benchmarks.harness.registry import family_class, learner_class
from benchmarks.harness.seeds import derive
from benchmarks.harness.store import require_writable
from benchmarks.harness.trained import Card, load_card
from benchmarks.harness.tune import str_of
from methods.meta.base import Learner, State

MODELS, ADAPTATION, PICTURES = "models.parquet", "adaptation.parquet", "pictures.npz"
PER_DECADE = 10  # checkpoints
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the inner loop, at which pictures are taken
WARM_UP, TIMED = 3, 30  # steps of a single member: not timed, timed


def checkpoints(steps: int, inner_steps: int) -> list[int]:
    """Return the steps at which quality is measured: log-spaced, those of the pictures and the last among them."""
    ladder = {round(10 ** (k / PER_DECADE)) for k in range(6 * PER_DECADE)}
    wanted = {0, steps, *ladder, *quarters(inner_steps)}
    return sorted(step for step in wanted if step <= steps)


def quarters(inner_steps: int) -> list[int]:
    """Return the steps after which 0, 25, 50, 75 and 100 % of the inner loop are done."""
    return [round(share * inner_steps) for share in QUARTERS]


@torch.no_grad()
def adapt_replicate(
    cell: MetaCell, family: Family, learner: Learner, state: State, replicate: int
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the quality at every checkpoint, one row per (member, step, metric), and pictures `<member>/<step>`."""
    members = getattr(family.split, cell.part)
    seed = derive("adapt", cell.family, cell.part, replicate)
    wanted, shown = set(checkpoints(cell.steps, family.steps)), {*quarters(family.steps), cell.steps}
    points, pictures = [], {}
    for now in learner.adapt(state, family, members, cell.steps, seed):
        if now.step not in wanted:
            continue
        for metric, values in family.metrics(now.weights, members).items():
            for member, value in zip(members.tolist(), values.tolist(), strict=True):
                points.append(
                    {
                        "member": family.names[member],
                        "step": now.step,
                        "samples": now.samples,
                        "metric": metric,
                        "value": value if np.isfinite(value) else None,
                    }
                )
        for row in range(min(cell.pictured, len(members)) if now.step in shown else 0):
            picture = family.picture(now.weights[row], int(members[row])).nan_to_num()
            pictures[f"{family.names[int(members[row])]}/{now.step}"] = to_bytes(picture)
    return points, pictures


def seconds_per_step(cell: MetaCell, family: Family, learner: Learner, state: State) -> float:
    """Return the median seconds of one step of adaptation of a single member, after a warm-up."""
    steps = min(cell.steps, WARM_UP + TIMED)
    times = [now.seconds for now in learner.adapt(state, family, family.split.test[:1], steps)]
    taken = [after - before for before, after in pairwise(times)]
    return median(taken[WARM_UP:] or taken) if taken else 0.0


def adapt_all(cell: MetaCell, models: Path, out: Path) -> None:
    """Adapt with the missing replicates, then write the tables of all into `out`."""
    open_device(cell.device)
    require_writable(out)
    family_type, learner_type = family_class(cell.world), learner_class(cell.algorithm)
    family_params = check(family_type.setup, cell.family_params, f"family {cell.family!r} ({cell.world})")
    params = check(learner_type.setup, cell.params, f"learner {cell.learner!r} ({cell.algorithm})")
    learner, mark = learner_type(**params), cell.of_adaptation()
    train_all(cell, models)  # what is whole is left alone
    family, rows, points, pictures = None, [], [], {}
    for replicate in cell.replicates:
        kept = out / f"replicate_{replicate}.json"
        stored, shown = read_adaptation(kept, mark)
        if stored is None:
            family = family or family_type(device=cell.device, **family_params)
            card, state = load_card(models / f"replicate_{replicate}.pt")
            found, shown = adapt_replicate(cell, family, learner, state, replicate)
            write_pictures(kept.with_suffix(".npz"), shown)
            seconds = seconds_per_step(cell, family, learner, state)
            row = describe(cell, card, found, seconds, len(getattr(family.split, cell.part)))
            stored = {"fingerprint": mark, "row": row, "points": found}
            write_json(kept, stored)
            print(f"{cell.family} {cell.learner} replicate {replicate}: {told(stored)}", flush=True)
        keys = {"suite": cell.suite, "family": cell.family, "learner": cell.learner, "seed": replicate}
        rows.append({**stored["row"], "suite": cell.suite, "seed": replicate})
        points += [{**keys, **point, "seconds": point["step"] * stored["row"]["step_s"]} for point in stored["points"]]
        if replicate == min(cell.replicates):
            pictures = shown
    if cell.pictured:
        family = family or family_type(device=cell.device, **family_params)
        for member in getattr(family.split, cell.part)[: cell.pictured].tolist():
            pictures[f"{family.names[member]}/reference"] = to_bytes(family.reference_picture(member))
    write_table(out / ADAPTATION, pd.DataFrame(points))
    write_pictures(out / PICTURES, pictures)
    write_table(out / MODELS, pd.DataFrame(rows))


def read_adaptation(kept: Path, mark: str) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """Return what is kept of a finished replicate, `row` and `points`, and its pictures.

    None where it is not there, not whole, or of other code or settings: it has to be computed.
    """
    stored = read_json(kept, ("fingerprint", "row", "points"))
    if stored is None or stored["fingerprint"] != mark:
        return None, {}
    pictures = unless_damaged(load_pictures, kept.with_suffix(".npz"))
    return (None, {}) if pictures is None else (stored, pictures)


def describe(cell: MetaCell, card: Card, points: list[dict[str, Any]], seconds: float, n_members: int) -> Card:
    """Return the row of models.parquet: what training cost, what a step costs, how it ended."""
    copied = ("metric", "inner_steps", "step_samples", "n_weights", "n_train")
    trained = ("train_steps", "train_samples", "train_s", "train_loss")
    last = [point["value"] for point in points if point["step"] == cell.steps and point["metric"] == card["metric"]]
    lost = sum(value is None for value in last)
    broken = f"{lost} of {len(last)} adaptations ended without a finite {card['metric']}" if lost else ""
    return {
        "family": cell.family,
        "learner": cell.learner,
        "algorithm": cell.algorithm,
        "params": str_of(card["params"]),
        "role": learner_class(cell.algorithm).role,
        "status": "diverged" if broken or card["status"] != "ok" else "ok",
        "reason": card["reason"] or broken,
        **{key: card[key] for key in (*copied, *trained)},
        "n_test": n_members,
        "step_s": seconds,
        "device": device_name(cell.device),
        "versions": versions(),
        "commit": commit(),
    }


def told(stored: dict[str, Any]) -> str:
    """Return one line about how adaptation went: the metric before and after."""
    metric, points = stored["row"]["metric"], pd.DataFrame(stored["points"])
    medians = points[points["metric"] == metric].groupby("step")["value"].median()
    return f"{stored['row']['status']}, {metric} {medians.iloc[0]:.4g} → {medians.iloc[-1]:.4g} at {medians.index[-1]}"


def main() -> None:
    """Parse the command line and adapt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="learner and family as JSON")
    parser.add_argument("--models", required=True, type=Path, help="folder of the trained learners")
    parser.add_argument("--out", required=True, type=Path, help="folder for its tables")
    arguments = parser.parse_args()
    cell = MetaCell.from_json(arguments.spec)
    limit_threads(cell.threads)
    adapt_all(cell, arguments.models, arguments.out)


if __name__ == "__main__":
    entry(main)
