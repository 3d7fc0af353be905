"""Illumination: the environment that lights two balls, to be found from one picture of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn.functional import interpolate

from benchmarks.appearance import _environments, _lat_long, _lit_scene, _radiance_network
from benchmarks.appearance.brdf import dssim
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family, last_weights, split_members
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

OWNER = "appearance.illumination"


class Illumination(Family):
    """Members are environment maps; a sample is a pixel of the lit balls with its radiance.

    The picture is linear in the map, so that a pixel is a row of a transport matrix that is computed once
    (`_lit_scene`, checked against Mitsuba). The map itself is seen by the metrics only.
    """

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), illumination: the environment map from a picture of objects lit by "
        "it. Ours: a chrome and a grey ball (GGX α .1, Lambert) with their mutual visibility and two bounces; network "
        "21-32-32-3 of Fourier features of the direction, exponential output; mean absolute difference of log(1 + L) "
        "over random pixels, 10 steps of 512; skies of Mitsuba's `sunsky` (Hosek & Wilkie 2012) and rooms with area "
        "lights, or a folder of files, at mean luminance 1 and with radiance clamped to 100"
    )
    title = "Illumination"
    metric = "log_l1"

    def setup(
        self,
        members: Literal["made", "area_lights", "folder"] = "made",
        folder: str = "",
        train: Count = 96,
        validation: Count = 12,
        test: Count = 24,
        samples: Count = 512,
        height: Annotated[int, Ge(8), Le(65536)] = 16,
        pixels: Annotated[int, Ge(32), Le(65536)] = 96,
    ) -> None:
        """Split the environment maps into so many for each purpose, and compute the transport of light.

        Args:
            members: `made`: skies (which take Mitsuba) and rooms with area lights, half and half; `area_lights`: the
                latter alone; `folder`: files.
            folder: of `.hdr` and `.exr` maps in latitude and longitude, each twice as wide as high.
            samples: pixels per gradient step.
            height: of the maps, in texels, even; they are twice as wide.
            pixels: width of the picture of the balls, even; it is half as high.
        """
        for name, value in (("height", height), ("pixels", pixels)):
            if value % 2:
                raise UsageError(f"{OWNER}: parameter {name!r} is {value}, must be even")
        if bool(folder) != (members == "folder"):
            raise UsageError(f"{OWNER}: `folder` (now {folder!r}) and `members: folder` (now {members!r}) go together")
        self.n_weights, self.samples, self.steps = _radiance_network.N_WEIGHTS, samples, 10
        self.head = last_weights(self.n_weights, _radiance_network.HEAD, self.device)
        self.names, maps = _maps(members, Path(folder), train + validation + test, height)
        self.split = split_members(len(self.names), train, validation, test, OWNER)
        self.shape = (height, 2 * height)
        self.environments = _environments.exposed(maps).flatten(1, 2).to(self.device)  # (members, texels, 3)
        self.inputs = _radiance_network.features(_lat_long.directions(*self.shape)).to(self.device)
        self.share = (_lat_long.solid_angles(*self.shape) / (4 * math.pi)).to(self.device)
        balls, other = _lit_scene.balls(pixels, *self.shape), _lit_scene.relit(pixels // 2, *self.shape)
        self.balls, self.other = (
            _lit_scene.View(view.inside.to(self.device), view.rows.to(self.device)) for view in (balls, other)
        )

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return _radiance_network.initial(count, generator).to(self.device)

    def environment(self, weights: Tensor) -> Tensor:
        """Return the maps (tasks, texels, 3) of weights (tasks, n_weights), linear radiance."""
        return _radiance_network.evaluate(weights, self.inputs)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        """Return n pixels of each member, with replacement: their numbers (tasks, n) and log(1 + L) (tasks, n, 3)."""
        pixel = torch.randint(len(self.balls.rows), (len(members), n), generator=generator).to(self.device)
        radiance = self.balls.rows @ self.environments[members.to(self.device)]
        return {"pixel": pixel, "target": radiance.gather(1, pixel[..., None].expand(-1, -1, 3)).log1p()}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        radiance = torch.bmm(self.balls.rows[batch["pixel"]], self.environment(weights))
        return (radiance.log1p() - batch["target"]).abs().mean((1, 2))

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return errors of the map and of what it lights.

        log_l1: mean absolute difference of log(1 + L) over the sphere of directions; picture_log_l1: the same over
        the pixels of the balls; psnr (dB) and dssim: of their tone-mapped picture; relit_psnr (dB): of a rougher ball
        that no training shows, seen from behind.
        """
        found, true = self.environment(weights), self.environments[members.to(self.device)]
        shown, wanted = self.balls.picture(found), self.balls.picture(true)
        difference = (self.balls.rows @ found).log1p() - (self.balls.rows @ true).log1p()
        return {
            "log_l1": ((found.log1p() - true.log1p()).abs().mean(2) * self.share).sum(1),
            "picture_log_l1": difference.abs().mean((1, 2)),
            "psnr": _psnr(shown, wanted),
            "dssim": dssim(shown, wanted),
            "relit_psnr": _psnr(self.other.picture(found), self.other.picture(true)),
        }

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        """Return the balls above the map that lights them, (pixels, pixels, 3)."""
        return self._shown(self.environment(weights[None]))

    @torch.no_grad()
    def reference_picture(self, member: int) -> Tensor:
        return self._shown(self.environments[member][None])

    def _shown(self, environment: Tensor) -> Tensor:
        balls = self.balls.picture(environment)[0]
        texels = _lit_scene.tone_mapped(environment).view(1, *self.shape, 3).permute(0, 3, 1, 2)
        return torch.cat([balls, interpolate(texels, balls.shape[:2], mode="nearest")[0].permute(1, 2, 0)])


def _psnr(shown: Tensor, wanted: Tensor) -> Tensor:
    return -10 * (shown - wanted).square().mean((1, 2, 3)).clamp_min(1e-12).log10()


def _maps(members: str, folder: Path, count: int, height: int) -> tuple[list[str], Tensor]:
    """Return names and maps (n, height, 2 · height, 3), before exposure."""
    if members == "folder":
        return _environments.read_folder(folder, height, 2 * height)
    rooms = count if members == "area_lights" else count // 2
    generator = torch.Generator().manual_seed(derive(OWNER, "area lights"))
    names, maps = [f"room-{i}" for i in range(rooms)], _environments.studios(rooms, height, 2 * height, generator)
    if rooms < count:
        generator = torch.Generator().manual_seed(derive(OWNER, "skies"))
        names += [f"sky-{i}" for i in range(count - rooms)]
        maps = torch.cat([maps, _environments.skies(count - rooms, height, 2 * height, generator)])
    return names, maps
