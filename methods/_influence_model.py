"""How a picture answers small steps: J = S + RᵀK⁻¹X, sparse plus what the renders' span says about the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from methods._influence_pyramid import Pyramid
from methods._influence_sparse import Sparse

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # of the mean eigenvalue of K
TRUSTED, DISTRUSTED = 0.7, 0.3  # of the promised decrease
SURPRISED = 0.5  # error of the predicted picture beyond which its pixels teach nothing, and more has to be known
LEAST_GAIN, MOST_GAIN = 0.25, 4.0  # of a pixel's row by one answer
LEAST_CAUTION = 1e-6
RANK = 1e-7  # of the largest eigenvalue of K: below is zero


def standardised(x: Tensor, y: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    """Return rows x (n, dim) and y (n, pixels) centred, weighted and scaled so that all steps have an rms of 1.

    Third the unit vector (n,) that they are orthogonal to, for centring; last what n weights are worth in equal ones.
    """
    share = weight / weight.sum()
    scale = (weight.sqrt() / x.square().mean(1).clamp_min(1e-30).sqrt())[:, None]
    mean = share / scale[:, 0]
    samples = float(1 / share.square().sum())
    return (x - share @ x) * scale, (y - share @ y) * scale, mean / mean.norm(), samples


class Span:
    """Ridge regression of what the sparse part leaves, R = Y − X Sᵀ, on the steps X themselves, in Gram matrices.

    The ridge is that of the least generalised cross-validation (Golub, Heath & Wahba 1979) of pictures as blurred at
    a level of the pyramid; `r2` is the whole of J's there, leaving out one row at a time.
    """

    def __init__(self, x: Tensor, y: Tensor, mean: Tensor, sparse: Sparse, pyramid: Pyramid, level: int) -> None:
        """Take steps x (n, dim) and responses y (n, pixels), weighted and centred: meanᵀ x = 0, mean (n,) of norm 1."""
        self.x, self.sparse = x, sparse
        self.rest = y - sparse.times(x)
        gram = (x @ x.T).double()
        mean = mean.double()
        values, vectors = torch.linalg.eigh(gram + 10 * gram.trace() * torch.outer(mean, mean))
        self.values, self.vectors = values[:-1].clamp_min(0), vectors[:, :-1]  # the last one is the mean
        blurred = pyramid.blur(self.rest, level)
        gram = self.vectors.T @ (blurred @ blurred.T).double() @ self.vectors
        scale = float(self.values.mean()) or 1.0
        scores = []
        for share in RIDGES:
            shrunk = 1 / (self.values + share * scale)
            scores.append(float((shrunk.square() * gram.diagonal()).sum() / shrunk.sum() ** 2))
        self.ridge = scale * RIDGES[scores.index(min(scores))]
        turned = self.vectors / (self.values + self.ridge)
        left_out = ((turned @ gram) * turned).sum(1) / (self.vectors * turned).sum(1).square()
        total = pyramid.blur(y, level).square().sum().double()
        self.r2 = 1 - float(left_out.sum() / total.clamp_min(1e-30))


@dataclass(frozen=True)
class Influence:
    """J at one level of the pyramid, as products: S (pixels, k), X (n, dim), K⁻¹R (n, pixels) and K⁻¹ (n, n)."""

    index: Tensor
    value: Tensor
    variance: Tensor
    x: Tensor
    weights: Tensor
    inverse: Tensor
    doubt: Tensor  # (pixels,) variance of a slope that no render has told about
    noise: Tensor  # (pixels,) variance of what a step of 1 (rms) adds beside its linear answer
    trust: float = 1.0  # in what the span says, 0 … 1
    caution: float = 1.0  # how much of the doubt steps have borne out

    @classmethod
    def of(cls, span: Span) -> Influence:
        shrunk = 1 / (span.values + span.ridge)
        turned = span.vectors.T @ span.rest.double()
        seen = shrunk * (span.values > RANK * span.values.max())  # the rest is no step at all, but rounding
        inverse = ((span.vectors * seen) @ span.vectors.T).to(span.x)
        weights = (span.vectors @ (turned * seen[:, None])).to(span.x)
        doubt = (turned.square() * seen[:, None]).sum(0) / (seen > 0).sum()
        noise = doubt * span.ridge
        if bool((seen == 0).any()):  # more rows than directions: what they leave is seen itself
            noise = turned[seen == 0].square().mean(0)
        doubt, noise = doubt.to(span.x), noise.to(span.x)
        sparse = span.sparse
        return cls(sparse.index, sparse.value, sparse.variance, span.x, weights, inverse, doubt, noise)

    @property
    def sparse(self) -> Sparse:
        return Sparse(self.index, self.value, self.variance)

    def times(self, v: Tensor) -> Tensor:
        """Return J v (pixels,)."""
        return self.sparse.times(v) + self.trust * self.span_times(v)

    def span_times(self, v: Tensor) -> Tensor:
        """Return RᵀK⁻¹X v (pixels,): what the span alone says, trusted wholly."""
        return (self.x @ v) @ self.weights

    def transposed_times(self, c: Tensor) -> Tensor:
        """Return Jᵀ c (dim,)."""
        return self.sparse.transposed_times(c, self.x.shape[1]) + self.trust * (self.x.T @ (self.weights @ c))

    def _unknown(self, v: Tensor) -> Tensor:
        return v - self.trust * (self.x.T @ (self.inverse @ (self.x @ v)))

    def normal(self, curved: Callable[[Tensor], Tensor], curvature: Tensor) -> Callable[[Tensor], Tensor]:
        """Return v ↦ E[Jᵀ C″ J] v (dim,), for products `curved` with C″ and its diagonal `curvature` (pixels,).

        JᵀC″J of the mean, and ½ ∂/∂v of E[Σ curvature_p ((J − EJ) v)_p²]: what is not known about J damps.
        """
        dim = self.x.shape[1]
        unseen, unsure = self.caution * (curvature @ self.doubt), self.sparse.doubt(curvature, dim)

        def product(v: Tensor) -> Tensor:
            seen = self.x @ v
            slope = curved(self.sparse.times(v) + self.trust * (seen @ self.weights))
            back = self.weights @ slope - unseen * (self.inverse @ seen)
            return self.sparse.transposed_times(slope, dim) + self.trust * (self.x.T @ back) + (unseen + unsure) * v

        return product

    def prediction_variance(self, v: Tensor) -> Tensor:
        """Return the variance of the picture's answer to a step v, (pixels,)."""
        sparse = (v[self.index.clamp_min(0)].square() * self.variance).sum(1)
        return sparse + self.caution * self.doubt * (v @ self._unknown(v)).clamp_min(0) + self.noise * v.square().mean()

    def calibrated(self, step: Tensor, answer: Tensor, ratio: float, pyramid: Pyramid, level: int) -> Influence:
        """Return this as far as the picture's answer (pixels,) to a step (dim,) bore it out.

        The span is trusted by the part of what it said that came true, ⟨said, came⟩/‖said‖², as seen at the level. The
        doubt follows the error of the prediction over its feared variance, up where it was larger, down only after a
        step that kept its promise (`ratio` of the actual over the predicted decrease): Levenberg–Marquardt.
        """
        said = pyramid.blur(self.span_times(step), level)
        came = pyramid.blur(answer - self.sparse.times(step), level)
        weight = float(said.square().sum())
        trust = self.trust
        if weight > 1e-6 * float(came.square().sum()):
            trust = min(1.0, max(0.0, float(said @ came) / weight))
        wrong = float(pyramid.blur(answer - self.times(step), level).square().sum())
        feared = float(self.prediction_variance(step).sum()) * pyramid.averaged(level)
        surprise, caution = wrong / max(feared, 1e-30), self.caution
        if ratio > TRUSTED or surprise > 1:
            caution *= min(10.0, max(0.1, surprise))
        elif ratio < DISTRUSTED:
            caution *= 3
        return replace(self, trust=trust, caution=min(1.0, max(LEAST_CAUTION, caution)))

    def answered(self, step: Tensor, answer: Tensor, pyramid: Pyramid, level: int) -> tuple[Tensor | None, float]:
        """Return by what the answer (pixels,) to a step scales each pixel's row, and the error that is left.

        The gain (pixels,) is a secant per pixel, drawn to 1 by the prediction's variance: what saturation, tone curves
        and exposure do. None where the picture was predicted too badly to tell.
        """
        expected = said = self.times(step)
        gain = None
        if float((answer - expected).square().sum()) < SURPRISED * float(expected.square().sum().clamp_min(1e-30)):
            certain = expected / (expected.square() + self.prediction_variance(step)).clamp_min(1e-30)
            gain = (1 + certain * (answer - expected)).clamp(LEAST_GAIN, MOST_GAIN)
            said = gain * expected
        left = pyramid.blur(answer - said, level).square().sum()
        return gain, float(left / pyramid.blur(expected, level).square().sum().clamp_min(1e-30))

    def scaled(self, gain: Tensor) -> Influence:
        """Return this with pixel p's row multiplied by gain_p."""
        square = gain.square()
        value, variance = self.value * gain[:, None], self.variance * square[:, None]
        weights = self.weights * gain
        doubt, noise = self.doubt * square, self.noise * square
        return replace(self, value=value, variance=variance, weights=weights, doubt=doubt, noise=noise)
