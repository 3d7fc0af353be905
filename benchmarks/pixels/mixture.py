"""The photograph behind a dense orthogonal mixture of its parameters: no parameter moves few pixels."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.pixels.texture import SPREAD, STEP, Texture

MIXTURE_SEED = 7


class Mixture(Texture):
    """The texture task with pixels x = ½ + 0.025 Q z, Q orthogonal and dense.

    Q = √(1/D) H D₂ H D₁ up to scale: random signs and a discrete Hartley transform, twice, O(D log D). Each pixel
    hangs on all parameters alike, and neither sparsity nor shared factors are there to be found. A control for methods
    that read the picture.
    """

    provenance = "ours"
    source = "Ours: a control without structure"

    def setup(self, size: Annotated[int, Ge(1), Le(65536)] = 32) -> None:
        """Use size² pixels, three parameters each."""
        super().setup(size)
        generator = torch.Generator().manual_seed(MIXTURE_SEED)
        signs = 2 * torch.randint(2, (2, self.dim), generator=generator) - 1
        self.signs = signs.to(self.target)
        self.reference = self._unmix((self.target - 0.5) / STEP)

    def _mix(self, z: Tensor) -> Tensor:
        return _hartley(self.signs[1] * _hartley(self.signs[0] * z))

    def _unmix(self, pixels: Tensor) -> Tensor:
        return self.signs[0] * _hartley(self.signs[1] * _hartley(pixels))

    def start(self, seed: int) -> Tensor:
        pixels = SPREAD / STEP * torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))
        return self._unmix(pixels.to(self.device)).cpu()

    def observe(self, z: Tensor, seed: int) -> Tensor:
        return super().observe(self._mix(z), seed)

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """As the texture's, with the pixels' error as parameter error: Q keeps lengths."""
        return super().validate(self._mix(z)) | {"loss": float(self.loss(z[None], 0))}

    def image(self, z: Tensor) -> Tensor:
        return super().image(self._mix(z))


def _hartley(rows: Tensor) -> Tensor:
    """Return the orthonormal discrete Hartley transform of rows (…, dim): its own inverse."""
    spectrum = torch.fft.fft(rows)
    return (spectrum.real - spectrum.imag) / rows.shape[-1] ** 0.5
