"""Raw pixels have to become a photograph: the task that grows to 248,832 dimensions and stays trivially convex."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from skimage import data, transform
from torch import Tensor

from benchmarks.contract.problem import Problem

STEP = 0.025  # z = 1.0 in pixel values, the paper's σ
SPREAD = 0.1  # standard deviation of the grey noise a replicate starts from


class Texture(Problem):
    """L(z) = ‖x − t‖² / ‖t‖², x = ½ + 0.025 z the pixels of a size² RGB picture, t the photograph.

    Dividing by the target's energy makes the loss independent of the picture's size and exposure. Pixels are not
    bounded: a box would clamp most of a high-dimensional sample onto its faces.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2024 (ZeroGrads), texture: 256² RGB, σ .025, scale-independent MSE. Ours: dividing by the "
        "target's energy as the meaning of scale-independent, scikit-image's photograph of a cat (Chelsea, CC0), the "
        "start in grey noise of .1"
    )
    gradient = "exact"
    has_picture = True

    def setup(self, size: Annotated[int, Ge(1), Le(65536)] = 256) -> None:
        """Use size² pixels: 32, 64, 128, 256, 288 give 3,072 … 248,832 dimensions."""
        self.dim = 3 * size**2
        self.size = size
        photograph = data.chelsea()[:, 75:375] / 255.0  # (300, 300, 3), the face
        resized = transform.resize(photograph, (size, size, 3), anti_aliasing=True)
        self.target = torch.as_tensor(resized, dtype=torch.float32, device=self.device).flatten()
        self.energy = self.target.square().sum()
        self.reference = (self.target - 0.5) / STEP
        self.bytes_per_candidate = 12 * self.dim

    def start(self, seed: int) -> Tensor:
        return SPREAD / STEP * torch.randn(self.dim, generator=torch.Generator().manual_seed(seed))

    def observe(self, z: Tensor, seed: int) -> Tensor:
        return (0.5 + STEP * z).view(-1, self.size, self.size, 3)

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed.flatten(1) - self.target).square().sum(1) / self.energy

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return loss, root mean squared pixel error as parameter error, and PSNR in dB."""
        error = (0.5 + STEP * z - self.target).square().mean()
        psnr = -10 * torch.log10(error.clamp_min(1e-12))
        return {"loss": float(self.loss(z[None], 0)), "parameter_error": float(error.sqrt()), "psnr": float(psnr)}

    def image(self, z: Tensor) -> Tensor:
        return (0.5 + STEP * z).view(self.size, self.size, 3).clamp(0, 1)
