"""Directional Gaussian smoothing: one-dimensional smoothed slopes along orthonormal directions, by quadrature."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor

from methods._look import Look
from methods._ranges import Count, Positive
from methods._work import Work
from methods.base import Descent, Evaluation, Schedule, Space

STEPS = 100  # the automatic number of directions leaves the budget for at least this many steps


class DirectionalSmoothing(Descent):
    """g = Σ_j D_j ξ_j, D_j = E[v L(θ + r v ξ_j)]/r with v ~ N(0, 1), by Gauss–Hermite quadrature, with Adam.

    D_j is the slope along ξ_j of the loss smoothed along that line only, so a wide kernel costs no variance: with M
    nodes t_m and weights w_m it is Σ_m w_m √2 t_m L(θ + √2 r t_m ξ_j) / (√π r), exact where the loss along the line is
    a polynomial of degree 2M − 2. The middle one of an odd number of nodes is multiplied by t_m = 0 and not evaluated:
    a step costs directions · (M − M mod 2) evaluations.

    Source: Zhang, Tran, Lu & Zhang 2020, *A scalable evolution strategy with directional Gaussian smoothing for
    black-box optimization*. It uses all dim directions in every step, at first the axes, turned by a random rotation
    where the slope gets small. Ours: fresh random directions in every step; where all would leave the budget for fewer
    than 100 steps only some of them, times dim / directions, which is the full sum in expectation over rotations; the
    radius along a random direction is r = σ√dim, so that σ is a root mean square per coordinate as everywhere else here
    (along an axis r = σ); M = 5; Adam; σ is not redrawn at random.
    """

    look = Look("Directional smoothing", "#3a86c8", "d")
    grid = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
    per_coordinate = Work(launches=3, numbers=8, kept=20)

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        need = params.get("nodes", 5) // 2 * 2
        return None if space.max_batch >= need else f"one line takes {need} candidates, {space.max_batch} fit at once"

    def setup(
        self,
        lr: Positive = 0.1,
        sigma: Positive = 1.0,
        directions: Count | None = None,
        nodes: Annotated[int, Interval(ge=2, le=64)] = 5,
        frame: Literal["random", "axes"] = "random",
        schedule: Schedule = "linear",
    ) -> None:
        """Smooth along `directions` lines per step (None: as many as leave 100 steps), `nodes` is M.

        `frame` "random" draws orthonormal directions, "axes" draws coordinates without repetition.
        """
        space = self.space
        abscissa, weight = np.polynomial.hermite.hermgauss(nodes)  # ∫ exp(−t²) f(t) dt ≈ Σ w f(t)
        ahead = abscissa > 0  # the nodes lie symmetrically
        self.nodes = space.start.new_tensor(math.sqrt(2) * abscissa[ahead])  # v_m
        self.weights = space.start.new_tensor(weight[ahead] / math.sqrt(math.pi)) * self.nodes
        cost = 2 * len(self.nodes)
        wanted = max(1, space.budget // (cost * STEPS)) if directions is None else directions
        self.directions = max(1, min(wanted, space.dim, space.max_batch // cost))
        self.radius = sigma * (math.sqrt(space.dim) if frame == "random" else 1.0)
        self.frame = frame
        self.lines = torch.empty(0)  # ξ, (directions, dim)
        self.start_descent(lr, schedule=schedule)

    def draw(self) -> Tensor:
        """Return orthonormal directions (directions, dim)."""
        space, count = self.space, self.directions
        if self.frame == "axes":
            lines = space.start.new_zeros(count, space.dim)
            order = torch.randperm(space.dim, generator=self.generator, device=space.device)
            lines[torch.arange(count, device=space.device), order[:count]] = 1.0
            return lines
        basis, triangle = torch.linalg.qr(self.normal(space.dim, count))
        return (basis * triangle.diagonal().sign()).T  # the signs make it uniform over rotations (Mezzadri 2007)

    def ask(self) -> Tensor:
        self.lines = self.draw()
        offsets = (self.radius * self.nodes[None, :, None] * self.lines[:, None]).flatten(0, 1)
        return self.theta + torch.cat([offsets, -offsets])

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        ahead, behind = evaluation.loss.view(2, self.directions, -1)
        slopes = (ahead - behind) @ self.weights / self.radius
        self.descend(slopes @ self.lines * (self.space.dim / self.directions), len(z))
