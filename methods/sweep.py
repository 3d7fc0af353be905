"""Sweep: differences along a random orthonormal basis without replacement, with lengths that the losses choose."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from methods._annealing import annealed
from methods._look import Look
from methods._ranges import Count, Positive
from methods._small_sweep import SmallSweep
from methods._work import Work
from methods.base import Evaluation, Method

SPREAD = 2.0  # ratio of the two lengths of a batch's differences
SMOOTH = 1.2  # exponent of the rise with the length: 2 on a parabola, 0 in noise; below this the length grows
GROW, FALL = 0.5, 0.1  # octaves per batch and unit of the exponent
FLOOR, END = 0.5, 0.1  # least share of the first length, and what is left of that at the end of the budget
FORGET, CURVATURE = 0.8, 0.9  # decays of the rise's and the curvature's moving averages
SEEN, UNSEEN, WIDER = 0.3, 1e-6, 1.3  # least share of directions that differ; what is no difference; what follows
WIDEST = 20.0  # natural steps
PULL = 0.3  # by how much a line search corrects the gain
FEW = 16  # dimensions up to which `SmallSweep` is worth its whole sweeps


class Sweep(Method):
    """s_i = (L(θ + h u_i) − mean) / h along rows u_i of a cosine transform, then θ ← θ − g/κ Σ s_i u_i + t·(last step).

    The rows' coordinates are permuted and their signs drawn; none returns before all dim were used. Without replacement
    N evaluations leave 1 − N/dim of a parabola's loss instead of e^(−N/dim). Rows have root mean square 1, are read
    from one table of cosines, and nothing is larger than a batch.

    All lengths come from the losses:

    * κ = 2 (mean rise)/h² is the mean curvature, the same for all directions (moving average).
    * The last step is repeated once: the parabola through it gives t in [−1, 2] and corrects the gain g.
    * Half of a batch's directions are twice as long as the other. A mean rise that grows clearly slower than h² is
      roughness, not curvature: h grows. Otherwise h falls, not below a line that falls with the budget.
    * Where fewer than a third of the directions change anything, h grows: a plateau.
    * A step is at most h long (root mean square).

    Up to 16 dimensions whole sweeps are cheap: see `SmallSweep`.
    """

    look = Look("Sweep (ours)", "#0f4c9a", "*")
    grid = {"step": (0.12, 0.25, 0.5, 1.0, 2.0)}
    per_coordinate = Work(launches=2, numbers=6, kept=40)

    def setup(self, step: Positive = 0.5, batch: Count = 32) -> None:
        """Start with differences of length `step` (natural steps), `batch` of them per iteration."""
        space = self.space
        self.few = SmallSweep(space.start, self.generator, 2 * step) if self.is_small else None
        self.first, self.octaves = step, math.log2(step)  # log2 h
        self.count = max(1, min(batch, space.max_batch - 2, space.dim, space.budget // 4))
        self.theta = space.start.clone()
        self.used = 0
        self.gain = 1.0
        self.steps = 0
        self.curvature = 0.0  # κ
        self.slope = 0.0  # root mean square of s
        self.rises = [0.0, 0.0]  # moving averages, the longer differences first
        self.last = space.start.new_zeros(0)  # (dim,) the last step
        self.before = 0.0  # loss where it began
        self.rows = space.start.new_zeros(0)  # (count, dim) u_i
        self.probing = False
        if self.few is None:
            quarter = torch.arange(4 * space.dim, dtype=torch.float64) * (math.pi / (2 * space.dim))
            self.table = (math.sqrt(2) * quarter.cos()).to(space.start)
            self.shuffle()

    @property
    def is_small(self) -> bool:
        return self.space.dim <= FEW < self.space.max_batch

    def shuffle(self) -> None:
        """Begin a sweep: draw another basis and another order of its rows."""
        dim, device = self.space.dim, self.space.device
        self.signs = 2 * torch.randint(2, (dim,), generator=self.generator, device=device) - 1
        self.place = torch.randperm(dim, generator=self.generator, device=device)
        self.order = torch.randperm(dim, generator=self.generator, device=device)
        self.at = 0

    def directions(self, count: int) -> Tensor:
        """Return the next rows (count, dim) of the type-II cosine transform, times √dim."""
        dim, parts = self.space.dim, []
        while count > 0:
            if self.at == dim:
                self.shuffle()
            chosen = self.order[self.at : self.at + count]
            self.at, count = self.at + len(chosen), count - len(chosen)
            rows = self.table[(2 * self.place + 1) * chosen[:, None] % (4 * dim)]  # √2 cos(π(2i + 1)j / 2dim)
            parts.append(torch.where(chosen[:, None] == 0, 1.0, rows) * self.signs)
        return torch.cat(parts)

    @property
    def length(self) -> float:
        """h, the geometric mean of the two lengths."""
        return 2.0**self.octaves

    def lengths(self) -> Tensor:
        """Return the lengths of a batch's differences (count,), a long one first."""
        sides = 0.5 - torch.arange(self.count, dtype=torch.float64, device=self.space.device) % 2
        return self.length * SPREAD**sides

    def ask(self) -> Tensor:
        if self.few is not None:
            return self.few.ask()
        self.rows = self.directions(self.count)
        self.probing = len(self.last) > 0 and self.count + 2 <= self.space.max_batch
        offsets = self.lengths()[:, None].to(self.rows) * self.rows
        parts = [torch.zeros_like(offsets[:1]), offsets]
        if self.probing:
            parts.append(self.last[None])
        return self.theta + torch.cat(parts)

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        if self.few is not None:
            self.few.tell(self.space.project(z), evaluation.loss)
            return
        self.used += len(z)
        loss = evaluation.loss.double()
        here, ahead = float(loss[0]), loss[1 : 1 + self.count]
        seen = float(((ahead - here).abs() > UNSEEN * abs(here)).double().mean())
        if seen < SEEN:
            self.octaves = min(self.octaves + math.log2(WIDER), math.log2(WIDEST))
        if seen == 0:
            self.last = self.last[:0]
            return
        slopes, rises = self._differences(ahead, here)
        long, short = SPREAD * self.length**2, self.length**2 / SPREAD
        curvature = 2 * sum(rises) / (long + short) if self.count > 1 else 2 * rises[0] / long
        self.steps += 1
        weight = max(1 - CURVATURE, 1 / self.steps)  # a plain mean at first
        self.curvature += weight * (curvature - self.curvature)
        self.slope = math.sqrt((1 - weight) * self.slope**2 + weight * float(slopes.square().mean()))
        extent = self.length
        along = self._along(float(loss[-1]), here) if self.probing else 0.0
        # Concave on average: the least curvature that a thousand times the longest step still is a Newton step of.
        bend = max(self.curvature, 1e-3 * self.slope / extent)
        step = -(self.gain / bend * slopes).to(self.rows) @ self.rows if bend > 0 else torch.zeros_like(self.theta)
        if self.probing:
            step = step + along * self.last
        size = float(step.norm()) / math.sqrt(self.space.dim)
        if size > extent:
            step = step * (extent / size)
        if seen >= SEEN:
            self._adapt(rises)
        self.gradient = slopes.to(self.rows) @ self.rows / self.count
        theta = self.space.project(self.theta + step)
        self.last, self.before, self.theta = theta - self.theta, here, theta

    def _differences(self, ahead: Tensor, here: float) -> tuple[Tensor, list[float]]:
        """Return slopes (count,) and the mean rises of the long and the short differences.

        Each slope is taken against the mean over its length, times n/(n − 1), which keeps it unbiased: what curvature
        adds to all of them falls out.
        """
        slopes, rises = ahead - here, []
        for part in (slopes[::2], slopes[1::2]):
            count = len(part)
            rises.append(float(part.mean()) if count else 0.0)
            if count > 1:
                part.copy_((part - part.mean()) * (count / (count - 1)))
        return slopes / self.lengths(), rises

    def _along(self, beyond: float, here: float) -> float:
        """Return the minimum t of the parabola through the losses at −1, 0 and 1 last steps; correct the gain by it."""
        bend, slope = beyond - 2 * here + self.before, (beyond - self.before) / 2
        t = -slope / bend if bend > 0 else (2.0 if slope < 0 else -0.5)
        t = max(-1.0, min(2.0, t))
        self.gain = min(max(self.gain * math.exp(PULL * max(-1.0, min(1.0, t))), 1e-4), 1e4)
        return t

    def _adapt(self, rises: list[float]) -> None:
        """Lengthen the differences where the loss is rough at their scale, shorten them where it is smooth."""
        self.rises = [FORGET * old + (1 - FORGET) * new for old, new in zip(self.rises, rises, strict=True)]
        long, short = self.rises
        if self.count < 2 or long <= 0:
            return
        exponent = 2.0 if short <= 0 else max(0.0, min(2.0, math.log(long / short) / math.log(SPREAD)))
        change = (SMOOTH - exponent) * (GROW if exponent < SMOOTH else FALL)
        floor = math.log2(annealed(FLOOR * self.first, END, self.used, self.space.budget))
        changed = min(math.log2(WIDEST), max(floor, self.octaves + change))
        self.rises = [2 ** (SMOOTH * (changed - self.octaves)) * rise for rise in self.rises]
        self.octaves = changed

    def resume(self, theta: Tensor) -> None:
        """Go on from θ (dim,), with the lengths and curvatures that were found elsewhere."""
        if torch.equal(theta, self.incumbent()):
            return
        if self.few is not None:
            self.few.restart(theta)
        self.theta, self.last = theta.clone(), self.last[:0]

    def incumbent(self) -> Tensor:
        """Return θ."""
        return (self.theta if self.few is None else self.few.theta).clone()
