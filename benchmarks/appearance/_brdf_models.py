"""Models that a BRDF is fitted with: NBRDF, Phong, Cook-Torrance, and a linear basis learned from other materials."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from benchmarks.appearance import _analytic, _nbrdf
from benchmarks.appearance._directions import cosines
from benchmarks.appearance._patterns import SHARE, STEEPEST, horizon
from benchmarks.appearance._patterns import vectors as to_vectors
from benchmarks.contract.errors import UsageError

Reference = Callable[[Tensor, Tensor], Tensor]  # half, difference (n, 3) → BRDFs (members, n, 3) in 1/sr


class Model(Protocol):
    """A function of flat weights, for all tasks at once."""

    n_weights: int
    n_head: int  # weights of the last layer, which stand last; 0 where there are no layers

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        """Return random initial weights (count, n_weights)."""

    def evaluate(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """Return BRDFs (tasks, n, 3) in 1/sr, above −1, of weights (tasks, n_weights) at vectors (tasks, n, 6)."""


class Nbrdf:
    """The network 6-21-21-3 of `_nbrdf`."""

    n_weights, n_head = _nbrdf.N_WEIGHTS, _nbrdf.HEAD
    initial = staticmethod(_nbrdf.initial)
    evaluate = staticmethod(_nbrdf.evaluate)


class Lobe:
    """Seven weights: a diffuse and a specular colour and a roughness, for one of the models of `_analytic`.

    Colours are softplus(w), or σ(w) where they are a reflectance at normal incidence; roughness is .28 + .62 σ(w),
    which are Phong exponents from 1 to 323 and α from .08 to .81 of Cook-Torrance. Ours: all these ranges.
    """

    n_weights, n_head = 7, 0
    typical = (0.3, 0.1, 0.6)  # diffuse, specular, roughness: the centre of random initial weights

    def __init__(self, brdf: Callable[[_analytic.Angles, _analytic.Materials], Tensor], bounded: bool) -> None:
        """Take a model; `bounded`: its specular colour is a reflectance, at most 1."""
        self.brdf, self.bounded = brdf, bounded

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        diffuse, specular, roughness = (torch.tensor(value) for value in self.typical)
        wide = specular.logit() if self.bounded else specular.expm1().log()
        centre = torch.stack([diffuse.expm1().log(), wide, ((roughness - 0.28) / 0.62).logit()])
        return centre[[0, 0, 0, 1, 1, 1, 2]] + 0.5 * torch.randn(count, 7, generator=generator)

    def materials(self, weights: Tensor) -> _analytic.Materials:
        """Return what the weights (tasks, 7) stand for."""
        softplus, model = torch.nn.functional.softplus, torch.empty(0, dtype=torch.long)
        specular = weights[:, 3:6].sigmoid() if self.bounded else softplus(weights[:, 3:6])
        return _analytic.Materials(model, softplus(weights[:, :3]), specular, 0.28 + 0.62 * weights[:, 6].sigmoid())

    def evaluate(self, weights: Tensor, vectors: Tensor) -> Tensor:
        into, out = cosines(vectors[..., :3], vectors[..., 3:])
        return self.brdf(_analytic.Angles(into, out, vectors[..., 2], vectors[..., 5]), self.materials(weights))


class Pca:
    """log(1 + f) = mean + Σ w_j b_j: principal components, joint in colour, of other materials' tables.

    A table covers θ_h, θ_d, φ_d up to the horizon (coordinates of `_patterns`, so that no entry lies below it), with
    θ_h ∝ i² as in MERL's (the highlight is near 0) and |φ_d| folded to [0, π/2] by reciprocity and mirror symmetry;
    between entries it is trilinear. Components are scaled to unit variance of their weights over the materials.

    Source: Nielsen et al. 2015 (PCA of logarithmic BRDFs). Ours: log(1 + f), the loss's own scale, which needs no
    median BRDF to divide by, and the smaller table.
    """

    shape = (24, 12, 8)  # entries along θ_h, θ_d, φ_d

    def __init__(self, reference: Reference, components: int) -> None:
        """Learn the basis from the BRDFs of all `reference` materials; raises UsageError for too many components."""
        value = torch.log1p(reference(*self.directions()))  # (members, entries, 3)
        if not 1 <= components < len(value):
            raise UsageError(
                f"appearance.brdf: parameter 'components' is {components}; a basis from {len(value)} training members "
                f"has 1 to {len(value) - 1}"
            )
        table = value.flatten(1).double()
        mean = table.mean(0)
        _, scale, basis = torch.linalg.svd(table - mean, full_matrices=False)
        deviation = scale[:components] / math.sqrt(len(table) - 1)
        scaled = torch.cat([mean[None], deviation[:, None] * basis[:components]])
        scaled = scaled.view(1 + components, *self.shape, 3).permute(
            0, 4, 1, 2, 3
        )  # (1 + components, 3, θ_h, θ_d, φ_d)
        self.table = scaled.reshape(1, -1, *self.shape).float().contiguous()
        self.n_weights, self.n_head = components, 0

    def directions(self) -> tuple[Tensor, Tensor]:
        """Return half and difference vectors (entries, 3) of the table, φ_d fastest."""
        axes = [torch.linspace(0, 1, size) for size in self.shape]
        first, second, third = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
        shares = torch.stack([first**2, second], 1)
        limits = torch.finfo().eps  # logit of the ends is infinite
        return to_vectors(torch.cat([shares.clamp(limits, 1 - limits).logit(), third[:, None] * math.pi / 2], 1))

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, self.n_weights, generator=generator)

    def at(self, vectors: Tensor) -> Tensor:
        """Return mean and components (tasks, 1 + components, n, 3) at vectors (tasks, n, 6), differentiable."""
        half, difference = vectors[..., :3], vectors[..., 3:]
        theta_h = torch.atan2(half[..., 0], half[..., 2]).clamp_min(1e-6)
        # Folded to the first quadrant; the smallest numbers keep the gradient of atan2 finite at the pole.
        x, y = difference[..., 0].abs() + 1e-9, difference[..., 1].abs() + 1e-9
        phi_d, theta_d = torch.atan2(y, x), torch.atan2((x**2 + y**2).sqrt(), difference[..., 2])
        shares = [(theta_h / STEEPEST).sqrt(), theta_d / (SHARE * horizon(theta_h, phi_d)), 2 / math.pi * phi_d]
        place = 2 * torch.stack(shares[::-1], -1) - 1  # grid_sample wants the last axis first, from −1 to 1
        tasks, count = place.shape[:2]
        found = torch.nn.functional.grid_sample(
            self.table.to(place.device), place.view(1, tasks, count, 1, 3), padding_mode="border", align_corners=True
        )
        return found.view(1 + self.n_weights, 3, tasks, count).permute(2, 0, 3, 1)

    def evaluate(self, weights: Tensor, vectors: Tensor) -> Tensor:
        mean, basis = self.at(vectors).split([1, self.n_weights], 1)
        exponent = mean[:, 0] + torch.einsum("tj,tjnc->tnc", weights, basis)
        return torch.expm1(exponent.clamp_max(_nbrdf.LARGEST))


def build(name: str, reference: Reference, components: int) -> Model:
    """Return the model of this name; `reference` and `components` are for PCA."""
    if name == "pca":
        return Pca(reference, components)
    if name == "phong":
        return Lobe(_analytic.phong, bounded=False)
    return Lobe(_analytic.cook_torrance, bounded=True) if name == "cook_torrance" else Nbrdf()
