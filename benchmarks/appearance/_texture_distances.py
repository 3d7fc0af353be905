"""Distances between textures that no training uses: they tell whether a small loss is a good texture."""

from __future__ import annotations

import math

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from benchmarks.contract.seeds import derive

LEVELS, PATCH, DIRECTIONS, QUANTILES = 3, 7, 64, 256  # of the sliced Wasserstein distance
SMALLEST = PATCH * 2 ** (LEVELS - 1)  # height and width a picture needs
FREQUENCIES, ORIENTATIONS = (0.04, 0.08, 0.16, 0.32), 6  # of Gabor filters: cycles per pixel, number
OCTAVES, ANGLE = 1.0, math.pi / 6  # bandwidths of a Gabor filter
BINS = 8  # of a histogram of colours, per channel
CHOICES = 8  # references among which the right one is to be found
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


def asked(shown: Tensor, members: Tensor, test: Tensor, references: Tensor) -> dict[str, Tensor]:
    """Return `misnamed` of pictures (n, 3, h, w) of test members; nothing if some are not, of whom nobody is asked.

    Args:
        members: of the pictures, (n,).
        test: all members that may be asked about, (t,).
        references: of all members, (m, 3, h, w).
    """
    test = test.to(shown.device)
    own = (members.to(shown.device)[:, None] == test).int()
    if len(test) < 2 or not own.any(1).all():
        return {}
    return {"misnamed": misnamed(shown, own.argmax(1), references[test])}


def misnamed(shown: Tensor, own: Tensor, references: Tensor) -> Tensor:
    """Return 1 where a wrong reference among eight is the nearest to a picture, else 0; (n,).

    The choices are one's own reference and the seven that follow it. The distance is that of Gabor energies (logarithms
    of the mean energy of the luminance at 4 frequencies × 6 orientations, L2) plus that of colour histograms (8 bins
    per channel, L2), each over its mean between references. It asks what a person would be asked: which is it?

    Args:
        shown: pictures (n, 3, h, w).
        own: row of each picture's reference (n,).
        references: (m, 3, h, w), m ≥ 2; if m < 8, all of them are the choices.
    """
    total: Tensor | float = 0.0
    for statistic in (_gabor_energies, _colour_histograms):
        theirs = statistic(references)
        between = torch.cdist(theirs, theirs).sum() / (len(references) * (len(references) - 1))
        total = total + torch.cdist(statistic(shown), theirs) / between.clamp_min(1e-12)
    count = min(CHOICES, len(references))
    choices = (own[:, None] + torch.arange(count, device=own.device)) % len(references)
    return (total.gather(1, choices).argmin(1) > 0).float()


def _gabor_energies(pictures: Tensor) -> Tensor:
    """Return logarithms of energies (n, frequencies · orientations) of log-Gabor filters (Field 1987)."""
    height, width = pictures.shape[2:]
    grey = pictures.mean(1)
    power = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True), norm="forward").abs().square()
    y = torch.fft.fftfreq(height, device=pictures.device)[:, None]
    x = torch.fft.fftfreq(width, device=pictures.device)[None]
    octave, angle = y.hypot(x).clamp_min(1e-6).log2(), torch.atan2(y, x)
    found = []
    for frequency in FREQUENCIES:
        radial = torch.exp(-(((octave - math.log2(frequency)) / OCTAVES) ** 2))
        for number in range(ORIENTATIONS):
            away = torch.remainder(angle - math.pi * number / ORIENTATIONS + math.pi / 2, math.pi) - math.pi / 2
            found.append((power * radial * torch.exp(-((away / ANGLE) ** 2))).sum((1, 2)))
    return (torch.stack(found, 1) + 1e-8).log()


def _colour_histograms(pictures: Tensor) -> Tensor:
    """Return the share of pixels (n, 3 · BINS) in each bin of each channel."""
    index = (pictures.flatten(2) * BINS).long().clamp(0, BINS - 1)
    return torch.nn.functional.one_hot(index, BINS).float().mean(2).flatten(1)
