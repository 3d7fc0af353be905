"""UniPC: every answer of the denoiser corrects the step that led to where it was asked, and predicts the next one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from methods._look import Look
from methods.diffusion.base import Denoise, Normal, Sampler, Told


class Unipc(Sampler):
    """UniPC of order 2 with B(h) = e^h − 1, predicting data, multistep; one evaluation a level.

    Source: Zhao et al. 2023 (UniPC), order 2 of predictor and corrector, variant B₂. The exact step over h in λ is
    y′ = e^{−h} y + ∫₀^h e^{τ−h} D(τ) dτ. The predictor weighs the difference of the two latest answers as
    DPM-Solver++(2M) does; the corrector integrates the parabola through the three latest answers or, at the first step,
    where B₂ gives both ends the same weight, takes their mean.
    """

    @classmethod
    def told(cls) -> Told:
        return Told(Look("UniPC", "#08306b", "^"))

    def setup(self) -> None:
        """It has no parameters."""

    def run(self, denoise: Denoise, y: Tensor, levels: Sequence[float], normal: Normal) -> Iterator[Tensor]:
        answers: list[Tensor] = [denoise(y, levels[0])]
        steps: list[float] = []
        for index, (now, then) in enumerate(zip(levels[:-1], levels[1:], strict=True)):
            step = math.log(now / then)
            kept, gone = math.exp(-step), -math.expm1(-step)
            base = kept * y + gone * answers[-1]
            back = (answers[-2] - answers[-1]) * (step / -steps[-1]) if index else None
            guess = base if back is None else base + gone * back / 2
            yield guess
            new = denoise(guess, then)
            ahead = new - answers[-1]
            y = base + gone * (ahead / 2 if back is None else self.parabola(step, steps[-1], back, ahead))
            answers, steps = [*answers[-1:], new], [step]
        yield answers[-1]

    @staticmethod
    def parabola(step: float, last_step: float, back: Tensor, ahead: Tensor) -> Tensor:
        """Return ∫ e^{τ−h} (D(τ) − D(0)) dτ / (1 − e^{−h}) for the parabola through D(−h₋), D(0) and D(h).

        Args:
            step: h.
            last_step: h₋.
            back: (D(−h₋) − D(0)) / r with r = −h₋ / h.
            ahead: D(h) − D(0).
        """
        r = -last_step / step
        gone = -math.expm1(-step)
        first = (step - gone) / (step * gone)  # mean of τ/h under e^{τ−h} on [0, h]
        second = 1 / gone - 2 * first / step  # mean of (τ/h)²
        slope, bend = (back - r * ahead) / (1 - r), (ahead - back) / (1 - r)  # D(τ) − D(0) = slope τ/h + bend (τ/h)²
        return first * slope + second * bend
