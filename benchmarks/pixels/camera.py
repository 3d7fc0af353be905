"""The photograph seen through a camera: a pixel hangs on many parameters, on all of them, or on luck."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.pixels.texture import STEP, Texture

HALO, SPREAD = 0.4, 2.0  # share of the light that a bloom spreads, and how far, in pixels
QUANTILE, GAMMA = 0.995, 2.2  # the brightness that is shown as white
DARKEST = 1e-4  # keeps the slope of the gamma curve finite
NOISE = 0.4 * STEP  # standard deviation of a pixel's noise: 40 % of what a natural step does


class Camera(Texture):
    """L(z) = ‖V(x) − V(t)‖² / ‖V(t)‖², x = ½ + 0.025 z, t the photograph and V what the camera makes of a picture.

    `bloom`: four tenths of the light are spread by a Gaussian of two pixels. `tone_map`: divided by its own 99.5 %
    quantile, cut at white, gamma 2.2, all of which the criterion does: the camera delivers linear radiance. `noise`:
    every render adds N(0, 0.01²) to every pixel; validation sees none.
    """

    provenance = "ours"
    source = "Ours: what bloom, an exposure by the picture itself and noise take from methods that read pictures"

    def setup(
        self,
        view: Literal["bloom", "tone_map", "noise"] = "bloom",
        size: Annotated[int, Ge(1), Le(65536)] = 32,
    ) -> None:
        """Use size² pixels, three parameters each."""
        super().setup(size)
        self.view = view
        self.noise = "fresh" if view == "noise" else "fixed"
        self.photograph = self.target
        photograph = self.target.view(1, size, size, 3)
        if view == "bloom":
            position = torch.arange(size, dtype=torch.float64)
            weight = torch.exp(-0.5 * ((position[:, None] - position) / SPREAD) ** 2)
            self.spread = (weight / weight.sum(1, keepdim=True)).to(photograph)
            photograph = self._bloom(photograph)
        self.target = self._shown(photograph).flatten()
        self.energy = self.target.square().sum()

    def _bloom(self, picture: Tensor) -> Tensor:
        halo = torch.einsum("ij,njkc,lk->nilc", self.spread, picture, self.spread)
        return (1 - HALO) * picture + HALO * halo

    def _shown(self, radiance: Tensor) -> Tensor:
        if self.view != "tone_map":
            return radiance
        numbers = radiance.flatten(1)
        white = numbers.kthvalue(max(1, int(QUANTILE * numbers.shape[1])), dim=1).values.clamp_min(DARKEST)
        return (radiance / white[:, None, None, None]).clamp(DARKEST, 1) ** (1 / GAMMA)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        picture = super().observe(z, seed)
        if self.view == "bloom":
            return self._bloom(picture)
        if self.view == "noise":
            return picture + NOISE * self._noise(z, seed).view_as(picture)
        return picture

    def _noise(self, z: Tensor, seed: int) -> Tensor:
        """Return normal numbers (n, dim) that differ between candidates, but not with what else is in a batch."""
        own = z.detach().float().view(torch.int32).sum(1, dtype=torch.int64)
        rows = []
        for number in own.tolist():  # each candidate has its own generator
            generator = torch.Generator().manual_seed((seed + 0x9E3779B9 * number) % 2**63)
            rows.append(torch.randn(self.dim, generator=generator))
        return torch.stack(rows).to(z)

    def criterion(self, observed: Tensor) -> Tensor:
        return super().criterion(self._shown(observed))

    @torch.no_grad()
    def precise_loss(self, z: Tensor, seed: int) -> Tensor:
        picture = super().observe(z, seed)
        return self.criterion(self._bloom(picture) if self.view == "bloom" else picture)

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss without noise, the root mean squared pixel error, and the PSNR of what is seen, in dB."""
        loss = float(self.precise_loss(z[None], 0))
        error = loss * float(self.energy) / self.dim
        psnr = -10 * math.log10(max(error, 1e-12))
        wrong = float((0.5 + STEP * z - self.photograph).square().mean().sqrt())
        return {"loss": loss, "parameter_error": wrong, "psnr": psnr}
