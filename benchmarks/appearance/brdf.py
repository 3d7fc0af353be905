"""BRDFs: how a material reflects light from one direction into another, fitted by a network or a simpler model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor

from benchmarks.appearance import _analytic, _brdf_models, _merl_binary, _nbrdf, _patterns
from benchmarks.appearance._directions import cosines, draw, half_and_difference
from benchmarks.appearance._sphere import Sphere
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import Family, last_weights, split_members
from benchmarks.contract.seeds import derive
from methods._ranges import Count
from methods.meta.base import Batch

CHECKED = 8192  # directions at which metrics compare


class Brdf(Family):
    """Members are materials; a sample is a pair of directions with the material's reflectance there."""

    provenance = "paper"
    source = (
        "Fischer & Ritschel 2022 (Metappearance), BRDF: NBRDF network 6-21-21-3 (Sztrajman et al. 2021), directions "
        "uniform in Rusinkiewicz angles, mean absolute difference of log(1 + cos θ f), 10 steps of 512 samples. Ours: "
        "analytic materials by default; with `members: merl` the 100 measured materials of Matusik et al. 2003 as the "
        "NBRDF networks that Sztrajman et al. fitted to them, so that the model can represent them exactly; directions "
        "below the horizon are rejected; where a measured material's network is negative it counts as 0; the model's "
        "exponent is clipped at 30; the sphere with three distant lights"
    )
    title = "BRDF"
    metric = "log_l1"

    def setup(
        self,
        members: Literal["analytic", "merl", "files"] = "analytic",
        folder: str | None = None,
        judged: Literal["", "rgl-isotropic", "nielsen"] = "",
        train: Count = 256,
        validation: Count = 16,
        test: Count = 32,
        samples: Count = 512,
        pixels: Annotated[int, Ge(16), Le(65536)] = 64,
        model: Literal["nbrdf", "phong", "cook_torrance", "pca"] = "nbrdf",
        components: Count = 10,
    ) -> None:
        """Split the materials into so many for each purpose.

        Args:
            members: `merl` downloads 0.5 MB, and takes e.g. train 68, validation 12, test 20; `files`: the `.binary`
                files of measured materials in a folder.
            folder: of such files.
            judged: with `merl`, another set of measured materials that takes the place of the test members, whole.
            samples: pairs of directions per gradient step.
            pixels: width of the sphere's picture.
            model: what is fitted; `pca` is a linear basis learned from the training members.
            components: of the basis, joint in colour, at most the training members less one.
        """
        self.samples, self.steps = samples, 10
        generator = torch.Generator().manual_seed(derive("appearance.brdf", "materials"))
        if (members == "files") != (folder is not None):
            raise UsageError(f"appearance.brdf: 'folder' goes with `members: files`, got {members!r} and {folder!r}")
        if judged and members != "merl":
            raise UsageError(f"appearance.brdf: 'judged' goes with `members: merl`, got {judged!r} and {members!r}")
        self.networks = self.materials = self.tables = None
        if folder is not None:
            self.names, tables = _merl_binary.read_folder(folder, "appearance.brdf")
            self.tables = tables.to(self.device)
        elif members == "merl":
            self.names, networks = _nbrdf.measured("merl")
            self.networks = networks.to(self.device)
        else:
            count = train + validation + test
            drawn = _analytic.draw_materials(max(count, 0), generator)
            self.names = [f"{_analytic.MODELS[model].__name__}-{i}" for i, model in enumerate(drawn.model.tolist())]
            self.materials = drawn.to(self.device)
        self.split = split_members(len(self.names), train, validation, test, "appearance.brdf")
        if judged:
            names, networks = _nbrdf.measured(judged)
            self.split = replace(self.split, test=len(self.names) + torch.arange(len(names)))
            self.names, self.networks = [*self.names, *names], torch.cat([self.networks, networks.to(self.device)])
        self.model = _brdf_models.build(model, partial(self._everywhere, self.split.train), components)
        self.n_weights = self.model.n_weights
        self.head = last_weights(self.n_weights, self.model.n_head, self.device) if self.model.n_head else None
        self.sphere = Sphere(pixels, self.device)
        checked = draw(CHECKED, torch.Generator().manual_seed(derive("appearance.brdf", "metrics")))
        self.checked = tuple(vectors.to(self.device) for vectors in checked)

    def initial(self, count: int, generator: torch.Generator) -> Tensor:
        return self.model.initial(count, generator).to(self.device)

    def reference(self, members: Tensor, half: Tensor, difference: Tensor) -> Tensor:
        """Return the members' BRDFs (tasks, n, 3) in 1/sr at vectors (tasks, n, 3)."""
        if self.tables is not None:
            return _merl_binary.evaluate(self.tables, members.to(self.device), half, difference)
        if self.networks is not None:
            vectors = torch.cat([half, difference], -1)
            return _nbrdf.evaluate(self.networks[members.to(self.device)], vectors).clamp_min(0)
        return _analytic.evaluate(self.materials[members], half, difference)

    def sample(self, members: Tensor, n: int, generator: torch.Generator) -> Batch:
        half, difference = (
            vectors.to(self.device).view(len(members), n, 3) for vectors in draw(len(members) * n, generator)
        )
        return self._batch(members, half, difference)

    def pattern(self, n: int, kind: _patterns.Kind, generator: torch.Generator) -> Tensor:
        """Return coordinates (n, 3) of random or stratified directions for `measure`; they have no bounds."""
        return _patterns.pattern(n, kind, generator).to(self.device)

    def measure(self, members: Tensor, directions: Tensor) -> Batch:
        """Return training samples of each member (tasks,) at these directions, differentiable in them.

        Args:
            directions: coordinates (n, 3) for all members or (tasks, n, 3); every value is a valid pair of directions.
        """
        half, difference = _patterns.vectors(directions.expand(len(members), -1, -1))
        return self._batch(members, half, difference)

    def measured(self, into: Tensor, out: Tensor, brdf: Tensor) -> Batch:
        """Return measurements of one's own as the training samples (1, n, …) of one member.

        Args:
            into, out: unit directions (n, 3) towards light and viewer, the normal along z, both above the horizon.
            brdf: values (n, 3) in 1/sr.
        """
        half, difference = (vectors[None].to(self.device) for vectors in half_and_difference(into, out))
        return self._pack(half, difference, brdf[None].to(self.device))

    def _everywhere(self, members: Tensor, half: Tensor, difference: Tensor) -> Tensor:
        vectors = (vectors.to(self.device).expand(len(members), -1, -1) for vectors in (half, difference))
        return self.reference(members, *vectors)

    def _batch(self, members: Tensor, half: Tensor, difference: Tensor) -> Batch:
        return self._pack(half, difference, self.reference(members, half, difference))

    @staticmethod
    def _pack(half: Tensor, difference: Tensor, brdf: Tensor) -> Batch:
        cosine = cosines(half, difference)[0][..., None]
        target = torch.log1p(cosine * brdf)
        return {"vectors": torch.cat([half, difference], -1), "cosine": cosine, "target": target}

    def loss(self, weights: Tensor, batch: Batch) -> Tensor:
        return (self._logarithm(weights, batch) - batch["target"]).abs().mean((1, 2))

    def _logarithm(self, weights: Tensor, batch: Batch) -> Tensor:
        return torch.log1p(batch["cosine"] * self.model.evaluate(weights, batch["vectors"]))

    @torch.no_grad()
    def metrics(self, weights: Tensor, members: Tensor) -> dict[str, Tensor]:
        """Return log_l1, mae (of cos θ f, in 1/sr) at unseen directions; psnr (dB) and dssim of the sphere."""
        batch = self._batch(members, *(vectors.expand(len(members), -1, -1) for vectors in self.checked))
        logarithm = self._logarithm(weights, batch)
        shown, wanted = self._pictures(weights), self._reference_pictures(members)
        error = (shown - wanted).square().mean((1, 2, 3))
        return {
            "log_l1": (logarithm - batch["target"]).abs().mean((1, 2)),
            "mae": (logarithm.expm1() - batch["target"].expm1()).abs().mean((1, 2)),
            "psnr": -10 * error.clamp_min(1e-12).log10(),
            "dssim": dssim(shown, wanted),
        }

    def _pictures(self, weights: Tensor) -> Tensor:
        return self.sphere.render(
            lambda half, difference: self.model.evaluate(
                weights, torch.cat([half, difference], -1).expand(len(weights), -1, -1)
            )
        )

    def _reference_pictures(self, members: Tensor) -> Tensor:
        return self.sphere.render(lambda half, difference: self._everywhere(members, half, difference))

    @torch.no_grad()
    def picture(self, weights: Tensor, member: int) -> Tensor:
        return self._pictures(weights[None])[0]

    @torch.no_grad()
    def reference_picture(self, member: int) -> Tensor:
        return self._reference_pictures(torch.tensor([member]))[0]


def dssim(shown: Tensor, wanted: Tensor) -> Tensor:
    """Return (1 − SSIM) / 2 of pictures (n, h, w, 3) in [0, 1], (n,)."""
    from skimage.metrics import structural_similarity

    pairs = zip(shown.cpu().numpy(), wanted.cpu().numpy(), strict=True)
    values = [structural_similarity(*pair, channel_axis=2, data_range=1.0) for pair in pairs]
    return (1 - torch.tensor(values)) / 2
