"""Influence: learn which parameter moves which pixel, then Gauss–Newton through the known criterion."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from methods._influence_levels import PROBES, chosen, probed
from methods._influence_memory import ROWS, remembered
from methods._influence_model import DISTRUSTED, SURPRISED, TRUSTED, Span, standardised
from methods._influence_model import Influence as Model
from methods._influence_plan import planned
from methods._influence_pyramid import Criterion, Pyramid, wanted_picture
from methods._influence_sparse import RESOLVED, Sparse, sparse_fit, union
from methods._influence_switches import FLIPPED, Switches
from methods._look import Look
from methods._ranges import AnyCount, Count, NonNegative, Positive, Share
from methods._work import Work
from methods.base import Evaluation, Method, Space, Stopped
from methods.sweep import Sweep

Phase = Literal["start", "probe", "measure", "trial", "blind"]

LEAST_ROWS = 3  # for a fit
PROBED = 256  # renders from one probe to the next, at least
FRACTION = 0.25  # of the memory's weight is the size of the next batch
LARGEST = 128  # renders in a batch
FIRST = 1.0  # radius of the first step, natural steps in every coordinate
PREDICTABLE = 0.25  # of a level's answer has to be linear, or losses are read instead
CERTAIN = 0.9  # of the objective, which a step of any length could gain: enough is known
RISING = 1.2  # d log (what it could gain) / d log (weight of the memory) above which measuring goes on
LEAST = 0.1  # of the objective a first step has to promise where more renders would tell more
SURE = 0.3  # a promise that is tried whatever the memory
POSSIBLE = 1.01  # of the objective: whoever promises more does not know the criterion's curvature
CLEAR = 0.99  # held-out R² from which more renders would hardly tell more
NEXT = 0.02  # of the objective a further step has to promise, and to have gained
MET = 1e-13  # of the criterion's first value: nothing is left
LAST = 4  # evaluations kept for steps at the end
ACCEPTED = 0.1  # of the promise has to be kept
RETRIES = 2  # shorter steps tried before measuring again
KEPT = 0.5  # error of the predicted picture up to which S is subtracted first from what is measured next


class Influence(Method):
    """Gauss–Newton on a Jacobian J of the picture that is learned from renders of random steps: ours.

    Rows x ~ N(0, σ²I) with responses y = P(θ + x) − P(θ) stay in memory from step to step. Its parts:

    * J = S + Rᵀ(K + λI)⁻¹X (`_influence_model`). S, pixels × dim, has few entries per pixel: those columns of X that
      correlate significantly with what is left of a pixel's responses after what all pixels share is taken out
      (`_influence_sparse`). The rest R = Y − XSᵀ is ridge regression in the span of the renders, K = XXᵀ.
    * Levels (`_influence_pyramid`): pictures blurred by 0 … 8 pixels. From pairs P(θ ± x), the share of a level's
      response that is odd minus the share that is even is the R² that a linear prediction could reach, free of any fit.
      The finest level that is mostly linear is worked on, at the widest bandwidth that is nearly as linear as any.
      Where it promises little although the memory holds more than 2·dim renders, coarser ones are asked. Blurred levels
      ask for the least squares to a picture that the criterion is content with; so does the finest one where the
      criterion's own curvature would promise more than everything.
    * Step (`_influence_plan`): minimise E_J[C(P(θ) + Jp)] within a radius by Steihaug's conjugate gradients, products
      with J only; what is not known about J damps. No step is taken while what it could gain still rises faster than
      the memory. The radius follows the actual over the predicted decrease. Steps go on, one render each, while they
      gain; then more is measured.
    * What a step teaches: the ratio of what a pixel did to what was predicted rescales its row of J and its responses
      in memory (a secant per pixel: what saturation, tone curves and exposure do). The span is trusted, and doubt
      damps, as far as the answer bore them out.
    * Memory: renders fade by the error e of the predicted picture, beyond what held-out renders are wrong by, over the
      share ν of their answers that is not linear, w ← w/(1 + e/ν): nearly exact ones are worth nothing once J has
      changed, loose ones are not much worse for it. S is kept beyond them and subtracted first from what is measured
      next.
    * Where every coordinate is a switch (`_influence_switches`), steps are flips: a quarter at random to measure,
      then those that lower the criterion of the predicted picture, found by flipping one after the other there.
    * Where no level of the picture is linear at any bandwidth, as on plateaus, `Sweep` goes on from θ by losses alone,
      for 256 evaluations, then for as many as there were, until a probe finds slopes.

    Assumes that pictures have rows and columns that neighbour each other, and a criterion that is free of charge and
    differentiable; nothing about the order of parameters. Columns are screened by pixels × dim correlations, in blocks;
    beyond 2³¹ by sorting angles in random planes of responses, O((pixels + dim) log dim), for pixels that follow mostly
    one parameter. Memory: (pixels + dim) · min(1024, 2²⁸/(pixels + dim)) numbers, three times while fitting, at most
    3 GiB in single precision, and 48 bytes for every entry of S.

    Prior art: Choromanski & Sindhwani 2017 (Jacobians of black boxes by compressed sensing and colouring); Curtis,
    Powell & Reid 1974; Schubert 1970 (sparse secants); localised ensemble Kalman inversion; Steihaug 1983.
    """

    kind = "second order"
    look = Look("Influence (ours)", "#9d0208", "P", emphasis=1)
    needs = "picture"
    per_coordinate = Work(launches=400, numbers=1000, kept=3000)
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
        self.switches = Switches.of(self.space)
        self.theta = self.space.start.clone()
        self.phase: Phase = "start"
        self.used, self.since, self.stepped = 0, 0, -PROBED  # evaluations, since the last probe, at the last step
        # In memory: steps (n, dim), responses (n, pixels), weights (n,); the picture at θ (pixels,).
        empty = self.theta.new_empty(0)
        self.x, self.y, self.weight, self.base = empty, empty, empty, empty
        self.shape: tuple[int, ...] = ()
        self.wanted: Tensor | None = None
        self.level, self.linear = 0, [0]  # the one worked on, and all that can be, finest first
        # Where S was not zero in the last fits (pixels, k); n at the last search for more, and whether θ moved since.
        self.support, self.latest = empty, empty
        self.searched, self.moved = 0, False
        self.model: dict[str, Any] = {}
        self.prior: dict[str, Tensor] = {}  # S as it was known when θ moved
        self.curved = 1.0  # share of the answers that is not linear, where it is measured
        self.could, self.learned = 0.0, [0.0, 0.0]  # what any step would promise; weight and that, at the last search
        self.r2 = 0.0  # held out, of the whole of J at the present level, for diagnostics
        # The planned step, what it promises, and how much memory has to weigh before the next.
        self.radii = [FIRST]  # by level
        self.step = empty
        self.value, self.promise = math.inf, 0.0
        self.first, self.left = 0.0, math.inf  # of the criterion, at the start and at θ
        self.need, self.failed = 0.0, 0
        self.blind, self.until = Sweep(self.space, self.seed), 0

    def ask(self) -> Tensor:
        theta = self.theta
        if abs(self.left) <= MET * abs(self.first):
            raise Stopped(f"the criterion is met to rounding: {self.left:.1e} of {self.first:.1e} is left")
        if self.phase == "blind":
            if self.used < self.until:
                return self.blind.ask()
            self.theta, self.phase = self.blind.incumbent(), "start"
        if self.phase == "start":
            theta = self.theta = self.switches.settled(theta) if self.switches else self.theta
            return self.theta[None].clone()
        if self.phase == "trial":
            return self.space.project(theta + self.step)[None]
        if self.phase == "probe":
            scale = probed(self.sigma, self.space.max_batch, theta)
            half = scale[:, None] * self.normal(len(scale), self.space.dim)
            return self.space.project(torch.cat([theta + half, theta - half]))
        known = float(self.weight.sum())
        wanted = min(max(self.batch, FRACTION * known, self.need - known), max(self.batch, LARGEST))
        n = max(1, min(int(wanted), self.space.max_batch, self.space.budget - self.used - LAST))
        if self.switches:
            return self.switches.drawn(theta, n, self.generator)
        return self.space.project(theta + self.sigma * self.normal(n, self.space.dim))

    def tell(self, z: Tensor, evaluation: Evaluation) -> None:
        picture, criterion = evaluation.picture, evaluation.criterion
        if picture is None or criterion is None:
            raise ValueError("influence was told losses without pictures")
        self.used += len(z)
        if self.phase == "blind":
            self.blind.tell(z, evaluation)
            return
        z = self.space.project(z)
        pictures = picture.detach().flatten(1)
        if self.phase == "trial":
            self.judge(z[0], pictures[0], criterion)
            return
        if self.phase == "start":
            self.shape, self.base = tuple(picture.shape[1:]), pictures[0].clone()
            self.x, self.y = z.new_empty(0, z.shape[1]), pictures.new_empty(0, pictures.shape[1])
            self.first = self.first or float(evaluation.loss[0])
            self.weight, self.model = self.base[:0], {}
            self.searched, self.moved, self.need = 0, True, 0.0
            self.prior = vars(Sparse.none(self.y))
            self.support = self.latest = torch.full((len(self.base), 0), -1, device=z.device)
            if len(self.levels) > 1:
                self.wanted = wanted_picture(criterion, picture[0].detach())
            self.phase = "measure" if self.switches else "probe"
            self.sigma = math.sqrt(FLIPPED) if self.switches else self.sigma
        elif self.phase == "probe":
            self.phase = "measure"
            self.choose(z - self.theta, pictures - self.base)
        else:
            self.since += len(z)
            self.remember(z - self.theta, pictures - self.base)
            self.failed = 0
            self.fit(criterion)
            if self.switches and self.r2 < PREDICTABLE and min(self.since, self.used - self.stepped) >= PROBED:
                self.go_blind()

    def incumbent(self) -> Tensor:
        """Return θ."""
        return self.blind.incumbent() if self.phase == "blind" else self.theta.clone()

    @property
    def levels(self) -> Pyramid:
        return Pyramid(self.shape, self.base, self.pyramid)

    def choose(self, x: Tensor, y: Tensor) -> None:
        """Choose level and σ by what is linear in responses y (2m, pixels) to steps x (2m, dim), ±."""
        scales = probed(self.sigma, self.space.max_batch, x)
        (ahead, behind), (forth, back) = y.unflatten(0, (2, -1)), x.unflatten(0, (2, -1))
        choice = chosen(self.levels, ahead, behind, len(PROBES))
        if choice.share < PREDICTABLE and self.used - self.stepped >= PROBED:
            self.go_blind()
            return
        self.level, self.linear, self.curved = choice.linear[0], choice.linear, choice.curved
        self.sigma, self.since, levels = self.sigma * PROBES[choice.scale], 0, self.levels
        if len(self.radii) != len(levels):
            self.radii = [FIRST] * len(levels)
        fitting = (scales < 1.1 * self.sigma) & (scales > 0.2 * self.sigma)
        self.remember((forth - back)[fitting] / 2, (ahead - behind)[fitting] / 2)

    def go_blind(self) -> None:
        """Go on from θ by losses alone."""
        self.blind.resume(self.theta)
        self.phase, self.since, self.until = "blind", 0, self.used + max(PROBED, self.used)

    def remember(self, x: Tensor, y: Tensor) -> None:
        """Take steps x (n, dim) from θ and responses y (n, pixels) into memory."""
        fresh = len(x) / (len(x) + float(self.weight.sum()))
        if "trust" in self.model:
            self.model["trust"] += fresh * (1 - self.model["trust"])
        self.radii = [max(radius, radius ** (1 - fresh) * self.sigma**fresh) for radius in self.radii]
        self.x, self.y, self.weight = remembered((self.x, self.y, self.weight), x, y)

    def fit(self, criterion: Criterion) -> None:
        """Fit J to the memory and plan a step: at the finest level that promises something."""
        if len(self.x) < LEAST_ROWS:
            self.phase = "measure"
            return
        x, y, mean, samples = standardised(self.x, self.y, self.weight)
        if self.entries:
            search = self.moved or len(x) < self.searched or len(x) >= 1.25 * self.searched
            prior = Sparse(**self.prior)
            left, floor = y - prior.times(x), RESOLVED * y.square().sum(0)
            found = sparse_fit(x, left, samples, self.support, self.alpha, self.entries, self.factors, search, floor)
            sparse = prior.plus(found)
            if search:
                self.searched, self.moved = len(x), False
                self.support = union(sparse.index, self.latest, 2 * self.entries)
                self.latest = sparse.index
        else:
            sparse = Sparse.none(y)
        before, known = self.learned, float(self.weight.sum())
        promises: dict[int, float] = {}
        saturated = known >= 2 * self.space.dim  # more renders would hardly tell more
        ending = self.space.budget - self.used <= LAST
        for level in self.linear:
            self._regress(x, y, mean, sparse, level)
            least = 0.0 if ending else NEXT if self.r2 > CLEAR else LEAST
            promises[level] = self.plan(criterion, least)
            if self.phase == "trial" and self.could < CERTAIN and not ending and known > before[0] > 0 < before[1]:
                rising = math.log(self.could / before[1]) / math.log(known / before[0])
                if rising > RISING:
                    self.phase = "measure"
            if known > 1.2 * before[0] or known < before[0]:
                self.learned = [known, self.could]
            if self.phase == "trial" or not saturated:
                return
        best = max(promises, key=lambda level: promises[level])
        if promises[best] > NEXT:
            self._regress(x, y, mean, sparse, best)
            self.plan(criterion, NEXT)

    def _regress(self, x: Tensor, y: Tensor, mean: Tensor, sparse: Sparse, level: int) -> None:
        span = Span(x, y, mean, sparse, self.levels, level)
        borne_out = {key: self.model[key] for key in ("trust", "caution") if key in self.model}
        self.level, self.r2, self.model = level, span.r2, vars(Model.of(span)) | borne_out

    def plan(self, criterion: Criterion, least: float) -> float:
        """Find a step; try it if it promises `least` and enough is known, else measure; return what it promises."""
        model, objective = Model(**self.model), self.levels.objective(criterion, self.level, self.wanted)
        radius = self.radii[self.level]
        if self.switches:
            plan = self.switches.planned(model, objective, self.base, self.theta)
        else:
            plan = planned(model, objective, self.base, radius, self.levels.averaged(self.level))
            aim = None
            if self.level == 0 and plan.could > POSSIBLE:
                aim = wanted_picture(criterion, self.base.view(self.shape))
            if aim is not None:
                toward = self.levels.objective(criterion, 0, aim, least_squares=True)
                plan = replace(planned(model, toward, self.base, radius, 1.0), value=plan.value)
        self.step, self.promise, self.could = plan.step, plan.promise, plan.could
        self.value = plan.value
        known = plan.promise > SURE or least == 0 or float(self.weight.sum()) >= self.need
        if plan.promise > min(least, NEXT) and plan.could > least and known:
            self.phase = "trial"
        else:
            probing = self.since >= PROBED and len(self.levels) > 1 and not self.switches
            self.phase = "probe" if probing else "measure"
        return plan.promise

    def judge(self, z: Tensor, picture: Tensor, criterion: Criterion) -> None:
        """Take the step to z (dim,) or not, and learn from its picture (pixels,)."""
        with torch.no_grad():
            value = float(self.levels.objective(criterion, self.level, self.wanted)(picture[None])[0])
        gained = (self.value - value) / (abs(self.value) or 1.0)
        length = float((z - self.theta).square().mean().sqrt())
        ratio = gained / max(self.promise, 1e-30)
        answer, model = picture - self.base, Model(**self.model)
        self.model = vars(model.calibrated(self.step, answer, ratio, self.levels, self.level))
        if not ratio > ACCEPTED:
            self.radii[self.level] = 0.3 * length
            self.failed += 1
            self.plan(criterion, NEXT if self.failed < RETRIES and not self.switches else math.inf)
            return
        gain, error = model.answered(self.step, answer, self.levels, self.level)
        if gain is not None:
            self.model, self.y = vars(Model(**self.model).scaled(gain)), self.y * gain
        self.failed, self.stepped = 0, self.used
        known, most = float(self.weight.sum()), ROWS / 2
        unseen = (1 - self.r2) * max(1.0, self.sigma / length) ** 2
        excess = max(0.0, error - unseen)
        if excess > SURPRISED:
            self.need = min(1.5 * max(self.need, known), most)
        elif ratio > TRUSTED:
            self.need *= 0.7
        self.weight = self.weight / (1 + excess / self.curved)
        known_entries = Model(**self.model).sparse
        self.prior = vars(known_entries.doubted(error) if error < KEPT else Sparse.none(self.y))
        self.theta, self.base, self.moved = z.clone(), picture.clone(), True
        with torch.no_grad():
            self.left = float(criterion(picture.view(1, *self.shape))[0])
        if ratio > TRUSTED:
            self.radii[self.level] = max(self.radii[self.level], 3 * length)
        elif ratio < DISTRUSTED:
            self.radii[self.level] = 0.5 * length
        further = ratio > DISTRUSTED and gained > NEXT
        self.plan(criterion, NEXT if further else math.inf)
