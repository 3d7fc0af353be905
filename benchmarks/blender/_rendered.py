"""What the tasks in Blender share: workers that render, the display's curve, and named values behind z."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from benchmarks.blender import _worker
from benchmarks.blender._environment import MEND, installed, interpreter, missing_libraries, way_out
from benchmarks.blender._workers import Pool, Program
from benchmarks.contract.errors import Unsupported
from benchmarks.contract.problem import Problem
from benchmarks.contract.reading import ROOT
from benchmarks.programs._execution import Failed
from benchmarks.programs._values import Value, metrics_of, place, read_values
from methods._work import Work

HOST_S = 2e-9  # of one number on the reference machine (benchmarks/harness/costs.py)
BLUR = 1 / 16  # standard deviation, in widths of the picture
BLURRED = 4.0  # weight of the blurred picture's error
REACH = 3  # standard deviations


class Rendered(Problem):
    """A picture of a Blender scene is to be found again; the target is rendered by the same Blender.

    A candidate is rendered by one of as many workers as the job has threads, always with the same random numbers, so
    results do not depend on how many they are. One without a picture (a crash, a hang, NaN) counts as the worst picture
    there is, and is told in runs.parquet with its status; the worker is replaced and the search goes on.
    """

    has_picture = True
    scene: ClassVar[ModuleType]
    milliseconds: ClassVar[float]  # of one core per evaluation, for estimates

    @abstractmethod
    def values(self, z: Tensor) -> np.ndarray:
        """Return what the scene's worker is asked for at z (dim,)."""

    def prepare(self) -> None:
        """Start a worker and render the target; raises Unsupported with the command that mends what is missing."""
        name = type(self).__module__.removeprefix("benchmarks.")
        if not installed():
            raise Unsupported(f"{name}: Blender is not installed: {MEND}")
        self.failures: list[str] = []
        self.pool = Pool(Program((str(interpreter()), "-m", _worker.__name__, self.scene.__name__), environment()))
        try:
            goal = self.pool.render(self.values(self.reference.cpu()))
        except Failed as error:
            lacking = missing_libraries()
            if lacking:
                raise Unsupported(f"{name}: Blender needs {', '.join(lacking)}: {way_out(lacking)}") from error
            raise Unsupported(f"{name}: Blender does not render the target ({error}); try {MEND}") from error
        self.goal = torch.as_tensor(goal, device=self.device)  # radiance
        self.worst = (shown(self.goal) < 0.5).float()
        self.bytes_per_candidate = 48 * self.goal.numel()

    def observe(self, z: Tensor, seed: int) -> Tensor:
        asked = [self.values(row) for row in z.detach().cpu()]
        found = self.pool.try_all(asked, torch.get_num_threads())
        self.failures += [item for item in found if isinstance(item, str)]
        return torch.stack(
            [self.worst if isinstance(item, str) else torch.as_tensor(item, device=self.device) for item in found]
        )

    def take_failures(self) -> list[str]:
        taken, self.failures = self.failures, []
        return taken

    def criterion(self, observed: Tensor) -> Tensor:
        """Return the mean squared error (n,) of what a display shows."""
        return (shown(observed) - shown(self.goal)).square().mean((1, 2, 3))

    @property
    def work(self) -> Work:
        return Work(launches=40, numbers=60 * self.goal.numel(), host=self.milliseconds / 1000 / HOST_S)

    def image(self, z: Tensor) -> Tensor:
        return shown(self.observe(z[None], 0)[0])

    def target_image(self) -> Tensor:
        return shown(self.goal)


class Named(Rendered):
    """A scene with named values, laid out in z like those of a program (docs/programs.md); its loss sees two pictures.

    L = mean (P − T)² + 4 · mean (B P − B T)² over pixels P and T of what a display shows; B blurs with σ = 1/16 of the
    width. The pixels alone have needles at the right counts and hardly a slope elsewhere.
    """

    parameters: ClassVar[Mapping[str, Mapping[str, Any]]]
    found: ClassVar[Mapping[str, Any]]  # the values of the target

    def prepare(self) -> None:
        """Lay out the values, then start a worker and render the target."""
        named = self.named = read_values(self.parameters, type(self).__module__)
        self.dim = named[-1].coordinates.stop
        self.discrete = tuple(value.discrete for value in named if value.discrete)
        ends = torch.tensor([value.box() for value in named for _ in range(self.dim)[value.coordinates]])
        self.lower, self.upper = ends.to(self.device).unbind(1)
        self.begin = place(named, {value.name: value.start for value in named})
        self.reference = place(named, self.found).to(self.device)
        super().prepare()

    def start(self, seed: int) -> Tensor:
        spread = [value.jitter() for value in self.named for _ in range(self.dim)[value.coordinates]]
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return (self.begin + jitter * torch.tensor(spread)).to(self.device).clamp(self.lower, self.upper)

    def values(self, z: Tensor) -> np.ndarray:
        return np.array([_number(value, z) for value in self.named])

    def criterion(self, observed: Tensor) -> Tensor:
        difference = shown(observed) - shown(self.goal)
        return difference.square().mean((1, 2, 3)) + BLURRED * blurred(difference).square().mean((1, 2, 3))

    def decoded(self, z: Tensor) -> dict[str, Any]:
        """Return the values, and how many too many every count is."""
        z = z.cpu()
        named = {value.name: value.decode(z) for value in self.named}
        counts = (value.name for value in self.named if value.kind == "integers")
        return named | {f"{name}_too_many": named[name] - self.found[name] for name in counts}

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss, the RMS error in natural steps and the share of wrong discrete values."""
        return {"loss": float(self.loss(z[None], 0)[0])} | metrics_of(self.named, z.cpu(), self.found)


def _number(value: Value, z: Tensor) -> float:
    """Return a value as the scene gets it: numbers as they are, words by their place."""
    chosen = value.decode(z)
    return float(value.options.index(chosen) if value.kind in ("choices", "switch") else chosen)


def environment() -> dict[str, str]:
    """Return the variables of a worker: ours, but for those that would bring our libraries into its Python."""
    kept = {key: item for key, item in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONNOUSERSITE": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def shown(radiance: Tensor) -> Tensor:
    """Return what a display makes of radiance, in [0, 1]: cut at white, then the curve of sRGB (IEC 61966-2-1)."""
    light = radiance.clamp(0, 1)
    return torch.where(light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def blurred(pictures: Tensor) -> Tensor:
    """Return pictures (n, h, w, 3) under a Gaussian of standard deviation w/16; beyond the edge lies the edge."""
    n, height, width, channels = pictures.shape
    sigma = BLUR * width
    reach = min(int(REACH * sigma), height - 1, width - 1)
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=pictures.device).square() / (2 * sigma**2))
    weights = (weights / weights.sum()).to(pictures.dtype)
    flat = pad(pictures.permute(0, 3, 1, 2), (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
    flat = conv2d(conv2d(flat, weights[None, None, :, None]), weights[None, None, None, :])
    return flat.view(n, channels, height, width).permute(0, 2, 3, 1)
