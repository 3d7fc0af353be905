"""Handwritten digits seen through a small network that was trained to denoise them: scores as one has in practice."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.law import Law
from benchmarks.harness.kept import Damaged, load_state
from benchmarks.sampling._denoiser import Classifier, Denoiser
from benchmarks.sampling._digits import digits, draw

WEIGHTS = Path(__file__).with_name("digit_network.pt")


class DigitNetwork(Law):
    """The digits of scikit-learn, turned, scaled and shifted at random; a network of half a million weights denoises.

    Its own error stays however many steps are made: the floor is that of true draws, not of this network.
    """

    source = (
        "ours, made of the digits of scikit-learn (Alpaydin & Kaynak 1998), trained by benchmarks/sampling/_train.py"
    )
    scores = "network"
    has_features = True
    dtype = torch.float32

    def setup(self) -> None:
        """It has no parameters. Raises UsageError where the weights are missing or damaged."""
        try:
            state = load_state(WEIGHTS, ("card", "denoiser", "classifier"), self.device)
        except (FileNotFoundError, Damaged) as error:
            raise UsageError(f"{error}; train it again: `python -m benchmarks.sampling._train`") from error
        self.card = state["card"]
        self.pixels = digits()[0].to(self.device)
        self.dim = self.pixels.shape[1]
        self.network, self.classifier = Denoiser(self.dim), Classifier(self.dim)
        self.network.load_state_dict(state["denoiser"], assign=True)  # the tensors read, which are on the device
        self.classifier.load_state_dict(state["classifier"], assign=True)

    @torch.no_grad()
    def denoise(self, y: Tensor, v: float | Tensor) -> Tensor:
        return self.network(y, torch.as_tensor(v, dtype=y.dtype, device=y.device).reshape(-1))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return draw(self.pixels, n, generator)[0]

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of a classifier of the digits, (n, 32)."""
        return self.classifier.body(x)
