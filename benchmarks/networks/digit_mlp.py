"""The weights of a small network have to be such that it paints a handwritten digit: 35,152 dimensions."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from benchmarks.contract.errors import UsageError
from benchmarks.contract.problem import Problem
from benchmarks.networks._layers import STEP, uniform_start
from methods._ranges import AnyCount

SIZES = (256, 32, 32, 784)
INPUT_SEED = 0
PICTURES = 2051  # an IDX file of bytes in three dimensions begins with this number
COUNT = {"scikit-learn": 1797, "mnist": 10_000}  # digits in each data set


class DigitMlp(Problem):
    """Mean squared error between a digit and what an MLP 256-32-32-784 of weights 0.025 z paints from one fixed input.

    Candidates are evaluated together: every layer is one batched matrix product over (n, out, in) weights.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), MLP that paints an MNIST digit: 256-32-32-784 = 35,152 weights, one "
        "fixed random input, σ .025. Ours: leaky ReLU and a sigmoid at the end, the input from N(0, 1), the start "
        "uniform in ±1/√fan-in; by default scikit-learn's 8² digit enlarged, MNIST where `digits: mnist` is set"
    )
    gradient = "exact"
    has_picture = True

    def setup(self, digits: Literal["scikit-learn", "mnist"] = "scikit-learn", index: AnyCount = 3) -> None:
        """Paint number `index` of the data set."""
        if not 0 <= index < COUNT[digits]:
            raise UsageError(f"networks.digit_mlp: index is {index}, must lie in 0 … {COUNT[digits] - 1} for {digits}")
        self.shapes = list(zip(SIZES[1:], SIZES[:-1], strict=True))  # (out, in)
        self.dim = sum(out * (fan_in + 1) for out, fan_in in self.shapes)
        generator = torch.Generator().manual_seed(INPUT_SEED)
        self.input = torch.randn(SIZES[0], generator=generator).to(self.device)
        self.target = (enlarged_digit(index) if digits == "scikit-learn" else mnist_digit(index)).to(self.device)
        self.bytes_per_candidate = 12 * self.dim

    def start(self, seed: int) -> Tensor:
        return uniform_start(self.shapes, seed)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        activity = self.input.expand(len(z), -1)[:, :, None]  # (n, in, 1)
        begin = 0
        for layer, (out, fan_in) in enumerate(self.shapes):
            weight = z[:, begin : begin + out * fan_in].view(-1, out, fan_in)
            begin += out * fan_in
            bias = z[:, begin : begin + out, None]
            begin += out
            activity = STEP * (weight.bmm(activity) + bias)
            activity = leaky_relu(activity) if layer < len(self.shapes) - 1 else activity.sigmoid()
        return activity.view(len(z), 28, 28)

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed - self.target).square().mean((1, 2))

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return loss and PSNR in dB."""
        loss = float(self.loss(z[None], 0))
        return {"loss": loss, "psnr": -10 * math.log10(max(loss, 1e-12)) if math.isfinite(loss) else math.nan}

    def image(self, z: Tensor) -> Tensor:
        return self.observe(z[None], 0)[0]

    def target_image(self) -> Tensor:
        return self.target


def enlarged_digit(index: int) -> Tensor:
    """Return one of scikit-learn's 1,797 handwritten 8² digits, (28, 28) in [0, 1], enlarged bicubically."""
    from skimage.transform import resize
    from sklearn.datasets import load_digits

    digit = load_digits().images[index] / 16.0
    return torch.as_tensor(resize(digit, (28, 28), order=3).clip(0, 1), dtype=torch.float32)


def mnist_digit(index: int) -> Tensor:
    """Return one of MNIST's 10,000 test digits, (28, 28) in [0, 1]."""
    from benchmarks._data import fetch

    return torch.as_tensor(read_idx(fetch("t10k-images-idx3-ubyte.gz"))[index] / 255.0, dtype=torch.float32)


def read_idx(path: Path) -> np.ndarray:
    """Return the 10,000 pictures (n, 28, 28) of bytes in MNIST's own format, compressed.

    Raises:
        UsageError: it is another file, or damaged; names it.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be decompressed ({error}); fetch it anew") from error
    shape = (COUNT["mnist"], 28, 28)
    if content[:16] != struct.pack(">4i", PICTURES, *shape) or len(content) != 16 + math.prod(shape):
        raise UsageError(f"{path} does not hold MNIST's {shape[0]:,} test pictures of 28 × 28 bytes; fetch it anew")
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape)
