"""Distances between textures that no training uses: they tell whether a small loss is a good texture."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from benchmarks.contract.seeds import derive

LEVELS, PATCH, DIRECTIONS, QUANTILES = 3, 7, 64, 256  # of the sliced Wasserstein distance
SMALLEST = PATCH * 2 ** (LEVELS - 1)  # height and width a picture needs
NEIGHBOURS = ((8, 1), (16, 2), (24, 3))  # points and radius in pixels of the local binary patterns (Ojala et al. 2002)


def swd(shown: Tensor, wanted: Tensor) -> Tensor:
    """Return the sliced Wasserstein distances (n,) of pictures (n, 3, h, w), which may differ in size.

    Patches of 7 × 7 pixels from each of three levels of a Laplacian pyramid (the last: what is left) are projected
    onto 64 random directions of unit length; the mean difference of the quantiles, in sRGB values, is averaged over
    directions and levels. After Karras et al. 2018 (progressive growing of GANs); ours: without their normalisation of
    the patches, so that a wrong colour counts.
    """
    generator = torch.Generator().manual_seed(derive("appearance.texture", "swd"))
    directions = torch.randn(DIRECTIONS, 3 * PATCH**2, generator=generator)
    directions = (directions / directions.norm(dim=1, keepdim=True)).view(-1, 3, PATCH, PATCH).to(shown.device)
    levels = [
        (a - b).abs().mean((1, 2)) for a, b in zip(*(_quantiles(p, directions) for p in (shown, wanted)), strict=True)
    ]
    return torch.stack(levels).mean(0)


def _quantiles(pictures: Tensor, directions: Tensor) -> list[Tensor]:
    """Return the quantiles (n, directions, QUANTILES) of projected patches, per level of the pyramid."""
    found = []
    for level in range(LEVELS):
        coarse = avg_pool2d(pictures, 2)
        last = level == LEVELS - 1
        band = pictures if last else pictures - interpolate(coarse, pictures.shape[2:], mode="bilinear")
        ordered = conv2d(band, directions).flatten(2).sort(2).values
        found.append(interpolate(ordered, QUANTILES, mode="linear"))
        pictures = coarse
    return found


def lbp(shown: Tensor, wanted: Tensor) -> Tensor:
    """Return the distances (n,) of local binary patterns of pictures (n, 3, h, w), which may differ in size.

    Half the L1 distance of the histograms of rotation-invariant uniform patterns of the luminance at radii of 1, 2 and
    3 pixels, mean over radii: 0 for equal histograms, 1 for disjoint ones (Ojala et al. 2002; scikit-image). It stands
    in for a learned perceptual distance, whose weights would have to be downloaded. It is blind to colour and contrast.
    """
    pairs = zip(_histograms(shown), _histograms(wanted), strict=True)
    return torch.tensor([np.mean([np.abs(a - b).sum() / 2 for a, b in zip(*pair, strict=True)]) for pair in pairs])


def _histograms(pictures: Tensor) -> list[list[np.ndarray]]:
    """Return per picture and radius the share of pixels with each pattern."""
    found = []
    for picture in pictures.permute(0, 2, 3, 1).cpu().numpy():
        grey = (255 * rgb2gray(picture)).round().astype(np.uint8)  # as a file would hold it: a flat area has no pattern
        patterns = [local_binary_pattern(grey, points, radius, "uniform") for points, radius in NEIGHBOURS]
        found.append(
            [
                np.bincount(p.astype(int).ravel(), minlength=p_r[0] + 2) / p.size
                for p, p_r in zip(patterns, NEIGHBOURS, strict=True)
            ]
        )
    return found
