"""A measurement with its true posterior: importance resampling of many draws from the prior, distances, floors."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmarks.contract.seeds import derive
from benchmarks.experiments.distances import Sliced
from benchmarks.harness.registry import measurement_class
from methods.diffusion.base import LEVEL_MAX, spaced
from methods.diffusion.family import Family
from methods.posterior.base import Guide, Inverse

if TYPE_CHECKING:
    from benchmarks.contract.measurement import Measurement
    from benchmarks.experiments.posterior import Posterior

PRIOR = 200_000  # draws that the posterior is resampled from
REFERENCE = 20_000  # of them, drawn by their likelihoods, that quantiles come from
FLOORS = 5  # sets of as many true draws as there are chains
DIRECTIONS = 128
SPACING = "log_snr"
REACH = 10.0  # values further out than this many times the level are cut: a slope may have run away


class Truth:
    """The posterior of one measured value."""

    def __init__(self, bench: Bench, seed: int) -> None:
        """Draw a truth, measure it, weigh the prior's draws."""
        self.bench = bench
        task = bench.measurement
        generator = bench.generator("truth", seed)
        x = task.law.draw(1, generator)
        exact = task.observe(x)[0]
        noise = torch.randn(exact.shape, generator=generator, dtype=torch.float64).to(exact)
        self.measured = exact + task.noise * noise
        weights = task.log_likelihood(bench.observed, self.measured).softmax(0).cpu()
        self.ess = float(1 / weights.square().sum())
        self.chosen = [
            torch.multinomial(weights, n, True, generator=generator) for n in (REFERENCE, *[bench.samples] * FLOORS)
        ]
        reference = bench.prior[self.chosen[0]]
        self.sliced = Sliced(reference, bench.samples, DIRECTIONS, bench.generator("directions"))
        self.misfit = float((bench.observed[self.chosen[0]] - self.measured).square().sum(1).mean())
        self.spread = float(reference.var(0).mean().sqrt())

    def distances(self, x: Tensor) -> dict[str, float]:
        """Return metric → value of chains (n, dim); misfit and spread are relative to the true posterior's."""
        seen = self.bench.measurement.observe(x)
        misfit = float((seen - self.measured).square().sum(1).mean())
        return {
            "sliced_w2": self.sliced(x),
            "misfit": misfit / self.misfit,
            "spread": float(x.var(0).mean().sqrt()) / self.spread,
        }

    @cached_property
    def floors(self) -> dict[str, float]:
        """Return metric → mean over sets of as many true draws as there are chains."""
        sets = [self.distances(self.bench.prior[chosen]) for chosen in self.chosen[1:]]
        return {metric: sum(item[metric] for item in sets) / FLOORS for metric in sets[0]}


class Bench:
    """A measurement, draws from its prior, and what has been measured of them."""

    def __init__(self, spec: Posterior) -> None:
        """Build the measurement."""
        self.spec, self.samples = spec, spec.samples
        self.measurement: Measurement = measurement_class(spec.measurement)(device=spec.device, **spec.params)
        law = self.measurement.law
        self.prior = law.draw(PRIOR, self.generator("prior"))
        self.observed = self.measurement.observe(self.prior)
        self.spread = float(self.prior.var(0).mean().sqrt())
        self.truths: dict[int, Truth] = {}

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers for a purpose; all guides share those of a seed as far as they go."""
        return torch.Generator().manual_seed(derive("posterior", "measured", self.spec.task, *purpose))

    def truth(self, seed: int) -> Truth:
        """Return the posterior that a seed's measured value has."""
        if seed not in self.truths:
            self.truths[seed] = Truth(self, seed)
        return self.truths[seed]

    @torch.no_grad()
    def sample(self, guide: Guide, budget: int, seed: int) -> tuple[Tensor, float]:
        """Return chains (n, dim) by DDPM's ancestral sampling with guided answers, and the evaluations per chain."""
        task, law, rows = self.measurement, self.measurement.law, 0
        generator, sampler = self.generator("seed", seed), Family(q=1.0)

        def observe(x: Tensor) -> Tensor:
            nonlocal rows
            rows += x[..., 0].numel()
            return task.observe(x)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(law.device, law.dtype)

        count, each = guide.plan(budget)
        levels = spaced(SPACING, count)
        measured = self.truth(seed).measured
        guide.begin(Inverse(measured, task.noise, self.spread, observe, law.denoise, task.soft, normal), each)
        shape = self.samples, law.dim
        y = math.sqrt(1 + LEVEL_MAX**2) * normal(*shape)
        for now, then in zip(levels[:-1], levels[1:], strict=True):
            y, answer = guide.answer(y, now)
            y, _ = sampler.run(lambda *_, known=answer: known, y, [now, then], lambda: normal(*shape))
            y = y.clamp(-REACH * (1 + then), REACH * (1 + then))
        return guide.answer(y, levels[-1])[1], rows / self.samples
