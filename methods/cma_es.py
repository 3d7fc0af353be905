"""CMA-ES with a full, diagonal or low-rank covariance: the standard to beat without gradients."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from methods._look import Look
from methods._ranges import Count, Positive, Ranked
from methods._replay import Replay
from methods._work import Work
from methods.base import Space

MATRICES = 8  # of doubles: covariance, eigenvectors, workspace of their update; measured with pycma 4.5: 7.3
VARIANTS = {"full": 1, "separable": 2, "vd": 2, "vkd": 2}  # variant → least dimension that it is made for


class CmaEs(Replay):
    """Adapt mean, step size and covariance C of a Gaussian to the ranking of its samples.

    full: C is d × d (Hansen & Ostermeier 2001); separable: C = D² (Ros & Hansen 2008); vd: C = D(I + vvᵀ)D (Akimoto,
    Auger & Hansen 2014), memory O(d); vkd: C = D(I + VVᵀ)D with V of adaptive rank (Akimoto & Hansen 2016), here at
    most `rank`: O(d · rank). Library: pycma. Its own stopping criteria are not asked, so that a plateau does not end a
    run. The box is left to the runner's projection. The incumbent is the mean.
    """

    look = Look("CMA-ES (full)", "#00b08b", "^")
    looks = {
        ("variant", "separable"): Look("CMA-ES (separable)", "#66c2a4", "D"),
        ("variant", "vkd"): Look("CMA-ES (VkD)", "#7fbc41", "v"),
        ("variant", "vd"): Look("CMA-ES (VD)", "#4d6b21", "P"),
    }
    kind = "distribution"
    library = "cma"
    grid = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        if space.dim < 2:
            return "pycma needs at least two dimensions"
        matrix = 8 * space.dim**2
        limit = params.get("memory_gib", 4.0)
        if params.get("variant", "full") == "full" and MATRICES * matrix > limit * 2**30:
            return f"covariance needs {matrix / 1e9:.1f} GB, {MATRICES} times that to update it; limit {limit:g} GiB"
        return super().unsupported(space, **params)

    @classmethod
    def work(cls, space: Space, **params: Any) -> Work:
        """Sampling and eigenvectors take O(dim²) per evaluation, the variants O(dim) with large constants."""
        variant = params.get("variant", "full")
        host = {"full": space.dim + 30, "separable": 40, "vd": 40, "vkd": params.get("rank", 30) + 10}[variant]
        kept = MATRICES * 2 * space.dim if variant == "full" else 2 * host
        return Work(launches=20, numbers=0, host=host * space.dim, kept=kept * space.dim)

    def setup(
        self,
        variant: Literal["full", "separable", "vd", "vkd"] = "full",
        sigma: Positive = 1.0,
        population: Ranked | None = None,
        rank: Count = 30,
        memory_gib: Positive = 4.0,
    ) -> None:
        """Start with standard deviation `sigma`; `population` None is 4 + ⌊3 ln dim⌋; `rank` limits vkd."""
        import cma
        from cma.restricted_gaussian_sampler import GaussVDSampler, GaussVkDSampler

        options: dict[str, Any] = {
            "seed": self.seed % 2**31 + 1,
            "verbose": -9,
            "verb_log": 0,
            "CMA_diagonal": variant == "separable",
        }
        if population is not None:
            options["popsize"] = min(population, self.space.max_batch)
        if variant == "vd":
            options = GaussVDSampler.extend_cma_options(options)
        if variant == "vkd":
            options = GaussVkDSampler.extend_cma_options(options)
            options["CMA_sampler_options"] = {"kmax": min(rank, self.space.dim - 1)}
        self.strategy = cma.CMAEvolutionStrategy(self.start(), sigma, options)

    def propose(self) -> np.ndarray:
        self.samples = self.strategy.ask()
        return np.stack(self.samples)

    def learn(self, losses: list[float]) -> None:
        self.strategy.tell(self.samples, losses)

    def recommend(self) -> np.ndarray | None:
        return self.strategy.result.xfavorite
