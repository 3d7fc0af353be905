"""Textures: a network turns noise into pictures that look like one exemplar, but nowhere repeat it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from benchmarks._data import fetch_folder
from benchmarks.appearance import _gram, _made_textures, _texture_distances
from benchmarks.appearance._images import read_folder
from benchmarks.appearance._unet import NOISE, UNet
from benchmarks.harness.errors import UsageError
from benchmarks.harness.family import Family, split_members
from benchmarks.harness.parameters import at_least
from benchmarks.harness.seeds import derive
from methods.meta.base import Batch

OWNER = "appearance.texture"
AT_ONCE = 8  # exemplars whose features are taken together, or models shown together: bounds memory
PHOTOGRAPHED = 512  # height and width of scikit-image's photographs


class Texture(Family):
    """Members are exemplars; a sample is white noise, and the exemplar's Gram matrices of features to be met."""

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), texture: U-Net with AdaIN (2.7 M weights, 192 × 256 pixels), L1 "
        "between Gram matrices of VGG19's features, 15 steps. Ours: textures made in code and scikit-image's three by "
        "default; random filters at several scales after Ustyuzhaninov et al. 2017 as features where the weights of "
        "VGG19 are not at hand; the noise's number of channels; one convolution per level; pictures that can be tiled; "
        "distances on features that training does not use"
    )
    metric = "gram"

    def setup(
        self,
        members: Literal["made", "real", "folder"] = "made",
        folder: str | None = None,
        vgg: str | None = None,
        train: int = 40,
        validation: int = 4,
        test: int = 12,
        height: int = 64,
        width: int = 64,
        channels: int = 6,
        depth: int = 3,
        samples: int = 1,
    ) -> None:
        """Split the exemplars into so many for each purpose, and take their features.

        Args:
            members: `made` in code, three of them photographs from scikit-image; `real`, eight photographs, takes e.g.
                train 5, validation 1, test 2; `folder` takes your own.
            folder: of `.jpg` and `.png` files, with `members: folder`.
            vgg: file with the weights of VGG19, to use its features; else those of random filters.
            height: of exemplars and pictures, in pixels.
            width: of exemplars and pictures, in pixels.
            channels: of the U-Net at its finest level; 26 at depth 4 give the paper's number of weights.
            depth: how often the U-Net halves its grid.
            samples: pictures per gradient step.

        Raises:
            UsageError: as `fetch_folder`, `read_folder` and `split_members` do, or for a size that does not fit.
        """
        at_least(1, OWNER, channels=channels, depth=depth, samples=samples)
        self.unet = UNet(channels, depth)
        self.features = _gram.features(self.device, vgg, OWNER)
        smallest = max(self.features.smallest, _texture_distances.SMALLEST, 2 * self.unet.multiple)
        at_least(smallest, OWNER, height=height, width=width)
        for key, size in (("height", height), ("width", width)):
            if size % self.unet.multiple:
                raise UsageError(f"{OWNER}: parameter {key!r} is {size}, must be a multiple of {self.unet.multiple}")
        self.height, self.width = height, width
        self.n_weights, self.samples, self.steps = self.unet.n_weights, samples, 15
        self.names, exemplars = _exemplars(members, folder, height, width, train + validation + test)
        self.exemplars = exemplars.to(self.device)  # (members, 3, height, width)
        self.split = split_members(len(self.names), train, validation, test, OWNER)
        with torch.no_grad():
            self.grams = torch.cat([self.features.gram(part) for part in self.exemplars.split(AT_ONCE)])
        generator = torch.Generator().manual_seed(derive(OWNER, "metrics"))
        self.checked = torch.randn(1, 1, NOISE, 2 * height, 2 * width, generator=generator).to(self.device)
        self.shown = torch.randn(1, 1, NOISE, height, width, generator=generator).to(self.device)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.unet.initial(count, generator).to(self.device)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        noise = torch.randn(len(members), n, NOISE, self.height, self.width, generator=generator)
        target = self.grams[members.to(self.device)][:, None].expand(-1, n, -1)
        return {"noise": noise.to(self.device), "target": target}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        pictures = self.unet(weights, batch["noise"])
        grams = self.features.gram(pictures.flatten(0, 1)).unflatten(0, pictures.shape[:2])
        return _gram.distance(grams, batch["target"]).mean(1)

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return gram, swd (sRGB values) and lbp (0 … 1) of a picture twice as high and wide, of unseen noise.

        `gram` is the loss; the other two, of `_texture_distances`, compare what no training compares. There is no psnr:
        a texture is not to repeat its exemplar pixel by pixel.
        """
        found: dict[str, list[Tensor]] = {"gram": [], "swd": [], "lbp": []}
        for some, which in zip(weights.split(AT_ONCE), members.to(self.device).split(AT_ONCE), strict=True):
            pictures = self.unet(some, self.checked.expand(len(some), -1, -1, -1, -1))[:, 0]
            wanted = self.exemplars[which]
            found["gram"].append(_gram.distance(self.features.gram(pictures), self.grams[which]))
            found["swd"].append(_texture_distances.swd(pictures, wanted))
            found["lbp"].append(_texture_distances.lbp(pictures, wanted))
        return {name: torch.cat(values) for name, values in found.items()}

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        return self.unet(weights[None], self.shown)[0, 0].permute(1, 2, 0)

    def reference_picture(self, member: int) -> Tensor:
        return self.exemplars[member].permute(1, 2, 0)


def _exemplars(members: str, folder: str | None, height: int, width: int, count: int) -> tuple[list[str], Tensor]:
    """Return names and exemplars (n, 3, height, width); `count` only says how many are to be made."""
    if (members == "folder") != (folder is not None):
        raise UsageError(f"{OWNER}: `members: folder` and `folder:` need each other; members is {members!r}")
    if folder is not None:
        return read_folder(folder, height, width, OWNER)
    if members == "real":
        return read_folder(fetch_folder("textures"), height, width, OWNER)
    if max(height, width) > PHOTOGRAPHED:
        raise UsageError(f"{OWNER}: {width} × {height} pixels with `members: made`, at most {PHOTOGRAPHED} each way")
    photographs = _made_textures.PHOTOGRAPHS
    names, made = _made_textures.make(max(0, count - len(photographs)), height, width)
    return [*photographs, *names], torch.cat([_made_textures.photographs(height, width), made])
