"""What makes a texture: Gram matrices of features, and the distance between them.

Two sets of features: random filters at several scales, which need no file, and those of VGG19, where its weights are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

from benchmarks.contract.errors import UsageError
from benchmarks.contract.seeds import derive

KERNEL = 5  # width of a random filter in pixels of its scale
CALIBRATION = 128  # width of the noise on which random filters are brought to unit response
CONTRAST = 0.1  # standard deviation of that noise: about that of the textures, so that edges count as much as colours


class Features(ABC):
    """Maps of features of pictures; a subclass says which. Every method is twice differentiable in the pictures."""

    smallest: int  # height and width that a picture needs

    @abstractmethod
    def maps(self, pictures: Tensor) -> list[Tensor]:
        """Return the features of sRGB pictures (n, 3, h, w) in [0, 1]: one (n, f, h', w') per scale or layer."""

    def gram(self, pictures: Tensor) -> Tensor:
        """Return the Gram matrices of pictures (n, 3, h, w), all scales in one row, (n, entries).

        Per scale G = 1/p Σ F Fᵀ over its p pixels, so that pictures of different size compare. Each scale is multiplied
        such that the mean over a row is the mean over scales of the mean over each matrix.
        """
        matrices = []
        for maps in self.maps(pictures):
            flat = maps.flatten(2)
            matrices.append((flat @ flat.mT / flat.shape[2]).flatten(1))
        entries = sum(matrix.shape[1] for matrix in matrices)
        return torch.cat([matrix * (entries / (len(matrices) * matrix.shape[1])) for matrix in matrices], 1)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean absolute difference of rows of `Features.gram` (…, entries), (…)."""
    return (one - other).abs().mean(-1)


class RandomFeatures(Features):
    """A constant, the colours, and rectified random filters of the colours, at scales 1, ½, ¼ …

    One layer of random filters at many scales makes textures about as well as VGG does (Ustyuzhaninov et al. 2017:
    filters of widths 3 … 55 in one layer, 128 of each). Ours, to be quick: one width of 5 pixels on a pyramid of means
    over 2 × 2 pixels; few filters. With the constant and the colours among the features, a Gram matrix also holds the
    means of all features and the covariance of the colours, so the filters themselves have zero mean. Filters are
    scaled to unit response to noise with a 1/f spectrum, like that of natural pictures, of contrast .1. Only whole
    neighbourhoods count: nothing is padded.
    """

    def __init__(self, device: torch.device, filters: int = 32, scales: int = 4, bank: str = "training") -> None:
        """Draw so many filters per scale.

        Args:
            device: where pictures are.
            filters: per scale.
            scales: the coarsest sees 5 · 2^(scales − 1) pixels.
            bank: banks of other names have other filters.
        """
        self.scales = scales
        self.smallest = KERNEL * 2 ** (scales - 1)
        generator = torch.Generator().manual_seed(derive("random features", bank, filters))
        drawn = torch.randn(filters, 3, KERNEL, KERNEL, generator=generator)
        drawn = drawn - drawn.mean((2, 3), keepdim=True)
        noise = _pink(CALIBRATION, generator)
        deviation = conv2d(noise, drawn).std((0, 2, 3))
        self.filters = (drawn / deviation[:, None, None, None]).to(device)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        found = []
        for scale in range(self.scales):
            if scale:
                pictures = avg_pool2d(pictures, 2)
            inside = pictures[:, :, KERNEL // 2 : -(KERNEL // 2), KERNEL // 2 : -(KERNEL // 2)]
            edges = conv2d(pictures, self.filters).relu()
            found.append(torch.cat([torch.ones_like(inside[:, :1]), inside, edges], 1))
        return found


def _pink(size: int, generator: torch.Generator) -> Tensor:
    """Return noise with amplitudes ∝ 1/f, alike in three channels and of CONTRAST, (1, 3, size, size)."""
    frequency = torch.fft.fftfreq(size)[:, None].hypot(torch.fft.rfftfreq(size)[None])
    frequency[0, 0] = torch.inf  # no mean
    white = torch.randn(1, 1, size, size, generator=generator).expand(-1, 3, -1, -1)  # grey, as most textures are
    noise = torch.fft.irfft2(torch.fft.rfft2(white) / frequency, s=(size, size))
    return noise * (CONTRAST / noise.std())


VGG = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, 256, "pool", 512, 512, 512, 512, "pool", 512)  # to conv5_1
FIRST = (0, 3, 6, 11, 16)  # entries of VGG whose rectified output counts: conv1_1, conv2_1 … conv5_1
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's colours


class VggFeatures(Features):
    """Rectified features of VGG19 at conv1_1, conv2_1 … conv5_1 (Simonyan & Zisserman 2015; Gatys et al. 2015)."""

    smallest = 16

    def __init__(self, device: torch.device, path: str | Path, owner: str) -> None:
        """Read the weights from a file as torch hub keeps it, e.g. `vgg19-dcbb9e9d.pth`; executes nothing in it.

        Raises:
            UsageError: for a file that is missing, damaged, or of another network.
        """
        try:
            state = torch.load(path, map_location=device, weights_only=True)
        except FileNotFoundError:
            raise UsageError(f"{owner}: {path} is missing; name the file of VGG19's weights") from None
        except MemoryError:
            raise
        except Exception as error:  # torch.load raises many kinds; its text is advice to trust the file
            reason = type(error).__name__
            raise UsageError(f"{owner}: {path} cannot be read as weights of VGG19 ({reason}); fetch it anew") from None
        self.layers: list[tuple[Tensor, Tensor] | None] = []
        index, channels = 0, 3  # of torchvision's `features`: convolution, rectifier, convolution … pool
        for layer in VGG:
            if layer == "pool":
                self.layers.append(None)
                index += 1
                continue
            weight = state.get(f"features.{index}.weight") if isinstance(state, dict) else None
            bias = state.get(f"features.{index}.bias") if isinstance(state, dict) else None
            if (
                not all(isinstance(value, Tensor) for value in (weight, bias))
                or weight.shape != (layer, channels, 3, 3)
                or bias.shape != (layer,)
            ):
                raise UsageError(f"{owner}: {path} holds no VGG19 as torchvision names it: layer features.{index}")
            if not (weight.isfinite().all() and bias.isfinite().all()):
                raise UsageError(f"{owner}: {path}: layer features.{index} is not finite; fetch it anew")
            self.layers.append((weight.float(), bias.float()))
            index, channels = index + 2, layer
        self.mean = torch.tensor(MEAN, device=device)[:, None, None]
        self.deviation = torch.tensor(DEVIATION, device=device)[:, None, None]

    def maps(self, pictures: Tensor) -> list[Tensor]:
        activity, found = (pictures - self.mean) / self.deviation, []
        for number, layer in enumerate(self.layers):
            if layer is None:
                activity = max_pool2d(activity, 2)
                continue
            activity = conv2d(activity, *layer, padding=1).relu()
            if number in FIRST:
                found.append(activity)
        return found


def features(device: torch.device, vgg: str | None, filters: int, owner: str) -> Features:
    """Return VGG19's features if the path of its weights is given, else those of so many random filters per scale."""
    return RandomFeatures(device, filters) if vgg is None else VggFeatures(device, vgg, owner)
