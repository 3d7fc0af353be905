"""Textures: a network that turns noise into pictures with the statistics of one exemplar."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.appearance._colours import coloured, colours_of
from benchmarks.appearance._gram import RandomFeatures, distance, features
from benchmarks.appearance._texture_distances import SMALLEST, asked, lbp, swd
from benchmarks.appearance._texture_members import Members, exemplars
from benchmarks.appearance._unet import NOISE, UNet
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family, last_weights
from benchmarks.contract.parameters import at_least
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

OWNER = "appearance.texture"


class Texture(Family):
    """Members are exemplars; a sample is one picture made of noise, compared with the exemplar's Gram matrices.

    Mean and covariance of the exemplar's colours are told, so that the network has to find its pattern.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), texture: U-Net with AdaIN from noise, L1 between Gram matrices, 15 "
        "steps. Ours: a smaller network on smaller pictures; features of fixed random filters at several scales "
        "(Ustyuzhaninov et al. 2017) unless VGG19's weights are given; textures made in code and the three photographs "
        "of textures in scikit-image; with `members: real` crops of these and of eight more; the target is the Gram "
        "matrix of the whole exemplar; the colours' mean and covariance are told"
    )
    title = "Texture"
    metric = "gram"

    def setup(
        self,
        members: Members = "made",
        folder: str | None = None,
        train: Count = 64,
        validation: Count = 8,
        test: Count = 16,
        samples: Count = 1,
        pixels: Count = 96,
        crop: Count = 64,
        channels: Count = 8,
        depth: Annotated[int, Ge(1), Le(16)] = 4,
        filters: Count = 64,
        vgg: str | None = None,
    ) -> None:
        """Split the exemplars into so many for each purpose.

        Args:
            members: `made` in code, and scikit-image's photographs; `real`: crops of these and of the mirror's eight
                photographs, five of each, each photograph in one part only, and made ones where training asks for more;
                `folder`: every picture of a folder.
            folder: of pictures of stationary textures.
            samples: pictures per gradient step.
            pixels: width and height of exemplars, and of the pictures that metrics judge.
            crop: width and height of the pictures in training.
            channels: of the network at its finest level.
            depth: how many times the network halves its grid.
            filters: random ones, per scale.
            vgg: file of VGG19's weights (as torchvision provides them); without it, random filters.
        """
        self.net = UNet(channels, depth, 3)
        self.features = features(self.device, vgg, filters, OWNER)
        at_least(max(self.features.smallest, 2 * self.net.multiple), OWNER, crop=crop)
        at_least(max(crop, SMALLEST), OWNER, pixels=pixels)
        for name, value in (("crop", crop), ("pixels", pixels)):
            if value % self.net.multiple:
                multiple = f"a multiple of {self.net.multiple} (2^depth)"
                raise UsageError(f"{OWNER}: parameter {name!r} is {value}, must be {multiple}")
        self.n_weights, self.samples, self.steps, self.crop = self.net.n_weights, samples, 15, crop
        self.head = last_weights(self.n_weights, self.net.n_head, self.device)
        self.names, pictures, self.split = exemplars(members, folder, train, validation, test, pixels, OWNER)
        self.exemplars = pictures.to(self.device)
        self.colours = colours_of(self.exemplars.flatten(2))
        self.target = torch.cat([self.features.gram(part) for part in self.exemplars.split(16)])  # (members, entries)
        self.other_features = RandomFeatures(self.device, bank="metrics")
        generator = torch.Generator().manual_seed(derive(OWNER, "noise"))
        self.noise = torch.randn(1, 1, NOISE, pixels, pixels, generator=generator).to(self.device)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.net.initial(count, generator).to(self.device)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        noise = torch.randn(len(members), n, NOISE, self.crop, self.crop, generator=generator).to(self.device)
        chosen = members.to(self.device)
        gram = self.target[chosen][:, None].expand(-1, n, -1)
        return {"noise": noise, "gram": gram, **self.colours.batch(chosen, n)}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        pictures = coloured(self.net(weights, batch["noise"]), batch)
        grams = self.features.gram(pictures.flatten(0, 1)).view(*pictures.shape[:2], -1)
        return distance(grams, batch["gram"]).mean(1)

    def _made(self, weights: Tensor, members: Tensor) -> Tensor:
        """Return pictures (tasks, 3, pixels, pixels) of noise that training never saw."""
        channels = self.net(weights, self.noise.expand(len(weights), -1, -1, -1, -1))
        return coloured(channels, self.colours.batch(members.to(self.device), 1))[:, 0].clamp(0, 1)

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return gram; and what no training sees: other_gram (other filters), swd, lbp, misnamed.

        `misnamed` is the share of pictures nearer to a wrong reference than to their own, among eight test members.
        """
        shown, wanted = self._made(weights, members), self.exemplars[members.to(self.device)]
        return {
            "gram": distance(self.features.gram(shown), self.target[members.to(self.device)]),
            "other_gram": distance(self.other_features.gram(shown), self.other_features.gram(wanted)),
            "swd": swd(shown, wanted),
            "lbp": lbp(shown, wanted).float(),
            **asked(shown, members, self.split.test, self.exemplars),
        }

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        return self._made(weights[None], torch.tensor([member]))[0].permute(1, 2, 0)

    def reference_picture(self, member: int) -> Tensor:
        return self.exemplars[member].permute(1, 2, 0)
