"""A law that diffusion samplers draw from, with what is known of the truth: quantiles, moments, distances, floors."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.contract.seeds import derive

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from benchmarks.contract.law import Law
    from benchmarks.experiments.diffusion import Diffusion
    from methods.diffusion.base import Sampler

REFERENCE = 50_000  # true draws that quantiles and moments come from
FLOORS = 5  # sets of true draws whose distances are averaged into the floor
DIRECTIONS = 128
COMPARED = 1000  # draws, at most, of which precision and recall are taken: distances between all of them
JUDGED = "sliced_w2"  # what choices are judged by


class Bench:
    """A law with what is known of the truth: quantiles, moments, true draws, and the distances between true draws."""

    def __init__(self, spec: Diffusion) -> None:
        """Build the law and draw from it."""
        from benchmarks.experiments.distances import Sliced, moments
        from benchmarks.harness.registry import law_class

        self.spec = spec
        self.law: Law = law_class(spec.law)(device=spec.device, **spec.params)
        many = self.law.draw(REFERENCE, self.generator("reference"))
        self.sliced = Sliced(many, spec.samples, DIRECTIONS, self.generator("directions"))
        self.moments = moments(self.law.features(many)) if self.law.has_features else None
        self.truth = self.law.features(many[: min(spec.samples, COMPARED)])

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers for a purpose; all samplers share those of a seed as far as they go."""
        import torch

        return torch.Generator().manual_seed(derive("diffusion", self.spec.task, *purpose))

    def distances(self, x: Tensor) -> dict[str, float]:
        """Return metric → value of draws (n, dim)."""
        from benchmarks.experiments.distances import frechet, moments, precision_recall

        features = self.law.features(x)
        found = {JUDGED: self.sliced(x)}
        if self.moments is not None:
            found["frechet"] = frechet(moments(features), self.moments)
        found["precision"], found["recall"] = precision_recall(features[:COMPARED], self.truth)
        return found

    @cached_property
    def floors(self) -> dict[str, float]:
        """Return metric → mean over sets of true draws, as many as there are samples: what no sampler can beat."""
        sets = [
            self.distances(self.law.draw(self.spec.samples, self.generator("floor", number)))
            for number in range(FLOORS)
        ]
        return {metric: sum(item[metric] for item in sets) / FLOORS for metric in sets[0]}

    def sample(self, sampler: Sampler, spacing: str, budget: int, seed: int) -> tuple[Tensor, int, float]:
        """Return draws (n, dim), the evaluations made, and the mean length of the paths over the distance covered.

        Paths are measured as the variance-preserving process has them, y / √(1 + v²).
        """
        import torch

        from methods.diffusion.base import LEVEL_MAX, spaced

        law, generator, nfe = self.law, self.generator("seed", seed), 0

        def denoise(y: Tensor, v: float | Tensor) -> Tensor:
            nonlocal nfe
            nfe += 1
            return law.denoise(y, v)

        def normal() -> Tensor:
            drawn = torch.randn(self.spec.samples, law.dim, generator=generator, dtype=torch.float64)
            return drawn.to(law.device, law.dtype)

        levels = spaced(spacing, sampler.levels(budget))
        first = last = normal()
        length = torch.zeros(len(first), dtype=law.dtype, device=law.device)
        y = first * math.sqrt(1 + LEVEL_MAX**2)
        for y, v in zip(sampler.run(denoise, y, levels, normal), [*levels[1:], 0.0], strict=True):  # noqa: B020
            now = y / math.sqrt(1 + v * v)
            length += (now - last).norm(dim=1)
            last = now
        return y, nfe, float((length / (last - first).norm(dim=1)).mean())
