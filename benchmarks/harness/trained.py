"""A trained learner in one file, with the card that says what it is: loaded in one line, adapted in another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family
from benchmarks.contract.parameters import check
from benchmarks.contract.seeds import derive
from benchmarks.harness.kept import Damaged, load_state, write_state
from benchmarks.harness.registry import family_class, learner_class
from methods.meta.base import Batch, Learner, State

Card = dict[str, Any]  # family, family_params, learner, params, training, versions …: strings and numbers
LEARNED = ("learner", "params", "learned")  # what adaptation needs of a state


@dataclass(frozen=True)
class Trained:
    """A learner that was trained on a family."""

    card: Card
    family: Family
    learner: Learner
    state: State

    def adapt(self, samples: Batch, steps: int | None = None, seed: int = 0, until: float | None = None) -> Tensor:
        """Return the model's weights (n_weights,), adapted to samples of one's own.

        Args:
            samples: as the family's `measured` makes them of measurements; every tensor (1, n, …). Each step sees a
                random part of as many samples as the family grants, all of them where there are fewer.
            steps: of gradient descent; by default as many as in training.
            seed: of the choice of samples.
            until: loss over all samples at which adaptation ends early; without it, all steps are taken.
        """
        steps = self.family.steps if steps is None else steps
        own = _Own(self.family, self._one(samples))
        weights = torch.empty(0)
        for reached in self.learner.adapt(self.state, own, own.training_members, steps, seed):
            weights = reached.weights
            if until is not None and float(self.family.loss(weights, own.own)) <= until:
                break
        return weights[0]

    def ensemble(self, samples: Batch, draws: int = 16, steps: int | None = None, seed: int = 0) -> Tensor:
        """Return weights (draws, n_weights), each adapted to another resample of the samples, in one batch.

        Where the models disagree, the samples do not say what is there: the standard deviation over draws estimates
        what other samples would have changed (bootstrap, Efron 1979). What all of them have in common, the learned
        start and the model's form, it cannot see.

        Args:
            samples: as for `adapt`.
            draws: of as many samples as there are, with replacement.
            steps: of gradient descent; by default as many as in training.
            seed: of the resamples and of the choice of samples.
        """
        samples = self._one(samples)
        count = next(iter(samples.values())).shape[1]
        generator = torch.Generator().manual_seed(derive("ensemble", seed))
        chosen = torch.randint(count, (draws, count), generator=generator).to(self.family.device)
        own = _Own(self.family, {name: value[0, chosen] for name, value in samples.items()})
        steps = self.family.steps if steps is None else steps
        *_, last = self.learner.adapt(self.state, own, own.training_members, steps, seed)
        return last.weights

    def _one(self, samples: Batch) -> Batch:
        """Return samples of one member on the family's device; raises UsageError for others."""
        sizes = {name: tuple(value.shape[:2]) for name, value in samples.items()}
        if len(set(sizes.values())) != 1 or next(iter(sizes.values()))[0] != 1:
            raise UsageError(f"samples to adapt to: every tensor must be (1, n, …) with the same n, got {sizes}")
        return {name: value.to(self.family.device) for name, value in samples.items()}


class _Own:
    """Samples of one's own (members, n, …), as the members of a family."""

    def __init__(self, family: Family, samples: Batch) -> None:
        self.family, self.own = family, samples
        self.device, self.n_weights = family.device, family.n_weights
        self.samples, self.steps, self.head = family.samples, family.steps, family.head
        members, self.count = next(iter(samples.values())).shape[:2]
        self.training_members = torch.arange(members)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.family.initial(count, generator)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        chosen = torch.randperm(self.count, generator=generator)[:n].to(self.device)
        return {name: value[members.to(self.device)][:, chosen] for name, value in self.own.items()}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        return self.family.loss(weights, batch)


def save_trained(card: Card, state: State, path: Path) -> None:
    """Write a learner and its card whole or not at all; what only further training would need is left out."""
    write_state(path, {"card": card, "state": {name: state[name] for name in LEARNED}})


def load_card(path: Path) -> tuple[Card, State]:
    """Return card and state of a file; nothing that it may contain is executed.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is damaged or something else.
    """
    content = load_state(path, ("card", "state"))
    card, state = content["card"], content["state"]
    if not (isinstance(card, dict) and isinstance(state, dict) and all(name in state for name in LEARNED)):
        raise Damaged(path, "no trained learner")
    return card, state


def read_trained(path: Path) -> tuple[Card, State]:
    """Return card and state of a file; nothing that it may contain is executed.

    Raises:
        UsageError: the file is missing, damaged or something else.
    """
    try:
        return load_card(path)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing: train the learner first, `snakemake` does") from None
    except Damaged as error:
        raise UsageError(f"{error}, or no trained learner of ours: `snakemake` trains it again") from None


def load_trained(path: Path | str, device: str = "cpu") -> Trained:
    """Return the learner in a file, ready to adapt, with its family.

    Raises:
        UsageError: the file cannot be read, or its family or learner is not known here.
    """
    card, state = read_trained(Path(path))
    family_type, learner_type = family_class(card["family"]), learner_class(card["learner"])
    params = check(learner_type.setup, card["params"], f"{path}, learner {card['learner']!r}")
    family_params = check(family_type.setup, card["family_params"], f"{path}, family {card['family']!r}")
    return Trained(card, family_type(device=device, **family_params), learner_type(**params), state)
