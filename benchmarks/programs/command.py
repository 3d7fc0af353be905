"""A command line as a task: a user describes a program in YAML, and every method searches its parameters."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.contract.errors import Unsupported, UsageError
from benchmarks.contract.problem import Problem
from benchmarks.programs._description import Description, read_description
from benchmarks.programs._execution import Failed, picture_of, read_picture
from benchmarks.programs._values import metrics_of, place
from methods._work import Work

HOST_S = 2e-9  # of one number on the reference machine (benchmarks/harness/costs.py)


class Command(Problem):
    """Find the parameters of a program from one picture; the loss is the mean squared error of the pixels.

    The program is run once per candidate, on as many cores at once as the job has, `at_once` times for each; each run
    has an empty folder of its own, so results do not depend on how many run at once. A run without a picture (exit
    code, hang, no file, another size, NaN) counts as the worst picture there is, every pixel as far from the target's
    as it can be, and is told with its status and the program's last lines in runs.parquet; the search goes on.
    """

    has_picture = True
    source = (
        "ours: Fischer & Ritschel 2024 (ZeroGrads) is made for programs that nobody can differentiate, and publishes "
        "no sizes for these; parameters, start and target are those of the file"
    )

    def setup(self, file: str = "benchmarks/programs/drawing.yaml") -> None:
        """Read the description in `file` (docs/programs.md) and show target and start once."""
        self.file, self.program = file, read_description(file)
        self.environment = {**os.environ, "LC_ALL": "C.UTF-8", **self.program.environment}
        self.failures: list[str] = []
        self._find(self.program)
        values = self.program.values
        self.dim = values[-1].coordinates.stop
        self.discrete = tuple(value.discrete for value in values if value.discrete)
        ends = torch.tensor([value.box() for value in values for _ in range(self.dim)[value.coordinates]])
        self.lower, self.upper = ends.to(self.device).unbind(1)
        self.begin = place(values, {value.name: value.start for value in values})
        first = self._picture(self.begin, "start")
        if isinstance(self.program.target, Path):
            goal = self._read(self.program.target)
        else:
            self.reference = place(values, self.program.target).to(self.device)
            goal = self._picture(self.reference, "target")
        if first.shape != goal.shape:
            sizes = (f"{shape[1]}×{shape[0]}" for shape in (goal.shape, first.shape))
            raise UsageError("{}: target: has {} pixels, the start's picture {}; make them equal".format(file, *sizes))
        self.target = torch.as_tensor(goal, device=self.device)
        self.worst = (self.target < 0.5).float()
        self.bytes_per_candidate = 32 * goal.size
        if self.program.about:
            self.source = f"{self.program.about}; {type(self).source}"

    def _find(self, program: Description) -> None:
        name = program.fill(program.command[0], {})
        if shutil.which(name, path=self.environment.get("PATH")) is None:
            way_out = f": {program.install}" if program.install else "; install it, or mend `command` there"
            raise Unsupported(f"{self.file}: the program {name} is not installed{way_out}")

    def _read(self, path: Path) -> np.ndarray:
        try:
            return read_picture(path.read_bytes())
        except (OSError, Failed) as error:
            raise UsageError(f"{self.file}: target: {error}") from error

    def _picture(self, z: Tensor, what: str) -> np.ndarray:
        try:
            return self._run(z.cpu())
        except Failed as error:
            raise UsageError(f"{self.file}: the command fails at the {what}: {error}") from error

    def _run(self, z: Tensor) -> np.ndarray:
        """Return the picture (h, w, 3) of z (dim,)."""
        program, chosen = self.program, self.decoded(z)
        text = None if program.template is None else program.fill(program.template, chosen)
        return picture_of(program.arguments(chosen), program.picture, text, program.timeout, self.environment)

    def _try(self, z: Tensor) -> np.ndarray | str:
        """Return the picture, or why there is none."""
        try:
            found = self._run(z)
        except Failed as error:
            return str(error)
        if found.shape != self.target.shape:
            sizes = (f"{shape[1]}×{shape[0]}" for shape in (found.shape, self.target.shape))
            return "crashed: the picture has {} pixels, {} expected".format(*sizes)
        return found

    def start(self, seed: int) -> Tensor:
        spread = [value.jitter() for value in self.program.values for _ in range(self.dim)[value.coordinates]]
        jitter = 2 * torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 1
        return (self.begin + jitter * torch.tensor(spread)).to(self.device).clamp(self.lower, self.upper)

    def observe(self, z: Tensor, seed: int) -> Tensor:
        with ThreadPoolExecutor(max(1, min(len(z), torch.get_num_threads() * self.program.at_once))) as pool:
            found = list(pool.map(self._try, z.detach().cpu()))
        self.failures += [item for item in found if isinstance(item, str)]
        shown = (self.worst if isinstance(item, str) else torch.as_tensor(item, device=self.device) for item in found)
        return torch.stack(list(shown))

    def take_failures(self) -> list[str]:
        taken, self.failures = self.failures, []
        return taken

    def criterion(self, observed: Tensor) -> Tensor:
        return (observed - self.target).square().mean((1, 2, 3))

    def decoded(self, z: Tensor) -> dict[str, Any]:
        z = z.cpu()
        return {value.name: value.decode(z) for value in self.program.values}

    @torch.no_grad()
    def validate(self, z: Tensor) -> dict[str, float]:
        """Return the loss; with a known optimum the RMS error in natural steps and the share of wrong discrete ones."""
        metrics = {"loss": float(self.loss(z[None], 0)[0])}
        goal = self.program.target
        if isinstance(goal, Path):
            return metrics
        return metrics | metrics_of(self.program.values, z.cpu(), goal)

    @property
    def work(self) -> Work:
        return Work(launches=20, numbers=20 * self.target.numel(), host=self.program.milliseconds / 1000 / HOST_S)

    def image(self, z: Tensor) -> Tensor:
        return self.observe(z[None], 0)[0]

    def target_image(self) -> Tensor:
        return self.target
