"""One family of samplers: stochasticity, memory, look-ahead and every way to smooth the denoiser as its parameters.

With λ = −log v, a step h = λ′ − λ from level v to v′ and z ~ N(0, I):

    y′ = e^{−(1+q)h} y + (1 − e^{−(1+q)h}) D̄ + v′ √(1 − e^{−2qh}) z          q: stochasticity
    D̄  = D + c (D − D₋) h / h₋                                               c: memory of the last answer D₋
    D  = E[x | y] asked at level v e^{−γh}                                   γ: look-ahead

which is exact where D̄ is constant over the step. Members:

    q = 0          DDIM (Song et al. 2021)                  q = 0, c = 1/2   DPM-Solver++(2M) (Lu et al. 2022)
    q = 1          DDPM's ancestral sampling (Ho et al.     q = 1, c = 1/2   SDE-DPM-Solver++(2M) (ibid.)
                   2020, with the smaller variance)         γ = (1 + q) / 4  look-ahead (ours)

γ = (1 + q) / 4 makes the variance of Gaussian data right to second order, whatever their covariance. With data of
variance s² and m = v² / (s² + v²), a step multiplies what deviates from the mean by
F = e^{−(1+q)h} + (1 − e^{−(1+q)h}) s² / (s² + v² e^{−2γh}); that F² (s² + v²) + v′² (1 − e^{−2qh}) is s² + v′² up to
h³ asks for 4 γ (1 + q) (1 − m) = (1 + q)² (1 − m). A frozen D (γ = 0) is right to first order only, and too narrow.

Smoothing the denoiser (smoothed scores: Scarvelis et al. 2025, who ask another question), to see whether longer steps
are possible then, with a kernel N(0, (b v)² I) or the like:

    pair       average of D(y + b v τ) and D(y − b v τ), two evaluations a level
    single     D(y + b v τ), one evaluation
    distilled  average over many such pairs, charged as one evaluation: what a network trained for it could do at best
    over_time  average of D at the levels v e^{b} and v e^{−b}, two evaluations
    noise_up   D at the level v √(1 + b²), which the kernel *with* the heat flow's transport would amount to
    hysteresis D̄ = (1 − b) D + b D̄₋, memory that averages
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from annotated_types import Interval
from torch import Tensor

from methods._look import Look
from methods._ranges import NonNegative
from methods.diffusion.base import Denoise, Normal, Sampler, Told

PAIRS = 2  # of the distilled kernel: four evaluations, charged as one
Kernel = Literal["none", "pair", "single", "distilled", "over_time", "noise_up", "hysteresis"]
AHEAD = {1.0: ("#f06bb2", "o"), 0.5: ("#9c3fd0", "v"), 0.0: ("#cc1177", "s")}  # q → colour and marker of look-ahead
PLAIN = {  # (q, c) → what the member is called
    (1.0, 0.0): Look("DDPM", "#555555", "o", emphasis=1),
    (0.0, 0.0): Look("DDIM", "#000000", "s", emphasis=1),
    (1.0, 0.5): Look("SDE-DPM-Solver++(2M)", "#56b4e9", "o"),
    (0.0, 0.5): Look("DPM-Solver++(2M)", "#1f78c8", "s"),
}
SMOOTHED = {  # kernel → what is said of it, marker, colour with q > 0 and with q = 0
    "pair": ("kernel as pair", "^", "#d55e00", "#7f3800"),
    "single": ("one perturbation", "v", "#e69f00", "#8a5f00"),
    "distilled": ("kernel for free", "D", "#8c2d04", "#c88a6a"),
    "over_time": ("over noise levels", "P", "#ff9a5c", "#99603c"),
    "noise_up": ("larger noise level", "X", "#b8860b", "#6e5007"),
    "hysteresis": ("hysteresis", "<", "#c1121f", "#e88a90"),
    "none": ("correlated noise", "p", "#41ab5d", "#276738"),
}
Part = Annotated[float, Interval(ge=0, lt=1)]


class Family(Sampler):
    """All first-order steps in λ, with what has been proposed to make fewer of them enough."""

    def setup(
        self,
        q: Annotated[float, Interval(ge=0, le=1)] = 1.0,
        memory: Annotated[float, Interval(ge=0, le=1)] = 0.0,
        ahead: Part = 0.0,
        kernel: Kernel = "none",
        width: NonNegative = 0.0,
        correlation: Part = 0.0,
    ) -> None:
        """Take q, c, γ, the kernel and its b (`width`), and the correlation of successive noises z."""
        self.q, self.memory, self.ahead = q, memory, ahead
        self.kernel, self.width, self.correlation = kernel, width, correlation
        self.evaluations_per_level = 2 if kernel in ("pair", "over_time") else 1

    @classmethod
    def told(
        cls, q: float = 1.0, memory: float = 0.0, ahead: float = 0.0, kernel: Kernel = "none", **params: float
    ) -> Told:
        still, plain = q == 0, PLAIN.get((q, memory), Look())
        if kernel != "none" or "correlation" in params:
            what, marker, *colors = SMOOTHED[kernel]
            look = Look(f"{plain.name or f'q = {q:g}'}, {what}", colors[still], marker, ":" if still else "-")
            return Told(look, "smoothed", still and kernel in ("none", "over_time", "noise_up", "hysteresis"))
        if ahead:
            look = Look(f"Look-ahead, q = {q:g} (ours)", *AHEAD.get(q, ("", "")), emphasis=2)
            return Told(look, "ours", still)
        return Told(plain, "published", still)

    def run(self, denoise: Denoise, y: Tensor, levels: Sequence[float], normal: Normal) -> Iterator[Tensor]:
        """Step through the levels."""
        last = last_step = noise = None
        for now, then in pairwise(levels):
            step = math.log(now / then)
            answer = self.ask(denoise, y, now * math.exp(-self.ahead * step), normal)
            used = answer
            if last is not None and self.kernel == "hysteresis":
                used = answer = (1 - self.width) * answer + self.width * last
            elif last is not None and self.memory:
                used = answer + self.memory * (answer - last) * step / last_step
            last, last_step = answer, step
            kept = math.exp(-(1 + self.q) * step)
            y = kept * y + (1 - kept) * used
            if self.q > 0:
                noise = self.correlated(noise, normal)
                y = y + then * math.sqrt(-math.expm1(-2 * self.q * step)) * noise
            yield y
        yield self.ask(denoise, y, levels[-1], normal)

    def ask(self, denoise: Denoise, y: Tensor, v: float, normal: Normal) -> Tensor:
        """Return the denoiser's answer, smoothed."""
        b = self.width
        if self.kernel == "single":
            return denoise(y + b * v * normal(), v)
        if self.kernel == "over_time":
            return (denoise(y, v * math.exp(b)) + denoise(y, v * math.exp(-b))) / 2
        if self.kernel == "noise_up":
            return denoise(y, v * math.sqrt(1 + b * b))
        if self.kernel in ("pair", "distilled"):
            pairs = PAIRS if self.kernel == "distilled" else 1
            offsets = [b * v * normal() for _ in range(pairs)]
            return sum(denoise(y + offset, v) + denoise(y - offset, v) for offset in offsets) / (2 * pairs)
        return denoise(y, v)

    def correlated(self, last: Tensor | None, normal: Normal) -> Tensor:
        """Return the next noise: an autoregressive sequence of unit variance."""
        if last is None or not self.correlation:
            return normal()
        return self.correlation * last + math.sqrt(1 - self.correlation**2) * normal()
