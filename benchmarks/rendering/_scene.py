"""What all scenes share: Mitsuba 3 renders and differentiates them, pictures are compared."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.contract.errors import UsageError
from benchmarks.contract.problem import Gradient, Problem
from benchmarks.rendering._mitsuba import backend, without_collection
from benchmarks.rendering._rays import observe_pixels
from benchmarks.rendering._shapes import Vector
from benchmarks.rendering._soft_gradient import SoftGradient, soft_gradients
from benchmarks.rendering._soft_raster import Surface
from methods._work import Work

RandomNumbers = Literal["common", "fresh"]
Comparison = Literal["mse", "unbiased"]

VALIDATION_SEED = 2**20  # no replicate renders with it
VALIDATION_SPP = 64  # samples per pixel, at least
REFERENCE_SPP = 1024  # of the target picture where random numbers are fresh
PRECISE_SPP = 128  # for certificates
# Without guiding: building the guiding structure for every gradient costs 10 to 100 times the gradient itself.
INTEGRATORS: dict[str, dict[str, Any]] = {
    "prb": {},
    "prb_projective": {"guiding": "none"},
    "direct_projective": {"guiding": "none"},
}


class Scene(Problem):
    """A procedural scene whose parameters z are to be found from one picture.

    A subclass gives `describe` (the scene), `parameters` (z → what Mitsuba calls its parameters, differentiable in
    torch), `begin`, `reference` and `scale` (scene units per natural step, normally the bandwidth σ of the paper).
    A gradient is Mitsuba's derivative of the picture by its parameters, chained in torch with that of `parameters`
    and of the criterion, so every scene is differentiated by every integrator without further code.

    Pictures hold linear radiance, (height, width, 3). Random numbers are `common`: every picture, the target included,
    is rendered with one seed, so equal parameters give equal pictures (as in the authors' code); or `fresh`: every
    picture has its own seed and the target is rendered with 1,024 samples per pixel, so that the mean squared error
    has a floor of Monte Carlo noise, lower for calmer pictures than for right ones. Comparison `unbiased` removes that
    noise in the mean: (I − r)(I′ − r) for two independent halves I and I′ of the samples.
    """

    gradient = "biased"  # whether it is right is measured per task and integrator: gradients.csv
    has_picture = True
    depth: ClassVar[int] = 6  # most segments of a light path
    integrator: ClassVar[str] = "path"
    freeze: ClassVar[bool] = True  # record the rendering once and replay it (dr.freeze)
    differentiable: ClassVar[tuple[str, ...]] = ("prb", "prb_projective")
    exposure: ClassVar[float] = 1.0  # of the pictures that are shown
    towards_light: ClassVar[Vector] = (0.0, 1.0, 0.0)  # for soft rasterizers
    gradient_passes = 40.0  # the median over scenes and integrators of results/rendering
    bytes_per_candidate = 2**24  # candidates are rendered one by one; bounds the pictures of a batch

    begin: Tensor  # (dim,) where replicates start, before the jitter
    jitter: float = 0.25  # natural steps

    def build(
        self,
        width: int,
        height: int,
        spp: int,
        random_numbers: RandomNumbers = "common",
        comparison: Comparison = "mse",
    ) -> None:
        """Load the scene; call at the end of `setup`.

        Args:
            width: Pixels.
            height: Pixels.
            spp: Samples per pixel of one picture.
            random_numbers: One seed for all pictures, or a fresh one for each.
            comparison: Squared error, or its unbiased estimate from two half pictures.
        """
        owner = f"rendering.{type(self).__module__.rsplit('.', 1)[-1]}"
        if comparison == "unbiased" and (random_numbers == "common" or spp % 2):
            raise UsageError(
                f"{owner}: comparison 'unbiased' multiplies two independent renders: "
                "it needs random_numbers 'fresh' and an even spp"
            )
        found = backend(self.device.type)
        self.mi, self.without_gradient = found.mi, found.no_gradient
        self.width, self.height, self.spp, self.comparison = width, height, spp, comparison
        self.validation_passes = max(VALIDATION_SPP, spp) / spp
        self.noise = "fixed" if random_numbers == "common" else "fresh"
        film = {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
            "component_format": "float32",
            "sample_border": True,
        }
        description = self.describe()
        description["sensor"] |= {"film": film, "sampler": {"type": "independent", "sample_count": spp}}
        whole = {"type": "scene", "integrator": {"type": self.integrator, "max_depth": self.depth}, **description}
        self.scene = self.mi.load_dict(whole, optimize=False)  # or it may reorder the lights, and with them the noise
        self.handles = self.mi.traverse(self.scene)
        self.render = self._renderer()
        self.integrators: dict[str, Any] = {}
        self.tracers: dict[int, Callable[[Any, Any, Any], Any]] = {}  # of single rays, by their number
        self.dim = len(self.begin)
        self.begin, self.reference = self.begin.to(self.device), self.reference.to(self.device)
        self.targets: dict[tuple[int, int], Tensor] = {}
        self.soft: dict[str, SoftGradient] = soft_gradients(
            description["sensor"], (width, height), self.towards_light, self.surfaces, self.compare, self.reference
        )
        if not self.estimators():
            self.gradient = "none"

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the scene as Mitsuba's dictionary, with a `sensor`, without film, sampler and integrator."""

    @abstractmethod
    def parameters(self, z: Tensor) -> dict[str, Tensor]:
        """Return Mitsuba's name → value, differentiable in z (dim,): flat buffers, colours (3,), transforms (4, 4)."""

    @property
    def work(self) -> Work:
        """Update the scene, trace every path, copy the picture; a wide GPU would not change the launches."""
        return Work(launches=100, numbers=10 * self.depth * self.spp * self.width * self.height)

    def surfaces(self, z: Tensor) -> list[Surface]:
        """Return what soft rasterizers draw at z (dim,), differentiable; nothing where they would miss the point.

        What does not move must be the very same tensor every time: it is drawn once.
        """
        return []

    def offset(self, z: Tensor) -> Tensor:
        """Return how far z (dim,) is from the truth, (dim,), in scene units."""
        return (z - self.reference) * self.scale

    scale: float | Tensor = 1.0  # scene units per natural step

    def start(self, seed: int) -> Tensor:
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return self.begin + (self.jitter * jitter).to(self.device)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        """Return pictures (n, height, width, 3); with `unbiased`, two halves (n, 2, height, width, 3)."""
        pictures = []
        for number, candidate in enumerate(z):  # one scene, one acceleration structure: a renderer takes them in turn
            self._place(candidate)
            own = self._own_seed(seed, number)
            if self.comparison == "unbiased":
                pictures.append(torch.stack([self._picture(self.spp // 2, own + half) for half in (0, 1)]))
            else:
                pictures.append(self._picture(self.spp, own))
        return torch.stack(pictures)

    def _own_seed(self, seed: int, number: int) -> int:
        """Return the seed of a batch's candidate: the batch's own where random numbers are common."""
        return seed if self.noise == "fixed" else (seed + 2 * number) % 2**31

    def criterion(self, observed: Tensor) -> Tensor:
        target = self.target()
        if self.comparison == "unbiased":
            return ((observed[:, 0] - target) * (observed[:, 1] - target)).flatten(1).mean(1)
        return self.compare(observed, target)

    def compare(self, pictures: Tensor, target: Tensor) -> Tensor:
        """Return the loss (n,) of pictures (n, height, width, 3), differentiable; mean squared error by default."""
        return (pictures - target).square().flatten(1).mean(1)

    def target(self) -> Tensor:
        """Return the picture (height, width, 3) to be matched."""
        return self._reference_picture(self.spp, 0) if self.noise == "fixed" else self._reference_picture(
            REFERENCE_SPP, VALIDATION_SEED + 1
        )  # fmt: skip

    def estimators(self) -> dict[str, Gradient]:
        """Return name → gradient of the loss, per integrator that can see this scene, then per soft rasterizer."""
        names = () if self.without_gradient else self.differentiable
        return {name: partial(self._differentiate, name) for name in names} | self.soft

    def loss_and_grad(self, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and gradients (n, dim) of the first estimator."""
        return next(iter(self.estimators().values()))(z, seed)

    def oracle_gradient(self, z: Tensor) -> Tensor | None:
        """Return None: which gradient is right is a question here, not a given."""
        return None

    @torch.no_grad()
    def precise_loss(self, z: Tensor, seed: int) -> Tensor:
        """Return losses (n,) from pictures with 128 samples per pixel, the target rendered with the same seed."""
        return self.compare(self._pictures(z, PRECISE_SPP, seed), self._reference_picture(PRECISE_SPP, seed))

    def precise_gradient(self, name: str, z: Tensor, seed: int) -> Tensor:
        """Return the integrator's gradient (dim,) of `precise_loss` at z (dim,); soft rasterizers have their own."""
        if name in self.soft:
            return self.soft[name](z[None], seed)[1][0]
        return self._gradient(name, z, PRECISE_SPP, seed, self._reference_picture(PRECISE_SPP, seed))[1]

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return loss and image MSE of pictures of at least 64 samples per pixel, and the parameters' error.

        Target and picture share a seed that no run renders with: zero at the optimum. `parameter_mse` is in scene
        units (radians for angles), `parameter_error` is its root mean square in natural steps.
        """
        spp = max(VALIDATION_SPP, self.spp)
        target = self._reference_picture(spp, VALIDATION_SEED)
        picture = self._pictures(z[None], spp, VALIDATION_SEED)
        offset = self.offset(z)
        return {
            "loss": float(self.compare(picture, target)[0]),
            "image_mse": float((picture[0] - target).square().mean()),
            "parameter_mse": float(offset.square().mean()),
            "parameter_error": float((offset / self.scale).square().mean().sqrt()),
        }

    def image(self, z: Tensor) -> Tensor:
        """Return an sRGB picture (height, width, 3) of z (dim,) with at least 64 samples per pixel."""
        with torch.no_grad():
            linear = self._pictures(z[None], max(VALIDATION_SPP, self.spp), VALIDATION_SEED)[0] * self.exposure
        linear = linear.clamp(0, 1)
        return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-8) ** (1 / 2.4) - 0.055)

    def observe_pixels(self, z: Tensor, pixels: Tensor, seed: int) -> Tensor:
        """Return single rays through chosen pixels, (n, rays, 3): an optional part of the contract, see `_rays.py`."""
        return observe_pixels(self, z, pixels, seed)

    def reference_picture(self, spp: int) -> Tensor:
        """Return the target (height, width, 3) with so many samples per pixel, with random numbers that no run has."""
        return self._reference_picture(spp, VALIDATION_SEED)

    def _pictures(self, z: Tensor, spp: int, seed: int) -> Tensor:
        """Return pictures (n, height, width, 3), all with one seed."""
        pictures = []
        for candidate in z:
            self._place(candidate)
            pictures.append(self._picture(spp, seed))
        return torch.stack(pictures)

    def _reference_picture(self, spp: int, seed: int) -> Tensor:
        if (spp, seed) not in self.targets:
            with torch.no_grad():
                self.targets[spp, seed] = self._pictures(self.reference[None], spp, seed)[0]
        return self.targets[spp, seed]

    def _place(self, z: Tensor) -> None:
        """Move the scene to z (dim,)."""
        for name, value in self.parameters(z.detach()).items():
            self.handles[name] = self._to_mitsuba(name, value)
        self.handles.update()

    def _to_mitsuba(self, name: str, value: Tensor) -> Any:
        """Return a value as Mitsuba's type. Through lists: dr.freeze replays stale buffers that NumPy allocated."""
        plain = value.detach().float().tolist()
        kind = type(self.handles[name])
        if value.shape == (4, 4):
            return kind(self.mi.ScalarTransform4f(plain).matrix)
        return kind(*plain) if value.shape == (3,) and len(self.handles[name]) == 3 else kind(plain)

    def _renderer(self) -> Callable[[int, int], Any]:
        """Return (spp, seed) → picture, recorded and replayed where that pays."""
        mi = self.mi

        def plain(spp: int, seed: int) -> Any:
            return mi.render(self.scene, spp=spp, seed=seed)

        if not self.freeze or mi.variant() == "scalar_rgb":
            return plain
        import drjit as dr

        recorded: dict[int, Any] = {}

        def replay(spp: int, seed: int) -> Any:
            if spp not in recorded:
                recorded[spp] = dr.freeze(lambda scene, number: mi.render(scene, spp=spp, seed=number))
            with without_collection():
                return recorded[spp](self.scene, mi.UInt32(seed))

        return replay

    def _picture(self, spp: int, seed: int) -> Tensor:
        return torch.from_numpy(np.array(self.render(spp, seed), dtype=np.float32)).to(self.device)

    def _differentiate(self, name: str, z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Return losses (n,) and gradients (n, dim) by one integrator."""
        target = self.target()
        found = [
            self._gradient(name, row, self.spp, self._own_seed(seed, number), target) for number, row in enumerate(z)
        ]
        return torch.stack([loss for loss, _ in found]), torch.stack([gradient for _, gradient in found])

    def _gradient(self, name: str, z: Tensor, spp: int, seed: int, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss () and gradient (dim,) at z (dim,), from one whole picture: adjoints need no halves."""
        import drjit as dr

        if name not in self.integrators:
            options = {} if name.startswith("direct") else {"max_depth": self.depth}
            self.integrators[name] = self.mi.load_dict({"type": name, **options, **INTEGRATORS[name]})
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            values = self.parameters(z)
            for key, value in values.items():
                leaf = self._to_mitsuba(key, value)
                dr.enable_grad(leaf)
                self.handles[key] = leaf
            self.handles.update()
            rendered = self.mi.render(
                self.scene, self.handles, integrator=self.integrators[name], spp=spp, seed=seed, seed_grad=seed + 1
            )
            picture = torch.from_numpy(np.array(rendered, dtype=np.float32)).to(self.device)[None].requires_grad_(True)
            loss = self.compare(picture, target)
            (slope,) = torch.autograd.grad(loss.sum(), picture)
            dr.set_grad(rendered, self.mi.TensorXf(slope[0].cpu().numpy()))
            dr.enqueue(dr.ADMode.Backward, rendered)
            dr.traverse(dr.ADMode.Backward)
            slopes = [self._to_torch(dr.grad(self.handles[key]), value) for key, value in values.items()]
            for key in values:
                self.handles[key] = dr.detach(self.handles[key])
            (gradient,) = torch.autograd.grad(list(values.values()), z, slopes)
        return loss.detach()[0], gradient

    def _to_torch(self, gradient: Any, value: Tensor) -> Tensor:
        """Return Mitsuba's gradient in the shape of `value`."""
        if value.shape == (3,) and len(gradient) == 3:  # np.array of a colour is not its three components
            array = np.array([float(part[0]) for part in gradient], dtype=np.float32)
        else:
            array = np.array(getattr(gradient, "matrix", gradient), dtype=np.float32)
        return torch.from_numpy(array).reshape(value.shape).to(value)
