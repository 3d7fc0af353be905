"""Adapt trained learners to members they have never seen: `python -m benchmarks.harness.adapt --spec JSON …`.

`--models` is the folder that `meta_train` wrote, `--out` takes the tables of all replicates, each of which is kept as
soon as it is finished. All members are adapted to in one batch; what a step costs is timed with a single one.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import derive
from benchmarks.harness.job import (
    Job,
    build,
    commit,
    device_name,
    entry,
    open_device,
    to_bytes,
    versions,
    watched,
)
from benchmarks.harness.kept import load_pictures, read_json, unless_damaged, write_json, write_pictures, write_table
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.meta_train import TRAINED, guard_of, kept_file, train_all
from benchmarks.harness.meta_train import bury as bury_training
from benchmarks.harness.phases import NOBODY, Phases
from benchmarks.harness.search import text_of
from benchmarks.harness.sources import short
from benchmarks.harness.store import require_writable
from benchmarks.harness.watch import Death

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.contract.family import Family
    from benchmarks.harness.ending import Ended
    from benchmarks.harness.trained import Card
    from methods.meta.base import Learner, State

MODELS, ADAPTATION, PICTURES = "models.parquet", "adaptation.parquet", "pictures.npz"
COLUMNS = [
    *("suite", "family", "learner", "seed", "member", "step", "samples", "metric", "value", "seconds"),
]
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


def adapt_replicate(
    cell: MetaCell, family: Family, learner: Learner, state: State, replicate: int
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return the quality at every checkpoint, one row per (member, step, metric), and pictures `<member>/<step>`."""
    import torch

    members = getattr(family.split, cell.part)
    seed = derive("adapt", cell.family, cell.part, replicate)
    wanted, shown = set(checkpoints(cell.steps, family.steps)), {*quarters(family.steps), cell.steps}
    points: list[dict[str, Any]] = []
    pictures: dict[str, np.ndarray] = {}
    with torch.no_grad():
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
                            "value": value if math.isfinite(value) else None,
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


def adapt_all(cell: MetaCell, models: Path, out: Path, phases: Phases | None = None, item: int = 0) -> None:
    """Adapt with the missing replicates, then write the tables of all into `out`.

    Args:
        cell: Learner and family.
        models: Folder of the trained learners; what is missing there is trained first.
        out: Folder of the tables.
        phases: Where the job notes what it is doing, for a process that watches it.
        item: Number of this cell among the job's.
    """
    from benchmarks.harness.ending import Ended
    from benchmarks.harness.trained import load_card

    phases = phases or Phases()
    open_device(cell.device)
    require_writable(out)
    mark = cell.of_adaptation()
    train_all(cell, models, phases, item)  # what is whole is left alone
    phases.enter("task")
    family = None
    for replicate in cell.replicates:
        kept = out / f"replicate_{replicate}.json"
        if read_adaptation(kept, mark)[0] is None:
            card, state = load_card(kept_file(models, replicate))
            if card["status"] not in TRAINED:
                keep(cell, kept, describe(cell, card))
                continue
            family = family or family_of(cell)
            phases.begin(item, replicate)
            adapt_one(cell, family, card, state, kept, phases)
    phases.begin(item)
    phases.enter("image")
    references = {}
    if cell.pictured:
        family = family or family_of(cell)
        if not isinstance(family, Ended):
            references = reference_pictures(cell, family)
    phases.enter("tables")
    write_tables(cell, out, references)


def family_of(cell: MetaCell) -> Family | Ended:
    """Return the family, or why there is none."""
    from benchmarks.contract.parameters import check
    from benchmarks.harness.registry import family_class

    kind = family_class(cell.world)
    params = check(kind.setup, cell.family_params, f"family {cell.family!r} ({cell.world})")
    return build(kind, cell.device, params)


def reference_pictures(cell: MetaCell, family: Family) -> dict[str, np.ndarray]:
    """Return the pictures of the members themselves; none where the family cannot show them."""
    from benchmarks.harness.ending import ENDS, ending_of

    members = getattr(family.split, cell.part)[: cell.pictured].tolist()
    try:
        return {f"{family.names[one]}/reference": to_bytes(family.reference_picture(one)) for one in members}
    except ENDS as error:
        print(f"{cell.family}: no reference pictures, {ending_of(error).reason}", flush=True)
        return {}


def write_tables(cell: MetaCell, out: Path, pictures: dict[str, np.ndarray]) -> None:
    """Write the tables of all replicates, which are there, and the first one's pictures beside those given."""
    import pandas as pd

    rows, points, mark = [], [], cell.of_adaptation()
    for replicate in cell.replicates:
        stored, shown = read_adaptation(out / f"replicate_{replicate}.json", mark)
        if stored is None:
            raise UsageError(f"{out}: what was kept of replicate {replicate} changed meanwhile; run the same again")
        keys = {"suite": cell.suite, "family": cell.family, "learner": cell.learner, "seed": replicate}
        rows.append({**stored["row"], "suite": cell.suite, "seed": replicate})
        points += [{**keys, **point, "seconds": point["step"] * stored["row"]["step_s"]} for point in stored["points"]]
        if replicate == min(cell.replicates):
            pictures = shown | pictures
    write_table(out / ADAPTATION, pd.DataFrame(points, columns=COLUMNS))
    write_pictures(out / PICTURES, pictures)
    write_table(out / MODELS, pd.DataFrame(rows))


def adapt_one(cell: MetaCell, family: Family | Ended, card: Card, state: State, kept: Path, phases: Phases) -> None:
    """Adapt with one replicate and keep what came of it, a bad end included."""
    from benchmarks.contract.parameters import check
    from benchmarks.harness.ending import ENDS, Ended, ending_of
    from benchmarks.harness.registry import learner_class

    if isinstance(family, Ended):
        keep(cell, kept, describe(cell, card | {"status": family.status, "reason": f"task: {family.reason}"}))
        return
    params = check(learner_class(cell.algorithm).setup, cell.params, f"learner {cell.learner!r} ({cell.algorithm})")
    try:
        phases.enter("setup")
        learner = learner_class(cell.algorithm)(**params)
        phases.enter("adapt")
        found, shown = adapt_replicate(cell, family, learner, state, phases.replicate)
        phases.enter("adapt")
        seconds = seconds_per_step(cell, family, learner, state)
    except ENDS as error:
        ended = ending_of(error)
        row = describe(cell, card | {"status": ended.status, "reason": f"{phases.now}: {ended.reason}"})
        keep(cell, kept, row)
        return
    phases.enter("tables")
    row = describe(cell, card, found, seconds, len(getattr(family.split, cell.part)))
    keep(cell, kept, row, found, shown)


def keep(
    cell: MetaCell,
    kept: Path,
    row: dict[str, Any],
    points: Sequence[dict[str, Any]] = (),
    pictures: dict[str, np.ndarray] | None = None,
) -> None:
    """Keep one replicate's adaptation."""
    write_pictures(kept.with_suffix(".npz"), pictures or {})
    stored = {"fingerprint": cell.of_adaptation(), "row": row, "points": list(points)}
    write_json(kept, stored)
    print(f"{cell.family} {cell.learner} {kept.stem.replace('_', ' ')}: {told(stored)}", flush=True)


def bury(pieces: Sequence[tuple[MetaCell, Path, Path]], death: Death) -> int:
    """Keep what is known of what a dead job was at: trained or adapted, one replicate or all that are missing."""
    from benchmarks.harness.trained import load_card

    cell, models, out = pieces[death.beat.item]
    mark, given_up = cell.of_adaptation(), 0
    bury_training([(cell, models) for cell, models, _ in pieces], death)
    for replicate in cell.replicates:
        kept = out / f"replicate_{replicate}.json"
        if death.beat.replicate in (NOBODY, replicate) and read_adaptation(kept, mark)[0] is None:
            card, _ = load_card(kept_file(models, replicate))
            facts = {"status": death.status, "reason": f"{death.beat.phase}: {death.reason}"}
            keep(cell, kept, describe(cell, card | facts))
            given_up += 1
    return given_up


def read_adaptation(kept: Path, mark: str) -> tuple[dict[str, Any] | None, dict[str, np.ndarray]]:
    """Return what is kept of a finished replicate, `row` and `points`, and its pictures.

    None where it is not there, not whole, or of other code or settings: it has to be computed.
    """
    stored = read_json(kept, ("fingerprint", "row", "points"))
    if stored is None or stored["fingerprint"] != mark:
        return None, {}
    pictures = unless_damaged(load_pictures, kept.with_suffix(".npz"))
    return (None, {}) if pictures is None else (stored, pictures)


def describe(
    cell: MetaCell,
    card: Card,
    points: Sequence[dict[str, Any]] = (),
    seconds: float | None = None,
    n_members: int | None = None,
) -> Card:
    """Return the row of models.parquet: what training cost, what a step costs, how it ended."""
    from benchmarks.harness.registry import learner_class

    copied = ("metric", "inner_steps", "step_samples", "n_weights", "n_train")
    trained = ("train_steps", "train_samples", "train_s", "train_loss")
    last = [point["value"] for point in points if point["step"] == cell.steps and point["metric"] == card["metric"]]
    lost = sum(value is None for value in last)
    broken = f"{lost} of {len(last)} adaptations ended without a finite {card['metric']}" if lost else ""
    return {
        "family": cell.family,
        "learner": cell.learner,
        "algorithm": short(cell.algorithm),
        "params": text_of(card["params"]),
        "role": learner_class(cell.algorithm).role,
        "status": "diverged" if broken else card["status"],
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
    if not stored["points"]:
        return f"{stored['row']['status']}, {stored['row']['reason']}"
    import pandas as pd

    metric, points = stored["row"]["metric"], pd.DataFrame(stored["points"])
    medians = points[points["metric"] == metric].groupby("step")["value"].median()
    return f"{stored['row']['status']}, {metric} {medians.iloc[0]:.4g} → {medians.iloc[-1]:.4g} at {medians.index[-1]}"


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    cell, models, out = MetaCell.from_json(arguments.spec), arguments.models, arguments.out
    work, buried = partial(adapt_all, cell, models, out), partial(bury, [(cell, models, out)])
    return Job(work, buried, guard_of(cell), cell.device, cell.threads)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of, "models"))
