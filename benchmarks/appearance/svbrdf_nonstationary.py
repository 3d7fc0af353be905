"""Spatially varying materials with large-scale patterns: six maps that look like a photograph at every pixel."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.appearance import _flash, _materials
from benchmarks.appearance._photographs import Members, photographs
from benchmarks.appearance._unet import NOISE, UNet
from benchmarks.appearance.brdf import dssim
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family, last_weights, split_members
from benchmarks.contract.parameters import at_least
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

OWNER = "appearance.svbrdf_nonstationary"


class SvbrdfNonstationary(Family):
    """Members are photographs under a flash; a sample is one pixel of the photograph.

    The network turns one picture of noise, the same for all members and steps, into diffuse, specular, roughness and
    height maps, which are rendered under the flash.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), non-stationary svBRDF: U-Net with AdaIN → six maps → flash renderer "
        "(field of view 45°, gamma 2.2), L1 on pixels. Ours: 20 steps, as for stationary ones; smaller network and "
        "pictures; the noise is fixed, so that pixels mean places; by default materials made in code, rendered by the "
        "same renderer: some maps would explain their photographs exactly; with `members: real` the flash photographs "
        "of Henzler et al. 2021, one per material, with vignetting and a flash off centre, which the maps absorb"
    )
    title = "svBRDF, non-stationary"
    metric = "l1"

    def setup(
        self,
        members: Members = "made",
        folder: str | None = None,
        train: Count = 128,
        validation: Count = 8,
        test: Count = 16,
        samples: Count = 4096,
        pixels: Count = 64,
        channels: Count = 8,
        depth: Annotated[int, Ge(1), Le(16)] = 3,
    ) -> None:
        """Split the materials into so many for each purpose.

        Args:
            members: `made` in code; `real`, 114 materials from the mirror, e.g. train 80, validation 12, test 20; or
                `folder`, every picture of a folder, which should then show different materials.
            folder: of pictures, at least pixels × pixels, their middle under the flash.
            samples: pixels per gradient step; no pixel comes twice before all have come, so that with pixels² every
                step sees the whole photograph.
            pixels: width and height of a photograph.
            channels: of the network at its finest level.
            depth: of the network, how many times it halves its grid.
        """
        self.decoder = UNet(channels, depth, _flash.CHANNELS)
        at_least(max(16, 2 * self.decoder.multiple), OWNER, pixels=pixels)
        if pixels % self.decoder.multiple:
            multiple = f"a multiple of {self.decoder.multiple} (2^depth)"
            raise UsageError(f"{OWNER}: parameter 'pixels' is {pixels}, must be {multiple}")
        self.n_weights, self.samples, self.steps, self.pixels = self.decoder.n_weights, samples, 20, pixels
        self.head = last_weights(self.n_weights, self.decoder.n_head, self.device)
        count = train + validation + test
        self.photographs = photographs(members, folder, _materials.NON_STATIONARY, count, pixels, OWNER, self.device)
        self.names = self.photographs.names
        self.split = split_members(len(self.names), train, validation, test, OWNER)
        self.towards = _flash.camera(pixels, self.device)
        generator = torch.Generator().manual_seed(derive(OWNER, "noise"))
        self.noise = torch.randn(1, 1, NOISE, pixels, pixels, generator=generator).to(self.device)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.decoder.initial(count, generator).to(self.device)

    def maps(self, weights: Tensor) -> Tensor:
        """Return the maps (tasks, 6, pixels, pixels) of weights (tasks, n_weights), in the ranges of `to_maps`."""
        return _flash.to_maps(self.decoder(weights, self.noise.expand(len(weights), -1, -1, -1, -1))[:, 0])

    def _render(self, weights: Tensor) -> Tensor:
        return _flash.photograph(self.maps(weights), self.towards, self.pixels)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        rounds = range(0, n, self.pixels**2)
        order = torch.cat([torch.randperm(self.pixels**2, generator=generator) for _ in rounds])[:n].to(self.device)
        seen = self.photographs.pictures[members.to(self.device)].flatten(2)[:, :, order]
        return {"pixel": order.expand(len(members), -1), "photograph": seen.mT}

    def measured(self, photograph: Tensor) -> Batch:
        """Return a photograph of one's own (pixels, pixels, 3) in [0, 1] as the samples (1, n, …) of one member."""
        order = torch.arange(self.pixels**2, device=self.device)
        return {"pixel": order[None], "photograph": photograph.to(self.device).reshape(1, -1, 3)}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        index = batch["pixel"][:, None].expand(-1, 3, -1)
        return (self._render(weights).flatten(2).gather(2, index).mT - batch["photograph"]).abs().mean((1, 2))

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return l1, psnr (dB) and dssim of the whole picture; of made members also maps_mae.

        maps_mae is the mean absolute error of all six maps, the height up to a constant, which no picture shows.
        """
        chosen = members.to(self.device)
        maps = self.maps(weights)
        shown = _flash.photograph(maps, self.towards, self.pixels).clamp(0, 1)
        wanted = self.photographs.pictures[chosen]
        found = {
            "l1": (shown - wanted).abs().mean((1, 2, 3)),
            "psnr": -10 * (shown - wanted).square().mean((1, 2, 3)).clamp_min(1e-12).log10(),
            "dssim": dssim(shown.permute(0, 2, 3, 1), wanted.permute(0, 2, 3, 1)),
        }
        if self.photographs.maps is not None:
            error = maps - self.photographs.maps[chosen]
            error[:, 5] -= error[:, 5].mean((1, 2), keepdim=True)
            found["maps_mae"] = error.abs().mean((1, 2, 3))
        return found

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        return self._render(weights[None])[0].clamp(0, 1).permute(1, 2, 0)

    def reference_picture(self, member: int) -> Tensor:
        return self.photographs.pictures[member].permute(1, 2, 0)
