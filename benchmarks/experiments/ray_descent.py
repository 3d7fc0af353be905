"""Descents by PRDPT's gradient of the picture that spend the rays, or the cost, of a step in several ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import derive
from methods._ray_allocation import Array, Memory, intensities, visits
from methods._ray_budget import Budget, variance_of_a_ray

if TYPE_CHECKING:
    from benchmarks.rendering._scene import Scene

RATE, FINAL_SIGMA = 0.2, 0.2  # of Adam, decaying to zero; of the kernel, from 1 linearly
FORGET = 0.3  # of a pixel's remembered radiance at every step that visits it
TARGET_SPP = 64


@dataclass(frozen=True)
class Arm:
    """How a step is spent: pairs and samples are given, or a budget is and one of them, or a budget alone.

    A budget is the cost 2 K (n + o) of a step in rays per pixel, o the overhead of a render. With a budget and pairs,
    the rest goes into samples; with a budget alone, both are chosen at every step, see methods/_ray_budget.py.
    """

    pairs: int | None = None
    samples: float | None = None  # rays per pixel and render
    allocation: Literal["uniform", "primal", "gradient"] = "uniform"
    budget: float | None = None
    overhead: float = 0.0

    def __post_init__(self) -> None:
        """Check what is given; raises UsageError."""
        if self.budget is None and (self.pairs is None or self.samples is None):
            raise UsageError("rays: an arm needs pairs and samples, or a budget")
        if self.budget is not None and (self.samples is not None or self.allocation != "uniform"):
            raise UsageError("rays: an arm with a budget has no samples and no allocation, they follow from it")
        if self.budget is not None and self.pairs is not None and self.budget / (2 * self.pairs) < self.overhead + 1:
            raise UsageError(f"rays: a budget of {self.budget:g} does not buy {self.pairs} pairs of a sample a pixel")


@dataclass(frozen=True)
class Ended:
    """A descent's end and what its steps had in the mean."""

    error: float  # root mean squared distance to the truth, in natural steps
    rays: float
    renders: float
    cost: float  # 2 K (n + o), rays per pixel


class Descent:
    """θ, the remembered picture Q and what the allocation has learned, all from past steps: gradients stay unbiased."""

    def __init__(self, scene: Scene, arm: Arm, steps: int, seed: int) -> None:
        """Begin at the replicate's start; a picture of one ray per pixel is the first Q."""
        self.scene, self.arm, self.steps = scene, arm, steps
        name = type(scene).__name__
        self.generator = torch.Generator().manual_seed(derive("rays", "descent", name, seed))
        self.random = np.random.default_rng(derive("rays", "pixels", name, seed))
        self.theta = scene.start(derive(name, "start", seed)).clone().requires_grad_(True)
        self.optimizer = torch.optim.Adam([self.theta], RATE)
        self.pixels = scene.width * scene.height
        self.target = scene.reference_picture(TARGET_SPP).view(-1, 3).numpy().astype(float)
        self.memory = Memory(scene.height, scene.width)
        joint = arm.budget is not None and arm.pairs is None
        self.budget = Budget(arm.budget, arm.overhead) if joint else None
        self.spent: list[tuple[int, float]] = []  # pairs and samples of every step
        self.picture = self.see(self.theta.detach()[None], np.arange(self.pixels))[0]  # (P, 3)

    def see(self, z: torch.Tensor, pixels: Array) -> Array:
        """Return radiance (n, rays, 3) with new random numbers, the same ones for all z (n, dim)."""
        seed = int(self.random.integers(2**31))
        return self.scene.observe_pixels(z, torch.from_numpy(pixels), seed).numpy().astype(float)

    def plan(self) -> tuple[int, float]:
        """Return pairs and samples per pixel of the coming step."""
        arm = self.arm
        if self.budget is not None:
            return self.budget.choose()
        return arm.pairs, arm.samples or arm.budget / (2 * arm.pairs) - arm.overhead

    def intensity(self, samples: float) -> Array:
        """Return l_p (P,) of the coming step."""
        even = np.full(self.pixels, samples)
        if self.arm.allocation == "uniform" or not self.memory.weight:
            return even
        return intensities(self.memory.deviation(), even.sum())

    def step(self, number: int) -> None:
        """Estimate a gradient and move."""
        done = number / self.steps
        sigma = 1 + (FINAL_SIGMA - 1) * done
        slope = 2 * (self.picture - self.target) / self.target.size
        pairs, samples = self.plan()
        self.spent.append((pairs, samples))
        intensity, gradients, noise = self.intensity(samples), [], []
        lit, told = np.zeros_like(self.picture), np.zeros(self.pixels)
        learned = []
        for _ in range(pairs):
            offset = sigma * torch.randn(self.scene.dim, generator=self.generator)
            theta = self.theta.detach()
            pixels = visits(intensity, self.random.random())
            plus, minus = self.see(torch.stack([theta + offset, theta - offset]), pixels)
            change = ((plus - minus) * slope[pixels]).sum(1)
            # With a visit everywhere, means per pixel are unbiased and do not vary with who is visited once more.
            visited = np.bincount(pixels, minlength=self.pixels) if intensity.min() >= 1 else intensity
            gradients.append(offset / (2 * sigma**2) * float((change / visited[pixels]).sum()))
            mean = (plus + minus) / 2
            np.add.at(lit, pixels, mean)
            np.add.at(told, pixels, 1)
            size = float(offset.square().sum()) / (4 * sigma**4)
            if self.budget is not None:
                noise.append(size * variance_of_a_ray(change, pixels, samples))
            apart = ((mean - self.picture[pixels]) ** 2).sum(1)
            learned.append((pixels, size * change**2 if self.arm.allocation == "gradient" else apart))
        for pixels, squares in learned:
            self.memory.add(pixels, squares, intensity)
        if self.budget is not None:
            self.budget.learn(torch.stack(gradients).double().numpy(), np.array(noise), samples)
        seen = told > 0
        self.picture[seen] += FORGET * (lit[seen] / told[seen, None] - self.picture[seen])
        for group in self.optimizer.param_groups:
            group["lr"] = RATE * (1 - done)
        self.theta.grad = torch.stack(gradients).mean(0)
        self.optimizer.step()
        with torch.no_grad():
            if self.scene.lower is not None:
                self.theta.clamp_(self.scene.lower, self.scene.upper)

    def error(self) -> float:
        """Return the root mean squared distance to the truth, in natural steps."""
        return float((self.scene.offset(self.theta.detach()) / self.scene.scale).square().mean().sqrt())


def descend(scene: Scene, arm: Arm, steps: int, seed: int) -> Ended:
    """Return how one descent ends."""
    descent = Descent(scene, arm, steps, seed)
    for number in range(steps):
        descent.step(number)
    pairs, samples = np.array(descent.spent).T
    return Ended(
        descent.error(),
        float((2 * pairs * samples).mean()) * descent.pixels,
        float(2 * pairs.mean()),
        float((2 * pairs * (samples + arm.overhead)).mean()),
    )
