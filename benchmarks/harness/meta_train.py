"""Train a learner on a family, one file per seed: `python -m benchmarks.harness.meta_train --spec JSON --out FOLDER`.

A killed training goes on where it was last kept, and ends with the same numbers as one that was never interrupted.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.cell import commit, device_name, entry, limit_threads, open_device, versions
from benchmarks.harness.kept import load_state, read_json, unless_damaged, write_json, write_state
from benchmarks.harness.meta_cell import MetaCell
from benchmarks.harness.parameters import check
from benchmarks.harness.registry import family_class, learner_class
from benchmarks.harness.seeds import derive
from benchmarks.harness.store import copy, require_writable
from benchmarks.harness.trained import Card, load_card, save_trained
from methods.meta.base import Budget, State

KEEP_S = 20.0  # seconds between two copies of an unfinished training
CARDS = "cards.json"


def train_all(cell: MetaCell, out: Path) -> list[dict[str, Any]]:
    """Train the missing replicates; return the cards of all."""
    open_device(cell.device)
    require_writable(out)
    family_type, learner_type = family_class(cell.world), learner_class(cell.algorithm)
    family_params = check(family_type.setup, cell.family_params, f"family {cell.family!r} ({cell.world})")
    params = check(learner_type.setup, cell.params, f"learner {cell.learner!r} ({cell.algorithm})")
    mark = cell.of_training()
    family, cards = None, []
    for replicate in cell.replicates:
        kept = out / f"replicate_{replicate}.kept"  # the pipeline removes a rule's outputs before it calls; not these
        delivered = kept.with_suffix(".pt")
        card = read_card(kept, mark)
        if card is None and (card := read_card(delivered, mark)) is not None:
            copy(delivered, kept)
        if card is None:
            family = family or family_type(device=cell.device, **family_params)
            learner = learner_type(**params)
            budget = Budget(cell.training_samples, cell.training_seconds or math.inf)
            unfinished = kept.with_suffix(".state")
            state = learner.train(
                family,
                budget,
                derive("meta_train", cell.family, replicate),  # the same start and members for every learner
                state=read_unfinished(unfinished, mark),
                progress=keeper(unfinished, mark),
            )
            finite = all(bool(value.isfinite().all()) for value in state["learned"].values())
            card = {
                "suite": cell.suite,
                "family": cell.world,
                "family_params": family_params,
                "learner": cell.algorithm,
                "params": params,
                "replicate": replicate,
                "metric": family.metric,
                "inner_steps": family.steps,
                "step_samples": family.samples,
                "n_weights": family.n_weights,
                "n_train": len(family.split.train),
                "train_steps": state["steps"],
                "train_samples": state["samples"],
                "train_s": state["seconds"],
                "train_loss": state["loss"] if math.isfinite(state["loss"]) else None,
                "status": "ok" if finite else "diverged",
                "reason": "" if finite else "training ended without finite numbers",
                "source": " ".join(family.source.split()),
                "device": device_name(cell.device),
                "versions": versions(),
                "commit": commit(),
                "fingerprint": mark,
            }
            save_trained(card, state, kept)
            unfinished.unlink(missing_ok=True)
            told = f"{card['train_steps']} steps, {card['train_samples']:,} samples, loss {state['loss']:.4g}"
            print(f"{cell.family} {cell.learner} replicate {replicate}: {card['status']}, {told}", flush=True)
        if read_card(delivered, mark) is None:
            copy(kept, delivered)
        cards.append(card)
    if read_json(out / CARDS) != {"cards": cards}:
        write_json(out / CARDS, {"cards": cards})
    return cards


def read_card(path: Path, mark: str) -> Card | None:
    """Return the card of a trained learner; None where its file is missing, damaged, or of other code or settings."""
    found = unless_damaged(load_card, path)
    return found[0] if found is not None and found[0].get("fingerprint") == mark else None


def keeper(path: Path, mark: str) -> Any:
    """Return a function that keeps a copy of the state it is given, now and then."""
    last = time.monotonic()

    def keep(state: State) -> None:
        nonlocal last
        if time.monotonic() - last >= KEEP_S:
            write_state(path, {"fingerprint": mark, "state": state})
            last = time.monotonic()

    return keep


def read_unfinished(path: Path, mark: str) -> State | None:
    """Return the state of a training that was cut off; None where there is none, or it is damaged or another one's."""
    content = unless_damaged(load_state, path, ("fingerprint", "state"))
    return content["state"] if content is not None and content["fingerprint"] == mark else None


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", required=True, help="learner and family as JSON")
    parser.add_argument("--out", required=True, type=Path, help="folder for the trained learners")
    arguments = parser.parse_args()
    cell = MetaCell.from_json(arguments.spec)
    limit_threads(cell.threads)
    train_all(cell, arguments.out)


if __name__ == "__main__":
    entry(main)
