"""Stationary materials: six maps whose look under a flash has the statistics of a photograph's, place by place."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.appearance import _flash, _materials
from benchmarks.appearance._colours import coloured, colours_of
from benchmarks.appearance._gram import Features, RandomFeatures, distance
from benchmarks.appearance._photographs import Members, photographs
from benchmarks.appearance._texture_distances import asked
from benchmarks.appearance._unet import NOISE, UNet
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family, last_weights, split_members
from benchmarks.contract.parameters import at_least
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

OWNER = "appearance.svbrdf_stationary"
SPECTRUM_WEIGHT = 0.001
SCALES = 3  # of the features: crops of 20 pixels and more
COMPARED = 3  # × 3 places at which metrics compare


class SvbrdfStationary(Family):
    """Members are photographs under a flash; a sample is a crop at a random place, with noise to make maps for it.

    The network turns noise into diffuse, specular, roughness and height maps. They do not know where they are: the
    place of the crop decides only how light falls on them. Mean and covariance of the diffuse map, before its sigmoid,
    are told: those of the photograph where the flash's highlight is far, after division by the light that falls on a
    flat sheet there.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), stationary svBRDF: U-Net with AdaIN → six maps → flash renderer "
        "(field of view 45°, gamma 2.2), L1 of Gram matrices + .001 × L1 of the power spectrum of features on random "
        "crops, 20 steps, first order. Ours: smaller network and pictures; random filters instead of VGG19; crops at "
        "the same places of rendering and photograph, because the flash makes every place look different; maps are "
        "made for the crop alone, not cut from larger ones; the diffuse colours' mean and covariance are told; by "
        "default materials made in code, rendered by the same renderer: some maps would explain their photographs; "
        "with `members: real` the flash photographs of Henzler et al. 2021, one per material, more or less stationary, "
        "with vignetting and a flash off centre"
    )
    title = "svBRDF, stationary"
    metric = "gram"

    def setup(
        self,
        members: Members = "made",
        folder: str | None = None,
        train: Count = 128,
        validation: Count = 8,
        test: Count = 16,
        samples: Count = 2,
        pixels: Count = 64,
        crop: Count = 32,
        channels: Count = 8,
        depth: Annotated[int, Ge(1), Le(16)] = 3,
        filters: Count = 16,
    ) -> None:
        """Split the materials into so many for each purpose.

        Args:
            members: `made` in code; `real`, 114 materials from the mirror, e.g. train 80, validation 12, test 20; or
                `folder`, every picture of a folder, which should then show different materials.
            folder: of pictures, at least pixels × pixels, their middle under the flash.
            samples: crops per gradient step.
            pixels: width and height of a photograph.
            crop: width and height of a crop.
            channels: of the network at its finest level.
            depth: of the network, how many times it halves its grid.
            filters: of the features, per scale.
        """
        self.decoder = UNet(channels, depth, _flash.CHANNELS)
        self.features = RandomFeatures(self.device, filters, SCALES)
        self.other_features = RandomFeatures(self.device, filters, SCALES, "metrics")
        at_least(max(self.features.smallest, 2 * self.decoder.multiple), OWNER, crop=crop)
        at_least(crop, OWNER, pixels=pixels)
        for name, value in (("crop", crop), ("pixels", pixels)):
            if value % self.decoder.multiple:
                multiple = f"a multiple of {self.decoder.multiple} (2^depth)"
                raise UsageError(f"{OWNER}: parameter {name!r} is {value}, must be {multiple}")
        self.n_weights, self.samples, self.steps = self.decoder.n_weights, samples, 20
        self.head = last_weights(self.n_weights, self.decoder.n_head, self.device)
        self.pixels, self.crop = pixels, crop
        count = train + validation + test
        self.photographs = photographs(members, folder, _materials.STATIONARY, count, pixels, OWNER, self.device)
        self.names = self.photographs.names
        self.split = split_members(len(self.names), train, validation, test, OWNER)
        self.towards = _flash.camera(pixels, self.device)
        self.colours = colours_of(_flash.diffuse_channels(self.photographs.pictures, self.towards))
        generator = torch.Generator().manual_seed(derive(OWNER, "noise"))
        self.noise = torch.randn(1, 1, NOISE, pixels, pixels, generator=generator).to(self.device)
        axis = torch.linspace(0, pixels - crop, COMPARED).round().long()
        self.compared = torch.cartesian_prod(axis, axis).to(self.device)  # (9, 2)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.decoder.initial(count, generator).to(self.device)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        tasks = len(members)
        corner = torch.randint(self.pixels - self.crop + 1, (tasks, n, 2), generator=generator).to(self.device)
        noise = torch.randn(tasks, n, NOISE, self.crop, self.crop, generator=generator).to(self.device)
        seen = self._cut(self.photographs.pictures[members.to(self.device)], corner)
        return {"noise": noise, "corner": corner, "photograph": seen, **self.colours.batch(members.to(self.device), n)}

    def _cut(self, pictures: Tensor, corner: Tensor) -> Tensor:
        """Return crops (tasks, n, 3, crop, crop) of pictures (tasks, 3, h, w) at corners (tasks, n, 2), row first."""
        along = torch.arange(self.crop, device=self.device)
        rows, columns = corner[..., :1, None] + along[:, None], corner[..., 1:, None] + along
        task = torch.arange(len(pictures), device=self.device)[:, None, None, None]
        return pictures[task, :, rows, columns].movedim(-1, 2)

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        maps = self._maps(weights, batch)
        towards = self._cut(self.towards.expand(len(weights), -1, -1, -1), batch["corner"])
        rendered = _flash.photograph(maps, towards, self.pixels)
        difference = self._gram(rendered, batch["photograph"], self.features)
        return difference + SPECTRUM_WEIGHT * self._spectrum(rendered, batch["photograph"])

    def _maps(self, weights: Tensor, batch: Batch) -> Tensor:
        """Return the maps (tasks, n, 6, h, w) that a batch's noise turns into, in the ranges of `to_maps`."""
        channels = self.decoder(weights, batch["noise"])
        return _flash.to_maps(torch.cat([coloured(channels[:, :, :3], batch), channels[:, :, 3:]], 2))

    @staticmethod
    def _gram(one: Tensor, other: Tensor, features: Features) -> Tensor:
        """Return the distance of the Gram matrices of crops (tasks, n, 3, h, w), averaged over crops, (tasks,)."""
        values = distance(features.gram(one.flatten(0, 1)), features.gram(other.flatten(0, 1)))
        return values.view(one.shape[:2]).mean(1)

    def _spectrum(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the mean absolute difference of the power spectra |F|² / p of features of p pixels, (tasks,).

        With this scale the mean over frequencies is the mean square of the feature, as in a Gram matrix.
        """
        total = one.new_zeros(len(one))
        for mine, theirs in zip(
            self.features.maps(one.flatten(0, 1)), self.features.maps(other.flatten(0, 1)), strict=True
        ):
            power = [torch.fft.rfft2(maps, norm="ortho") for maps in (mine, theirs)]
            difference = (power[0].real ** 2 + power[0].imag ** 2) - (power[1].real ** 2 + power[1].imag ** 2)
            total = total + difference.abs().mean((1, 2, 3)).view(one.shape[:2]).mean(1) / SCALES
        return total

    def _render(self, weights: Tensor, members: Tensor) -> Tensor:
        """Return whole renderings (tasks, 3, pixels, pixels) of noise that training never saw."""
        told = self.colours.batch(members.to(self.device), 1)
        maps = self._maps(weights, {"noise": self.noise.expand(len(weights), -1, -1, -1, -1), **told})[:, 0]
        return _flash.photograph(maps, self.towards, self.pixels).clamp(0, 1)

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return gram and, with filters that no training sees, other_gram, over nine places of a rendering; misnamed.

        `misnamed` is the share of renderings nearer to a wrong photograph than to their own, among eight test members.
        """
        corner = self.compared.expand(len(members), -1, -1)
        rendered, photographs = self._render(weights, members), self.photographs.pictures
        shown, wanted = self._cut(rendered, corner), self._cut(photographs[members.to(self.device)], corner)
        return {
            "gram": self._gram(shown, wanted, self.features),
            "other_gram": self._gram(shown, wanted, self.other_features),
            **asked(rendered, members, self.split.test, photographs),
        }

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        return self._render(weights[None], torch.tensor([member]))[0].permute(1, 2, 0)

    def reference_picture(self, member: int) -> Tensor:
        return self.photographs.pictures[member].permute(1, 2, 0)
