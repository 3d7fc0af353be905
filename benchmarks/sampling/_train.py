"""Train the digits' networks on one CPU core, in minutes: `python -m benchmarks.sampling._train --out FILE.pt`."""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from benchmarks.contract.seeds import derive
from benchmarks.harness.job import entry, limit_threads, versions
from benchmarks.harness.kept import write_state
from benchmarks.sampling._denoiser import SPREAD, Classifier, Denoiser
from benchmarks.sampling._digits import digits, draw

STEPS, BATCH, RATE = 10_000, 512, 2e-3
CLASSIFIER_STEPS = 1_500
AVERAGE = 0.999  # per step, of the weights that are kept
LEVEL_MEAN, LEVEL_SPREAD = -0.9, 1.6  # of log v in training; EDM has −1.2 and 1.2, here levels reach further
HELD_OUT = 5_000  # moved digits on which the card's numbers are measured


def loss_of(network: Denoiser, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the mean of ‖D − x‖² / c_out², the weighting of EDM."""
    v = torch.exp(LEVEL_MEAN + LEVEL_SPREAD * torch.randn(len(clean), generator=generator))
    noisy = clean + v[:, None] * torch.randn(clean.shape, generator=generator)
    weight = (v**2 + SPREAD**2) / (v * SPREAD) ** 2
    return (weight * (network(noisy, v) - clean).square().mean(1)).mean()


def train_denoiser(steps: int) -> tuple[Denoiser, float]:
    """Return the average of the weights along the way, and its loss on digits drawn afterwards."""
    generator = torch.Generator().manual_seed(derive("digit_network", "denoiser"))
    torch.manual_seed(derive("digit_network", "weights"))
    pixels, _ = digits()
    network = Denoiser(pixels.shape[1])
    kept = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.05)
    for step in range(steps):
        loss = loss_of(network, draw(pixels, BATCH, generator)[0], generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for mean, weight in zip(kept.parameters(), network.parameters(), strict=True):
                mean.lerp_(weight, 1 - min(AVERAGE, (step + 1) / (step + 10)))
        if step % 1000 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        return kept, float(loss_of(kept, draw(pixels, HELD_OUT, generator)[0], generator))


def train_classifier(steps: int) -> tuple[Classifier, float]:
    """Return a classifier of moved digits and its accuracy on others."""
    generator = torch.Generator().manual_seed(derive("digit_network", "classifier"))
    torch.manual_seed(derive("digit_network", "features"))
    pixels, classes = digits()
    network = Classifier(pixels.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(steps):
        shown, chosen = draw(pixels, BATCH, generator)
        loss = cross_entropy(network(shown), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    shown, chosen = draw(pixels, HELD_OUT, generator)
    return network, float((network(shown).argmax(1) == classes[chosen]).float().mean())


def train(out: Path, steps: int = STEPS, classifier_steps: int = CLASSIFIER_STEPS) -> None:
    """Write card and weights of both networks."""
    began = time.perf_counter()
    denoiser, loss = train_denoiser(steps)
    classifier, accuracy = train_classifier(classifier_steps)
    card = {
        "data": "the 1,797 digits of scikit-learn, moved at random as in benchmarks/sampling/_digits.py",
        "command": "python -m benchmarks.sampling._train",
        "steps": steps,
        "batch": BATCH,
        "rate": RATE,
        "loss": loss,
        "classifier_steps": classifier_steps,
        "classifier_accuracy": accuracy,
        "seconds": round(time.perf_counter() - began),
        "versions": versions(),
    }
    write_state(out, {"card": card, "denoiser": denoiser.state_dict(), "classifier": classifier.state_dict()})
    print(card)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling._train", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("digit_network.pt"))
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    limit_threads(1)
    train(arguments.out, arguments.steps)


if __name__ == "__main__":
    entry(main)
