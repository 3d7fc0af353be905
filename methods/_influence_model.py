"""How a picture answers small steps: J = S + RᵀK⁻¹X, sparse plus what the renders' span says about the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods._influence_pyramid import Pyramid
from methods._influence_sparse import Sparse

RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)  # of the mean eigenvalue of K
RANK = 1e-7  # of the largest eigenvalue of K: below is zero


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
        return self.sparse.times(v) + (self.x @ v) @ self.weights

    def transposed_times(self, c: Tensor) -> Tensor:
        """Return Jᵀ c (dim,)."""
        return self.sparse.transposed_times(c, self.x.shape[1]) + self.x.T @ (self.weights @ c)

    def _unknown(self, v: Tensor) -> Tensor:
        return v - self.x.T @ (self.inverse @ (self.x @ v))

    def damping(self, v: Tensor, curvature: Tensor) -> Tensor:
        """Return ½ ∂/∂v of E[Σ curvature_p ((J − EJ) v)_p²]: what is not known about J costs, (dim,)."""
        return (curvature @ self.doubt) * self._unknown(v) + self.sparse.doubt(curvature, len(v)) * v

    def prediction_variance(self, v: Tensor) -> Tensor:
        """Return the variance of the picture's answer to a step v, (pixels,)."""
        sparse = (v[self.index.clamp_min(0)].square() * self.variance).sum(1)
        return sparse + self.doubt * (v @ self._unknown(v)).clamp_min(0) + self.noise * v.square().mean()

    def scaled(self, gain: Tensor) -> Influence:
        """Return this with pixel p's row multiplied by gain_p."""
        square = gain.square()
        value, variance = self.value * gain[:, None], self.variance * square[:, None]
        weights = self.weights * gain
        return Influence(
            self.index, value, variance, self.x, weights, self.inverse, self.doubt * square, self.noise * square
        )
