"""Influence: learn which parameter moves which pixel, then Gauss–Newton through the known criterion."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from methods._influence_model import Influence as Model
from methods._influence_model import Span
from methods._influence_pyramid import Criterion, Pyramid, linear_share, wanted_picture
from methods._influence_sparse import Sparse, sparse_fit, union
from methods._ranges import AnyCount, Count, NonNegative, Positive, Share
from methods._steihaug import steihaug
from methods.base import Evaluation, Method, Space

Phase = Literal["start", "probe", "measure", "trial"]

ROWS = 1024  # renders kept, at most
MEMORY = 2**28  # numbers kept of them, at most
PROBES = (3.0, 1.0, 0.3, 0.1)  # bandwidths tried, in σ
PROBED = 256  # renders from one probe to the next, at least
LINEAR = 0.5  # of a level's answer has to be linear
AS_LINEAR = 0.8  # of the most linear bandwidth's share is enough for a wider one
FRACTION = 0.25  # of the memory's weight is the size of the next batch
LARGEST = 128  # renders in a batch
CG_STEPS = 60
LEAST = 0.1  # of the objective a first step has to promise where more renders would tell more
SURE = 0.3  # a promise that is tried whatever the memory
NEXT = 0.02  # of the objective a further step has to promise, and to have gained
RETRIES = 2  # shorter steps tried before measuring again
TRUSTED, DISTRUSTED = 0.7, 0.3  # of the promised decrease
SURPRISED = 0.5  # error of the predicted picture beyond which more has to be known before the next step
FORGETTING = 0.5
FORGOTTEN = 0.02  # weight of a render that is dropped


class Influence(Method):
    """Gauss–Newton on a Jacobian J of the picture that is learned from renders of random steps: ours.

    Rows x ~ N(0, σ²I) with responses y = P(θ + x) − P(θ) stay in memory from step to step. Four parts:

    * J = S + Rᵀ(K + λI)⁻¹X (`_influence_model`). S, pixels × dim, has few entries per pixel: those columns of X that
      correlate significantly with what is left of a pixel's responses after what all pixels share is taken out
      (`_influence_sparse`). The rest R = Y − XSᵀ is ridge regression in the span of the renders, K = XXᵀ.
    * Levels (`_influence_pyramid`): pictures blurred by 0 … 8 pixels. From pairs P(θ ± x), the share of a level's
      response that is odd minus the share that is even is the R² that a linear prediction could reach, free of any fit.
      The finest level of which half is linear is worked on, at the widest bandwidth that is nearly as linear as any.
      Where it promises little although the memory holds more than 2·dim renders, coarser ones are asked. Blurred levels
      ask for the least squares to a picture that the criterion is content with.
    * Step: minimise E_J[C(P(θ) + Jp)] within a radius by Steihaug's conjugate gradients, products with J only; what is
      not known about J damps. The radius follows the actual over the predicted decrease. Steps go on, one render each,
      while they gain; then more is measured.
    * After a step, the ratio of what a pixel did to what was predicted rescales its row of J and its responses in
      memory (a secant per pixel: what saturation, tone curves and exposure do). Memory fades by how wrong the
      predicted picture was, and more has to be known before the next step where it was wrong.

    Assumes that pictures have rows and columns that neighbour each other, and a criterion that is free of charge and
    differentiable; nothing about the order of parameters. The screening of columns needs pixels × dim correlations, in
    blocks; beyond 2³¹ it sorts by angle in random planes of responses, O((pixels + dim) log dim), for which a pixel has
    to follow mostly one parameter. Memory: (pixels + dim) · min(1024, 2²⁸/(pixels + dim)) numbers, three times while
    fitting, at most 3 GiB in single precision, and 24 bytes for every entry of S.

    Prior art: Choromanski & Sindhwani 2017 (Jacobians of black boxes by compressed sensing and colouring); Curtis,
    Powell & Reid 1974; Schubert 1970 (sparse secants); localised ensemble Kalman inversion; Steihaug 1983.
    """

    needs = "picture"
    grid = {"sigma": (0.1, 0.3, 1.0), "batch": (16, 64)}

    @classmethod
    def unsupported(cls, space: Space, **params: Any) -> str | None:
        """Refuse batches too small to compare bandwidths in."""
        if space.max_batch < 2 * len(PROBES):
            return f"comparing bandwidths takes {2 * len(PROBES)} candidates at once, the task admits {space.max_batch}"
        return None

    def setup(
        self,
        sigma: Positive = 0.3,
        batch: Count = 16,
        alpha: Share = 0.01,
        factors: NonNegative = 4.0,
        entries: AnyCount = 48,
        pyramid: bool = True,
    ) -> None:
        """Measure in batches of `batch` renders and more.

        `sigma` is where the search for a bandwidth starts; a chance entry of S has probability `alpha` per pixel;
        `factors` is how far above the median an eigenvalue of YYᵀ belongs to what all pixels share (0: none is); a
        pixel has at most `entries` entries in S (0: the span alone).
        """
        self.sigma, self.batch, self.alpha, self.factors, self.entries = sigma, batch, alpha, factors, entries
        self.pyramid = pyramid
        self.theta = self.space.start.clone()
        self.phase: Phase = "start"
        self.used, self.since = 0, 0  # evaluations, and those since the last probe
        # In memory: steps (n, dim), responses (n, pixels), weights (n,); the picture at θ (pixels,).
        empty = self.theta.new_empty(0)
        self.x, self.y, self.weight, self.base = empty, empty, empty, empty
        self.shape: tuple[int, ...] = ()
        self.wanted: Tensor | None = None
        self.level, self.linear = 0, [0]  # the one worked on, and all that can be, finest first
        # Where S was not zero in the last fits (pixels, k); n at the last search for more, and whether θ moved since.
        self.support, self.latest = empty, empty
        self.searched, self.moved = 0, False
        self.model: dict[str, Tensor] = {}
        self.r2 = 0.0  # held out, of the whole of J at the present level, for diagnostics
        # The planned step, what it promises, and how much memory has to weigh before the next.
        self.radii = [3 * sigma]  # by level
        self.step, self.expected, self.variance = empty, empty, empty
        self.value, self.promise = math.inf, 0.0
        self.need, self.failed = 0.0, 0

    def ask(self) -> Tensor:
        theta = self.theta
        if self.phase == "start":
            return theta[None].clone()
        if self.phase == "trial":
            return self.space.project(theta + self.step)[None]
        if self.phase == "probe":
            scale = self._probe_scales()[:, None]
            half = scale * self.normal(len(scale), self.space.dim)
            return self.space.project(torch.cat([theta + half, theta - half]))
        known = float(self.weight.sum())
        wanted = min(max(self.batch, FRACTION * known, self.need - known), max(self.batch, LARGEST))
        n = max(1, min(int(wanted), self.space.max_batch, self.space.budget - self.used - 1))
        return self.space.project(theta + self.sigma * self.normal(n, self.space.dim))

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        picture, criterion = evaluation.picture, evaluation.criterion
        if picture is None or criterion is None:
            raise ValueError("influence was told losses without pictures")
        self.used += len(z)
        z = self.space.project(z)
        pictures = picture.detach().flatten(1)
        if self.phase == "trial":
            self.judge(z[0], pictures[0], criterion)
            return
        if self.phase == "start":
            self.shape, self.base = tuple(picture.shape[1:]), pictures[0].clone()
            self.x, self.y = z.new_empty(0, z.shape[1]), pictures.new_empty(0, pictures.shape[1])
            self.support = self.latest = torch.full((len(self.base), 0), -1, device=z.device)
            if len(self.levels) > 1:
                self.wanted = wanted_picture(criterion, picture[0].detach())
            self.phase = "probe"
        elif self.phase == "probe":
            self.choose(z - self.theta, pictures - self.base)
            self.phase = "measure"
        else:
            self.since += len(z)
            self.remember(z - self.theta, pictures - self.base)
            self.failed = 0
            self.fit(criterion)

    def incumbent(self) -> Tensor:
        """Return θ."""
        return self.theta.clone()

    @property
    def levels(self) -> Pyramid:
        return Pyramid(self.shape, self.base, self.pyramid)

    def _probe_scales(self) -> Tensor:
        pairs = min(2, self.space.max_batch // (2 * len(PROBES)))
        return self.sigma * self.theta.new_tensor(PROBES).repeat_interleave(pairs)

    def choose(self, x: Tensor, y: Tensor) -> None:
        """Choose level and σ by what is linear in responses y (2m, pixels) to steps x (2m, dim), ±."""
        levels, scales = self.levels, self._probe_scales()
        ahead, behind = y.unflatten(0, (2, -1))
        linear = torch.stack([
            linear_share(levels.blur(ahead, level), levels.blur(behind, level), len(PROBES))
            for level in range(len(levels))
        ])  # fmt: skip
        best = linear.amax(1)
        enough = (best >= LINEAR).nonzero()
        level = int(enough[0]) if len(enough) else int(best.argmax())
        widest = int((linear[level] >= AS_LINEAR * best[level]).nonzero()[0]) if best[level] > 0 else 0
        above = (linear[:, widest] >= LINEAR).nonzero()[:, 0].tolist()
        self.linear = [level, *(coarser for coarser in above if coarser > level)]
        self.level, self.sigma, self.since = level, self.sigma * PROBES[widest], 0
        radii = self.radii if len(self.radii) == len(levels) else [0.0] * len(levels)
        self.radii = [max(radius, 3 * self.sigma) for radius in radii]
        fitting = ((scales < 1.1 * self.sigma) & (scales > 0.2 * self.sigma)).repeat(2)
        self.remember(x[fitting], y[fitting])

    def remember(self, x: Tensor, y: Tensor) -> None:
        """Take steps x (n, dim) from θ and responses y (n, pixels) into memory."""
        rows = min(ROWS, max(64, MEMORY // (self.space.dim + len(self.base))))
        weight = torch.cat([self.weight, x.new_ones(len(x))])[-rows:]
        kept = weight > FORGOTTEN
        self.weight = weight[kept]
        self.x = torch.cat([self.x, x])[-rows:][kept]
        self.y = torch.cat([self.y, y])[-rows:][kept]

    def fit(self, criterion: Criterion) -> None:
        """Fit J to the memory and plan a step: at the finest level that promises something."""
        share = self.weight / self.weight.sum()
        scale = self.weight.sqrt() / self.x.square().mean(1).clamp_min(1e-30).sqrt()  # all steps alike: of rms 1
        x = (self.x - share @ self.x) * scale[:, None]
        y = (self.y - share @ self.y) * scale[:, None]
        mean = share / scale
        if self.entries:
            search = self.moved or len(x) < self.searched or len(x) >= 1.25 * self.searched
            samples = float(1 / share.square().sum())
            sparse = sparse_fit(x, y, samples, self.support, self.alpha, self.entries, self.factors, search)
            if search:
                self.searched, self.moved = len(x), False
                self.support = union(sparse.index, self.latest, 2 * self.entries)
                self.latest = sparse.index
        else:
            sparse = Sparse.none(y)
        promises: dict[int, float] = {}
        saturated = float(self.weight.sum()) >= 2 * self.space.dim  # more renders would hardly tell more
        for level in self.linear:
            self._regress(x, y, mean / mean.norm(), sparse, level)
            promises[level] = self.plan(criterion, LEAST)
            if self.phase == "trial" or not saturated:
                return
        best = max(promises, key=lambda level: promises[level])
        if saturated and promises[best] > NEXT:
            self._regress(x, y, mean / mean.norm(), sparse, best)
            self.plan(criterion, NEXT)

    def _regress(self, x: Tensor, y: Tensor, mean: Tensor, sparse: Sparse, level: int) -> None:
        span = Span(x, y, mean, sparse, self.levels, level)
        self.level, self.model, self.r2 = level, vars(Model.of(span)), span.r2

    def plan(self, criterion: Criterion, least: float) -> float:
        """Find a step; try it if it promises `least` of the objective and enough is known, else measure.

        Returns what it promises.
        """
        model, objective = Model(**self.model), self.levels.objective(criterion, self.level, self.wanted)
        with torch.enable_grad():
            at = self.base[None].detach().requires_grad_(True)
            value = objective(at)
            unit = abs(float(value.detach())) or 1.0
            (slope,) = torch.autograd.grad(value.sum() / unit, at, create_graph=True)

            def curved(v: Tensor) -> Tensor:
                """Return ∂²C/∂P² v."""
                return torch.autograd.grad(slope, at, v[None], retain_graph=True)[0][0]

            curvature = curved(torch.ones_like(self.base)).clamp_min(0)  # the diagonal, of separable criteria
            curvature = curvature * self.levels.averaged(self.level)

            def product(v: Tensor) -> Tensor:
                return model.transposed_times(curved(model.times(v))) + model.damping(v, curvature)

            gradient = model.transposed_times(slope[0].detach())
            self.step = steihaug(gradient, product, self.radii[self.level] * math.sqrt(self.space.dim), CG_STEPS)
            promise = -float(gradient @ self.step + 0.5 * self.step @ product(self.step))
        self.gradient, self.value, self.promise = unit * gradient, float(value.detach()), promise
        self.expected, self.variance = model.times(self.step), model.prediction_variance(self.step)
        known = promise > SURE or float(self.weight.sum()) >= self.need
        if promise > least and known:
            self.phase = "trial"
        else:
            self.phase = "probe" if self.since >= PROBED and len(self.levels) > 1 else "measure"
        return promise

    def judge(self, z: Tensor, picture: Tensor, criterion: Criterion) -> None:
        """Take the step to z (dim,) or not, and learn from its picture (pixels,)."""
        with torch.no_grad():
            value = float(self.levels.objective(criterion, self.level, self.wanted)(picture[None])[0])
        gained = (self.value - value) / (abs(self.value) or 1.0)
        length = float((z - self.theta).square().mean().sqrt())
        if not gained > 0:
            self.radii[self.level] = 0.3 * length
            self.failed += 1
            self.plan(criterion, NEXT if self.failed < RETRIES else math.inf)
            return
        error, self.failed = self.rescale(picture - self.base), 0
        known, most = float(self.weight.sum()), ROWS / 2
        ratio = gained / max(self.promise, 1e-30)
        if error > SURPRISED:
            self.need = min(1.5 * max(self.need, known), most)
        elif ratio > TRUSTED:
            self.need *= 0.7
        self.weight = self.weight / (1 + FORGETTING * error)
        self.theta, self.base, self.moved = z.clone(), picture.clone(), True
        if ratio > TRUSTED:
            self.radii[self.level] = max(self.radii[self.level], 3 * length)
        elif ratio < DISTRUSTED:
            self.radii[self.level] = 0.5 * length
        further = ratio > DISTRUSTED and gained > NEXT
        self.plan(criterion, NEXT if further else math.inf)

    def rescale(self, answer: Tensor) -> float:
        """Scale each pixel's row of J to the answer (pixels,) of the picture; return the error that is left."""
        expected, scale = self.expected, float(self.expected.square().sum().clamp_min(1e-30))
        if float((answer - expected).square().sum()) < SURPRISED * scale:
            certain = expected / (expected.square() + self.variance).clamp_min(1e-30)
            gain = (1 + certain * (answer - expected)).clamp(0.25, 4)
            self.model = vars(Model(**self.model).scaled(gain))
            self.y = self.y * gain
            expected = gain * expected
        blur, level = self.levels.blur, self.level
        left = blur(answer - expected, level).square().sum()
        return float(left / blur(self.expected, level).square().sum().clamp_min(1e-30))
