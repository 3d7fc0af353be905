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
# Coordinates that each layer transforms, seeing the others. The place on the film, 0 and 1, is only seen; of the other
# four every two are on different sides in four of the layers, so that each can come to depend on each.
LAYERS = ((2, 4), (3, 5), (2, 5), (3, 4), (2, 3), (4, 5))
DEFENSIVE = 0.1  # share of the samples that stay uniform (Hesterberg 1995): no weight can exceed f / 0.1
CHECKED = 8192  # held-out samples at which metrics compare
TWINS = 8  # paths per place on the film, for the mean square of what pixels show
CONVERGED = 12  # n: the reference picture takes n² samples per pixel
EXPOSED = 0.2  # mean luminance of a converged picture
AT_ONCE = 1 << 18  # samples that are traced or transformed at a time, for the memory's sake


class Transport(Family):
    """Members are rooms; a sample is a point of primary sample space with the luminance that its path carries."""

    provenance = "ours"
    source = (
        "idea: Fischer & Ritschel 2022 (Metappearance), light transport: a normalizing flow learns to importance-"
        "sample a path tracer in primary sample space (cf. Müller et al. 2019, Neural Importance Sampling), negative "
        "log-likelihood, judged by the noise of the rendering. Ours: rooms, most of them lit by what lamps throw at "
        "the ceiling; path tracer (direct light and one diffuse bounce, 6 dimensions, no lights in view); flow of "
        "bounce and light given the place on the film (6 coupling layers with rational-quadratic splines); 10 steps of "
        "512 uniform samples. Weights w = f / mean f are normalised by the mean over the samples that were drawn "
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
            hidden: units of both hidden layers of each network; 20 with 6 bins make 8 868 weights.
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
        self._light: dict[int, tuple[Tensor, Tensor]] = {}  # member → what `_held_out` returns
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

        variance is E Var_p[f / p] / E Var[f], where the mean is over places on the film and the variance is that of one
        sample there, drawn from p = .1 + .9 q or uniformly: which share of the samples makes equal noise. Both are
        estimated from the same uniform samples, as E_p[(f / p)²] = E[f² / p]; they are the same for all weights.
        """
        points = self.checked[None]
        log_density = torch.cat([self.flow.to_base(row[None], points)[1] for row in weights])
        held_out = [self._held_out(member) for member in members.tolist()]
        light, shown_square = (torch.stack(parts) for parts in zip(*held_out, strict=True))
        uniform = light.square().mean(1) - shown_square
        guided = (light.square() / mixture(log_density)).mean(1) - shown_square
        shown = torch.stack([self.picture(*pair) for pair in zip(weights, members.tolist(), strict=True)])
        wanted = torch.stack([self.reference_picture(member) for member in members.tolist()])
        error = (shown - wanted).square().mean((1, 2, 3))
        return {
            "variance": (guided / uniform).clamp_min(1e-6),
            "nll": -(light / light.mean(1, keepdim=True) * log_density).mean(1),
            "psnr": -10 * error.clamp_min(1e-12).log10(),
        }

    def _held_out(self, member: int) -> tuple[Tensor, Tensor]:
        """Return luminances (CHECKED,) at the held-out samples, and the mean square of what pixels show.

        The latter is the mean product of two different paths from one place, unbiased: (Σf)² − Σf² over their pairs.
        """
        if member not in self._light:
            others = torch.rand(TWINS, len(self.checked), DIM, generator=self._seeded("twins")).to(self.device)
            others[..., :2] = self.checked[:, :2]
            light = luminance(radiance(self.rooms[torch.tensor([member])], others.view(1, -1, DIM))).view(TWINS, -1)
            pairs = (light.sum(0).square() - light.square().sum(0)) / (TWINS * (TWINS - 1))
            there = luminance(radiance(self.rooms[torch.tensor([member])], self.checked[None]))[0]
            self._light[member] = there, pairs.mean()
        return self._light[member]

    @torch.no_grad()
    def rendered(self, weights: Tensor, member: int) -> Tensor:
        """Return the radiance (pixels, pixels, 3) of `spp` samples in each pixel, drawn from .1 + .9 q.

        One tenth of the samples is uniform, the others come from the flow (multiple importance sampling with the
        balance heuristic, Veach & Guibas 1995): the mean is that of the converged picture, whatever the weights.
        """
        generator = self._seeded("picture")
        base = torch.rand(self.pixels**2, self.spp, DIM, generator=generator)
        base[..., :2] = (self._cells()[:, None] + base[..., :2]) / self.pixels
        kept = torch.rand(1, self.pixels**2 * self.spp, 1, generator=generator).to(self.device) < DEFENSIVE
        base = base.view(1, -1, DIM).to(self.device)
        points = torch.where(kept, base, self.flow.from_base(weights[None], base)[0])
        density = mixture(self.flow.to_base(weights[None], points)[1])
        light = radiance(self.rooms[torch.tensor([member])], points) / density[..., None]
        return light.view(self.pixels, self.pixels, self.spp, 3).mean(2)

    def converged(self, member: int) -> Tensor:
        """Return the radiance (pixels, pixels, 3) of many samples in each pixel, stratified there, by bounce and light.

        Each pair of coordinates falls into CONVERGED² cells once, in an order of its own for every pixel.
        """
        if member not in self._converged:
            generator, count = self._seeded("reference"), CONVERGED**2
            points = torch.rand(self.pixels**2, count, DIM, generator=generator)
            for first in range(0, DIM, 2):
                order = torch.rand(self.pixels**2, count, generator=generator).argsort(1)
                stratum = torch.stack([order % CONVERGED, order // CONVERGED], 2)
                points[..., first : first + 2] = (stratum + points[..., first : first + 2]) / CONVERGED
            points[..., :2] = (self._cells()[:, None] + points[..., :2]) / self.pixels
            room, points = self.rooms[torch.tensor([member])], points.view(-1, DIM).to(self.device)
            light = torch.cat([radiance(room, part[None])[0] for part in points.split(AT_ONCE)])
            self._converged[member] = light.view(self.pixels, self.pixels, count, 3).mean(2)
        return self._converged[member]

    def _cells(self) -> Tensor:
        """Return column and row of every pixel (pixels², 2), row by row."""
        return torch.cartesian_prod(torch.arange(self.pixels), torch.arange(self.pixels)).flip(1)

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
