"""Light transport: where in primary sample space the light of a path tracer comes from, learned by a flow."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.appearance import _path_space
from benchmarks.appearance._flow import Flow
from benchmarks.appearance._path_space import DIM, luminance, radiance
from benchmarks.appearance._sphere import srgb
from benchmarks.contract.family import Family, split_members
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

OWNER = "appearance.transport"
# Coordinates that each layer transforms, seeing the others: every two of the six are on different sides in two of the
# layers, so that each can come to depend on each.
LAYERS = ((2, 3, 4), (0, 1, 5), (1, 3, 5), (0, 2, 4), (0, 4, 5), (1, 2, 3))
DEFENSIVE = 0.1  # share of the samples that stay uniform (Hesterberg 1995): no weight can exceed f / 0.1
CHECKED = 8192  # held-out samples at which metrics compare
CONVERGED = 8  # n: the reference picture takes n² samples per pixel
EXPOSED = 0.2  # mean luminance of a converged picture
AT_ONCE = 1 << 18  # samples that are traced or transformed at a time, for the memory's sake


class Transport(Family):
    """Members are rooms; a sample is a point of primary sample space with the luminance that its path carries."""

    provenance = "ours"
    source = (
        "idea: Fischer & Ritschel 2022 (Metappearance), light transport: a normalizing flow learns to importance-"
        "sample a path tracer in primary sample space (cf. Müller et al. 2019, Neural Importance Sampling), negative "
        "log-likelihood, judged by the noise of the rendering. Ours: rooms, path tracer (direct light and one diffuse "
        "bounce, 6 dimensions, no lights in view), flow (6 coupling layers with rational-quadratic splines), 10 steps "
        "of 512 uniform samples. Weights w = f / mean f are normalised by the mean over the samples that were drawn "
        "together, which biases their cross-entropy −mean(w log q) by O(1/n); all metrics are free of that"
    )
    title = "Light transport"
    metric = "variance"

    def setup(
        self,
        train: Count = 64,
        validation: Count = 8,
        test: Count = 16,
        samples: Count = 512,
        pixels: Annotated[int, Ge(8), Le(65536)] = 48,
        spp: Count = 4,
        bins: Annotated[int, Ge(2), Le(65536)] = 6,
        hidden: Count = 20,
    ) -> None:
        """Split the rooms into so many for each purpose.

        Args:
            samples: paths per gradient step.
            pixels: width of the picture.
            spp: samples per pixel of the picture that `psnr` judges.
            bins: of the splines.
            hidden: units of both hidden layers of each network; 20 with 6 bins make 10 902 weights.
        """
        self.samples, self.steps, self.pixels, self.spp = samples, 10, pixels, spp
        self.flow = Flow(DIM, LAYERS, bins, hidden)
        self.n_weights = self.flow.n_weights
        self.head = self.flow.head().to(self.device)
        count = max(train + validation + test, 0)
        self.rooms = _path_space.draw_rooms(count, self._seeded("rooms")).to(self.device)
        self.names = [f"room-{i}" for i in range(count)]
        self.split = split_members(count, train, validation, test, OWNER)
        self.checked = torch.rand(CHECKED, DIM, generator=self._seeded("metrics")).to(self.device)
        self._light: dict[int, Tensor] = {}  # member → luminance (CHECKED,) of the held-out samples
        self._converged: dict[int, Tensor] = {}  # member → radiance (pixels, pixels, 3)

    @staticmethod
    def _seeded(purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive(OWNER, purpose))

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.flow.initial(count, generator).to(self.device)

    @torch.no_grad()
    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        points = torch.rand(len(members), n, DIM, generator=generator).to(self.device)
        light = luminance(radiance(self.rooms[members.to(self.device)], points))
        # Where no path carries light, all weights are zero: such a draw teaches nothing.
        return {"points": points, "weight": light / light.mean(1, keepdim=True).clamp_min(1e-12)}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        return -(batch["weight"] * self.flow.to_base(weights, batch["points"])[1]).mean(1)

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return variance, nll (nats) at held-out samples; psnr (dB) of the picture.

        variance is Var_p[f / p] / Var[f]: the variance of one sample drawn from p = .1 + .9 q against that of a uniform
        one, i.e. which share of the samples makes equal noise. Both are estimated from the same uniform samples, as
        E_p[(f / p)²] = E[f² / p]; they are the same for all weights.
        """
        points = self.checked[None]
        log_density = torch.cat([self.flow.to_base(row[None], points)[1] for row in weights])
        light = torch.stack([self._held_out(member) for member in members.tolist()])
        mean = light.mean(1)
        uniform = light.square().mean(1) - mean**2
        guided = (light.square() / mixture(log_density)).mean(1) - mean**2
        shown = torch.stack([self.picture(*pair) for pair in zip(weights, members.tolist(), strict=True)])
        wanted = torch.stack([self.reference_picture(member) for member in members.tolist()])
        error = (shown - wanted).square().mean((1, 2, 3))
        return {
            "variance": (guided / uniform).clamp_min(1e-6),
            "nll": -(light / mean[:, None] * log_density).mean(1),
            "psnr": -10 * error.clamp_min(1e-12).log10(),
        }

    def _held_out(self, member: int) -> Tensor:
        if member not in self._light:
            self._light[member] = luminance(radiance(self.rooms[torch.tensor([member])], self.checked[None]))[0]
        return self._light[member]

    @torch.no_grad()
    def rendered(self, weights: Tensor, member: int) -> Tensor:
        """Return the radiance (pixels, pixels, 3) that `spp` samples per pixel show, drawn from .1 + .9 q.

        One tenth of the samples is uniform, the others come from the flow (multiple importance sampling with the
        balance heuristic, Veach & Guibas 1995): the mean is that of the converged picture, whatever the weights.
        """
        count = self.spp * self.pixels**2
        base = torch.rand(count, DIM, generator=self._seeded("picture")).to(self.device)
        uniform = base[: round(DEFENSIVE * count)][None]
        guided, log_density = self.flow.from_base(weights[None], base[uniform.shape[1] :][None])
        log_density = torch.cat([self.flow.to_base(weights[None], uniform)[1], log_density], 1)
        points = torch.cat([uniform, guided], 1)
        light = radiance(self.rooms[torch.tensor([member])], points) / mixture(log_density)[..., None]
        column, row = (points[0, :, :2] * self.pixels).long().clamp_max(self.pixels - 1).unbind(1)
        picture = light.new_zeros(self.pixels**2, 3).index_add_(0, row * self.pixels + column, light[0])
        return (picture / self.spp).view(self.pixels, self.pixels, 3)

    def converged(self, member: int) -> Tensor:
        """Return the radiance (pixels, pixels, 3) of many samples, stratified over each pixel."""
        if member not in self._converged:
            side = self.pixels * CONVERGED
            points = torch.rand(side**2, DIM, generator=self._seeded("reference")).to(self.device)
            cell = torch.cartesian_prod(*2 * [torch.arange(side, device=self.device)])
            points[:, 0], points[:, 1] = (cell[:, 1] + points[:, 0]) / side, (cell[:, 0] + points[:, 1]) / side
            room = self.rooms[torch.tensor([member])]
            light = torch.cat([radiance(room, part[None])[0] for part in points.split(AT_ONCE)])
            blocks = light.view(self.pixels, CONVERGED, self.pixels, CONVERGED, 3)
            self._converged[member] = blocks.mean((1, 3))
        return self._converged[member]

    def _shown(self, light: Tensor, member: int) -> Tensor:
        """Return a picture in sRGB, exposed so that the converged one has a mean luminance of EXPOSED."""
        return srgb(light * (EXPOSED / luminance(self.converged(member)).mean().clamp_min(1e-6)))

    def picture(self, weights: Tensor, member: int) -> Tensor:
        """Return the rendering with `spp` samples per pixel, drawn through the flow, (pixels, pixels, 3)."""
        return self._shown(self.rendered(weights, member), member)

    def reference_picture(self, member: int) -> Tensor:
        return self._shown(self.converged(member), member)


def mixture(log_density: Tensor) -> Tensor:
    """Return the density that samples are drawn with, of the logarithm of the flow's."""
    return DEFENSIVE + (1 - DEFENSIVE) * log_density.exp()
