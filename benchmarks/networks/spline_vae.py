"""A variational autoencoder that draws with a pen of hard strokes: its decoder only moves control points."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import interpolate, leaky_relu, pad

from benchmarks._data import fetch
from benchmarks.contract.problem import Gradient, Problem
from benchmarks.contract.seeds import derive
from benchmarks.networks._layers import STEP, uniform_start
from benchmarks.networks._stroke import draw, spline_matrix
from benchmarks.networks.digit_mlp import read_idx
from methods._work import Work

SIZE = 16  # pixels along a side
LATENT = 8
POINTS, SAMPLES = 10, 25  # of the spline
RADIUS = 0.07  # of the pen, in widths of the picture
PAIRS, SIGMA = 1, 0.04  # of the smoothed gradient; σ in widths
DIVERGENCE = 1e-3  # weight of a nat in the loss
SPREAD = 0.3  # of the control points around where the start has them, in widths
HELD_OUT = 0.2  # share of the digits that training does not see
SHOWN = 6  # digits along a side of the picture
LOG_VARIANCE = 8.0  # bound of its absolute value


class SplineVae(Problem):
    """Train the weights of a VAE whose pictures are drawn by a program without derivatives: one hard stroke each.

    Encoder and decoder are networks of one hidden layer; the decoder gives ten control points of a cubic B-spline, and
    a pixel is black within .07 widths of it. An evaluation draws one batch of digits, new ones every time, once.
    The loss is the mean squared error of the pixels plus .001 times the Kullback–Leibler divergence of the
    latent code from N(0, 1), in nats; validation takes digits that training never sees.

    The gradient `smoothed` needs no derivative of the program. With p antithetic pairs ε ~ N(0, 1) for every digit,
    ∂L/∂c ≈ mean over pairs of (L(c + σε) − L(c − σε)) ε / 2σ, at the control points c alone: a digit's own error
    is all that its points can change, so the pairs of a whole batch cost 2p evaluations, and are charged. From c back
    to the weights, and for the divergence, derivatives are exact. Methods that see losses alone search all weights.
    """

    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), VAE that draws digits by splines: weights of the decoder, error of the "
        "pixels and divergence, not released. Ours: every size; a pen of one stroke; scikit-learn's digits, enlarged "
        "and in black and white, MNIST where `digits: mnist` is set; smoothed gradients instead of a surrogate at the "
        "control points"
    )
    noise = "fresh"
    gradient = "biased"

    def setup(
        self,
        hidden: Annotated[int, Ge(1), Le(4096)] = 64,
        batch: Annotated[int, Ge(1), Le(4096)] = 32,
        digits: Literal["scikit-learn", "mnist"] = "scikit-learn",
    ) -> None:
        """Train networks with `hidden` units on batches of `batch` digits."""
        self.batch, self.pairs, self.divergence = batch, PAIRS, DIVERGENCE
        every = black_and_white(digits).to(self.device)
        held_out = round(HELD_OUT * len(every))
        self.digits, self.unseen = every[:-held_out], every[-held_out:]
        self.mean_digit = self.digits.mean(0)
        self.shapes = [(hidden, SIZE**2), (2 * LATENT, hidden), (hidden, LATENT), (2 * POINTS, hidden)]  # (out, in)
        self.dim = sum(out * (fan_in + 1) for out, fan_in in self.shapes)
        at = (torch.arange(SIZE) + 0.5) / SIZE
        self.pixels = torch.cartesian_prod(at, at).flip(1).to(self.device)  # (p, 2), x and y
        self.matrix = spline_matrix(POINTS, SAMPLES).to(self.device)
        angle = torch.linspace(0, 0.9 * 2 * math.pi, POINTS)
        self.oval = torch.stack([0.5 - 0.22 * angle.sin(), 0.5 - 0.3 * angle.cos()], 1).to(self.device)
        self.grad_cost = 2.0 * PAIRS
        self.gradient_passes = 2.0 * PAIRS + 2
        self.validation_passes = held_out / batch
        self.bytes_per_candidate = 12 * self.dim + 16 * batch * SAMPLES * SIZE**2

    @property
    def work(self) -> Work:
        """Every pixel is held against every piece of every curve; every weight meets every digit of the batch."""
        numbers = self.batch * (8 * SAMPLES * SIZE**2 + self.dim / 4)
        return Work(launches=40, numbers=numbers)

    def start(self, seed: int) -> Tensor:
        return uniform_start(self.shapes, seed)

    def loss(self, z: Tensor, seed: int) -> Tensor:
        shown = self.shown(seed)
        control, divergence = self.control_points(z, shown, seed)
        return self.errors(control, shown).mean(1) + self.divergence * divergence

    def estimators(self) -> dict[str, Gradient]:
        return {"smoothed": self.loss_and_grad}

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and gradients (n, dim): smoothed at the control points, exact from there on."""
        shown = self.shown(seed)
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            control, divergence = self.control_points(z, shown, seed)
            slope, loss = self.smoothed(control.detach(), shown, seed)
            (gradient,) = torch.autograd.grad((slope * control).sum() + self.divergence * divergence.sum(), z)
        return loss + self.divergence * divergence.detach(), gradient

    @torch.no_grad()
    def smoothed(self, control: Tensor, shown: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return ∂L/∂c (n, batch, points, 2) of the mean error, smoothed, and the mean error itself (n,)."""
        slope = torch.zeros_like(control)
        generator = torch.Generator().manual_seed(derive("control points", seed))
        for _ in range(self.pairs):
            noise = torch.randn(control.shape[1:], generator=generator).to(control)
            rise = self.errors(control + SIGMA * noise, shown) - self.errors(control - SIGMA * noise, shown)
            slope += rise[..., None, None] * noise
        return slope / (2 * SIGMA * self.pairs * len(shown)), self.errors(control, shown).mean(1)

    def oracle_gradient(self, z: Tensor) -> Tensor | None:
        """Return None: nobody has the gradient."""
        return None

    def shown(self, seed: int) -> Tensor:
        """Return this seed's batch of digits (batch, p)."""
        generator = torch.Generator().manual_seed(seed)
        return self.digits[torch.randint(len(self.digits), (self.batch,), generator=generator).to(self.device)]

    def control_points(self, z: Tensor, shown: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Encode digits (b, p) and decode them: control points (n, b, points, 2), mean divergences (n,) in nats."""
        weights = self.weights(z)
        centred = (shown - self.mean_digit).T.expand(len(z), -1, -1)
        mean, log_variance = network(centred, weights[:2]).chunk(2, 1)  # (n, latent, b)
        log_variance = LOG_VARIANCE * (log_variance / LOG_VARIANCE).tanh()
        generator = torch.Generator().manual_seed(derive("latent", seed))
        noise = torch.randn(len(shown), LATENT, generator=generator).to(z).T
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean(1) / 2
        return self.decode(mean + (log_variance / 2).exp() * noise, weights), divergence

    def decode(self, latent: Tensor, weights: list[Tensor]) -> Tensor:
        """Return control points (n, b, points, 2) of latent codes (n, latent, b)."""
        moved = network(latent, weights[2:]).mT.unflatten(-1, (POINTS, 2))
        return self.oval + SPREAD * moved

    def weights(self, z: Tensor) -> list[Tensor]:
        """Return each layer's weights and, last, biases (n, out, in + 1)."""
        sizes = [out * (fan_in + 1) for out, fan_in in self.shapes]
        parts = (STEP * z).split(sizes, 1)
        return [part.unflatten(1, (out, -1)) for part, (out, _) in zip(parts, self.shapes, strict=True)]

    def errors(self, control: Tensor, shown: Tensor) -> Tensor:
        """Return the mean squared error (n, b) of each stroke's picture."""
        drawn = draw(control.flatten(0, 1), self.matrix, self.pixels, RADIUS).view(*control.shape[:2], -1)
        return (drawn - shown).square().mean(-1)

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return, on digits that training never sees, the loss, its two parts, and the error against a constant's.

        The constant is the mean digit, in grey: the best picture that looks at nothing, which no pen can draw.
        """
        control, divergence = self.control_points(z[None], self.unseen, 0)
        error = float(self.errors(control, self.unseen).mean())
        constant = float((self.unseen - self.mean_digit).square().mean())
        loss = error + self.divergence * float(divergence)
        return {"loss": loss, "mse": error, "divergence": float(divergence), "against_mean_digit": error / constant}

    @torch.no_grad()
    def image(self, z: Tensor) -> Tensor:
        """Return digits drawn from the latent space, N(0, 1), black on white."""
        generator = torch.Generator().manual_seed(0)
        latent = torch.randn(SHOWN**2, LATENT, generator=generator).to(z).T[None]
        control = self.decode(latent, self.weights(z[None]))[0]
        return sheet(draw(control, self.matrix, self.pixels, RADIUS))

    def target_image(self) -> Tensor:
        return sheet(self.unseen[: SHOWN**2])


def network(inputs: Tensor, weights: list[Tensor]) -> Tensor:
    """Return the outputs (n, out, b) of two layers for inputs (n, in, b)."""
    for number, weight in enumerate(weights):
        outputs = torch.baddbmm(weight[:, :, -1:], weight[:, :, :-1], inputs)
        inputs = leaky_relu(outputs) if number == 0 else outputs
    return inputs


def black_and_white(digits: str) -> Tensor:
    """Return all digits of a data set (count, SIZE²), 1 where the ink covers at least half of the full grey."""
    if digits == "mnist":
        grey = torch.as_tensor(read_idx(fetch("t10k-images-idx3-ubyte.gz")) / 255.0)
    else:
        grey = torch.as_tensor(load_digits().images / 16.0)
    sized = interpolate(grey[:, None].float(), (SIZE, SIZE), mode="bicubic", antialias=True)
    return (sized > 0.5).float().flatten(1)


def sheet(pictures: Tensor) -> Tensor:
    """Return pictures (SHOWN², p) on a sheet with a grey line around each, black on white."""
    framed = pad(1 - pictures.view(SHOWN, SHOWN, SIZE, SIZE), (1, 0, 1, 0), value=0.6)
    return framed.transpose(1, 2).flatten(2).flatten(0, 1)
