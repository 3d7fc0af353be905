"""Train a learner on a family, one file per seed: `python -m benchmarks.harness.meta_train --spec JSON --out FOLDER`.

A killed training goes on where it was last kept, and ends with the same numbers as one that was never interrupted.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import derive
from benchmarks.harness.job import Job, build, commit, device_name, entry, open_device, versions, watched
from benchmarks.harness.kept import load_state, read_json, unless_damaged, write_json, write_state
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.phases import NOBODY, Phases
from benchmarks.harness.store import copy, require_writable
from benchmarks.harness.watch import START_S, Death, Guard

if TYPE_CHECKING:
    from benchmarks.contract.family import Family
    from benchmarks.harness.trained import Card
    from methods.meta.base import Learner, State

KEEP_S = 20.0  # seconds between two copies of an unfinished training
CARDS = "cards.json"
TRAINED = ("ok", "diverged")  # there is something to adapt
NOTHING_LEARNED: State = {"learner": "", "params": {}, "learned": {}}


def train_all(cell: MetaCell, out: Path, phases: Phases | None = None, item: int = 0) -> list[dict[str, Any]]:
    """Train the missing replicates; return the cards of all.

    Args:
        cell: Learner and family.
        out: Folder of the trained learners.
        phases: Where the job notes what it is doing, for a process that watches it.
        item: Number of this cell among the job's.
    """
    phases = phases or Phases()
    phases.begin(item)
    open_device(cell.device)
    require_writable(out)
    mark = cell.of_training()
    for replicate in cell.replicates:
        kept = kept_file(out, replicate)
        if read_card(kept, mark) is None and read_card(kept.with_suffix(".pt"), mark) is not None:
            copy(kept.with_suffix(".pt"), kept)
    missing = [number for number in cell.replicates if read_card(kept_file(out, number), mark) is None]
    if missing:
        train_missing(cell, out, missing, phases)
    phases.begin(item)
    cards = []
    for replicate in cell.replicates:
        kept = kept_file(out, replicate)
        card = read_card(kept, mark)
        if card is None:
            raise UsageError(f"{kept} changed meanwhile; run the same again")
        if read_card(kept.with_suffix(".pt"), mark) is None:
            copy(kept, kept.with_suffix(".pt"))
        cards.append(card)
    phases.enter("tables")
    if read_json(out / CARDS) != {"cards": cards}:
        write_json(out / CARDS, {"cards": cards})
    return cards


def train_missing(cell: MetaCell, out: Path, missing: Sequence[int], phases: Phases) -> None:
    """Train these replicates and keep each as soon as it is finished."""
    from benchmarks.contract.parameters import check
    from benchmarks.harness.ending import Ended
    from benchmarks.harness.registry import family_class, learner_class

    family_type, learner_type = family_class(cell.world), learner_class(cell.algorithm)
    family_params = check(family_type.setup, cell.family_params, f"family {cell.family!r} ({cell.world})")
    params = check(learner_type.setup, cell.params, f"learner {cell.learner!r} ({cell.algorithm})")
    phases.enter("task")
    family = build(family_type, cell.device, family_params)
    for replicate in missing:
        kept = kept_file(out, replicate)
        phases.begin(phases.item, replicate)
        if isinstance(family, Ended):
            keep(cell, kept, {"status": family.status, "reason": f"task: {family.reason}"})
        else:
            train_one(cell, family, learner_type, params, family_params, kept, phases)


def kept_file(out: Path, replicate: int) -> Path:
    """Return where a replicate is kept: the pipeline removes a rule's outputs before it calls, but not this."""
    return out / f"replicate_{replicate}.kept"


def train_one(
    cell: MetaCell,
    family: Family,
    learner_type: type[Learner],
    params: dict[str, Any],
    family_params: dict[str, Any],
    kept: Path,
    phases: Phases,
) -> None:
    """Train one replicate and keep it; its card tells as well how a training ended that did not end well."""
    from benchmarks.harness.ending import ENDS, ending_of
    from methods.meta.base import Budget

    unfinished, mark = kept.with_suffix(".state"), cell.of_training()
    facts = {
        "family_params": family_params,
        "params": params,
        "metric": family.metric,
        "inner_steps": family.steps,
        "step_samples": family.samples,
        "n_weights": family.n_weights,
        "n_train": len(family.split.train),
        "source": " ".join(family.source.split()),
    }
    try:
        phases.enter("setup")
        learner = learner_type(**params)
        budget = Budget(cell.training_samples, cell.training_seconds or math.inf)
        begun = read_unfinished(unfinished, mark)
        phases.enter("train")
        state = learner.train(
            family,
            budget,
            derive("meta_train", cell.family, phases.replicate),  # the same start and members for every learner
            state=begun,
            progress=keeper(unfinished, mark, phases),
        )
    except ENDS as error:
        if phases.now == "state" and isinstance(error, UsageError):
            raise  # a full disk is no end of this training
        ended = ending_of(error)
        keep(cell, kept, facts | {"status": ended.status, "reason": f"{phases.now}: {ended.reason}"})
        return
    finite = all(bool(value.isfinite().all()) for value in state["learned"].values())
    facts |= {
        "train_steps": state["steps"],
        "train_samples": state["samples"],
        "train_s": state["seconds"],
        "train_loss": state["loss"] if math.isfinite(state["loss"]) else None,
        "status": "ok" if finite else "diverged",
        "reason": "" if finite else "training ended without finite numbers",
    }
    phases.enter("tables")
    keep(cell, kept, facts, state)


def keep(cell: MetaCell, kept: Path, facts: dict[str, Any], state: State | None = None) -> None:
    """Keep a replicate, trained or not: what is known over what holds where nothing is."""
    from benchmarks.harness.trained import save_trained

    card = {
        "suite": cell.suite,
        "family": cell.world,
        "family_params": cell.family_params,
        "learner": cell.algorithm,
        "params": cell.params,
        "replicate": int(kept.stem.removeprefix("replicate_")),
        **dict.fromkeys(("metric", "inner_steps", "step_samples", "n_weights", "n_train", "source")),
        **dict.fromkeys(("train_steps", "train_samples", "train_s", "train_loss")),
        "device": device_name(cell.device),
        "versions": versions(),
        "commit": commit(),
        "fingerprint": cell.of_training(),
        **facts,
    }
    save_trained(card, state or NOTHING_LEARNED, kept)
    kept.with_suffix(".state").unlink(missing_ok=True)
    told = f"{card['train_steps']} steps, {card['train_samples']} samples, loss {card['train_loss']}"
    told = card["reason"] if state is None else told
    print(f"{cell.family} {cell.learner} replicate {card['replicate']}: {card['status']}, {told}", flush=True)


def bury(pieces: Sequence[tuple[MetaCell, Path]], death: Death) -> int:
    """Keep the cards of what a dead job was training: one replicate, or all that are missing where none had begun."""
    cell, out = pieces[death.beat.item]
    mark, given_up = cell.of_training(), 0
    for replicate in cell.replicates:
        kept = kept_file(out, replicate)
        if death.beat.replicate in (NOBODY, replicate) and read_card(kept, mark) is None:
            keep(cell, kept, {"status": death.status, "reason": f"{death.beat.phase}: {death.reason}"})
            given_up += 1
    return given_up


def guard_of(cell: MetaCell) -> Guard:
    """Return what one replicate may take before the job is ended from outside."""
    seconds = 3 * cell.training_seconds + 600 if cell.training_seconds else math.inf
    return Guard(phase_s=START_S, replicate_s=seconds)


def read_card(path: Path, mark: str) -> Card | None:
    """Return the card of a trained learner; None where its file is missing, damaged, or of other code or settings."""
    from benchmarks.harness.trained import load_card

    found = unless_damaged(load_card, path)
    return found[0] if found is not None and found[0].get("fingerprint") == mark else None


def keeper(path: Path, mark: str, phases: Phases) -> Any:
    """Return a function that keeps a copy of the state it is given, now and then, and shows that training goes on."""
    last = time.monotonic()

    def keep(state: State) -> None:
        nonlocal last
        if time.monotonic() - last >= KEEP_S:
            phases.enter("state")
            write_state(path, {"fingerprint": mark, "state": state})
            last = time.monotonic()
        phases.enter("train")

    return keep


def read_unfinished(path: Path, mark: str) -> State | None:
    """Return the state of a training that was cut off; None where there is none, or it is damaged or another one's."""
    content = unless_damaged(load_state, path, ("fingerprint", "state"))
    return content["state"] if content is not None and content["fingerprint"] == mark else None


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    cell, out = MetaCell.from_json(arguments.spec), arguments.out
    return Job(partial(train_all, cell, out), partial(bury, [(cell, out)]), guard_of(cell), cell.device, cell.threads)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
