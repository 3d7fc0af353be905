"""A digit in glass: which one is it, if only the photons that it refracts onto a wall are counted?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.caustics.height_field import CONTROL, HeightField
from benchmarks.contract.measurement import Measurement
from benchmarks.sampling._digits import SIDE
from benchmarks.sampling.digit_mixture import DigitMixture
from methods._ranges import Positive

PHOTONS, PIXELS = 20, 5  # along a side, of the light and of the wall
HEIGHT = 5.0  # of full ink, in natural steps of the height field
BATCH = 2**22  # photons at once


class Caustic(Measurement):
    """Photons per pixel of the renderer `caustics.height_field`, 25 counts, on the law `digit_mixture`.

    Ink is glass: the 8² pixels are the heights of the slab, interpolated bicubically to its 32² control points. The
    wall's picture is made of whole photons, so its derivative is zero almost everywhere.
    """

    source = "ours, with the renderer of Fischer & Ritschel 2024 (ZeroGrads), see benchmarks/caustics/height_field.py"

    def setup(self, noise: Positive = 0.5) -> None:
        """Take σ, in units of the mean count of a pixel."""
        self.law, self.noise = DigitMixture(device=str(self.device)), noise
        self.slab = HeightField(device=str(self.device), photons=PHOTONS, pixels=PIXELS)

    def heights(self, x: Tensor) -> Tensor:
        """Return the slab's control points (n, 32²) of pictures (n, 64)."""
        pictures = HEIGHT * (x.to(self.slab.values.dtype).view(-1, 1, SIDE, SIDE) + 1) / 2
        return interpolate(pictures, (CONTROL, CONTROL), mode="bicubic", align_corners=True).flatten(1)

    def observe(self, x: Tensor) -> Tensor:
        rows = [self.slab.observe(self.heights(part), 0) for part in x.flatten(0, -2).split(BATCH // PHOTONS**2)]
        return torch.cat(rows).flatten(1).view(*x.shape[:-1], -1).to(x)

    def soft(self, x: Tensor, width: float) -> Tensor:
        """Return the like with every photon spread over the pixels near it: logistic edges, `width` pixels wide."""
        across, down, through = self.slab.trace(self.heights(x))
        edges = torch.arange(PIXELS + 1, device=self.device)
        shares = [torch.sigmoid((PIXELS * at[..., None] - edges) / width).diff(dim=-1).neg() for at in (across, down)]
        lit = torch.einsum("npx,npy->nyx", shares[0] * through[..., None], shares[1])
        return lit.flatten(1).to(x) / self.slab.even
