"""Which few parameters move a pixel: sparse regression of many responses at once, by significance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SCREENED = 16  # columns looked at per pixel, besides those already known
BLOCK = 2**25  # numbers held at once while screening, and while selecting
COLLINEAR = 1e-3  # a column of which less than this share is left beside the chosen ones is not looked at
DIRECT = 2**31  # pixels × dim beyond which not every column is looked at
PLANES, NEIGHBOURS, PLANE_SEED = 3, 6, 1
RESOLVED = 1e-9  # a pixel of which no more than this share of its response is left is explained


@dataclass(frozen=True)
class Sparse:
    """S (pixels, dim) by rows: `index` (pixels, k) padded with −1, its entries `value`, their variances `variance`."""

    index: Tensor
    value: Tensor
    variance: Tensor

    @classmethod
    def none(cls, y: Tensor) -> Sparse:
        """Return S = 0 for responses y (n, pixels)."""
        zero = y.new_zeros(y.shape[1], 1)
        return cls(torch.full_like(zero, -1, dtype=torch.long), zero, zero)

    def plus(self, other: Sparse) -> Sparse:
        """Return the sum with a correction; where both have an entry its variance is the correction's."""
        own = torch.where(self.index >= 0, self.index, torch.iinfo(torch.long).max)
        new = torch.where(other.index >= 0, other.index, torch.iinfo(torch.long).max)
        index, order = torch.cat([new, own], 1).sort(dim=1, stable=True)  # the correction's first of equal ones
        value = torch.cat([other.value, self.value], 1).gather(1, order)
        variance = torch.cat([other.variance, self.variance], 1).gather(1, order)
        again = torch.zeros_like(index, dtype=torch.bool)
        again[:, 1:] = index[:, 1:] == index[:, :-1]
        value[:, :-1] += value[:, 1:] * again[:, 1:]
        nothing = again | (index == torch.iinfo(torch.long).max)
        index, value, variance = (
            index.masked_fill(nothing, -1),
            value.masked_fill(nothing, 0),
            variance.masked_fill(nothing, 0),
        )
        first = (index < 0).int().argsort(dim=1, stable=True)[:, : max(1, int((index >= 0).sum(1).max()))]
        return Sparse(*(part.gather(1, first) for part in (index, value, variance)))

    def doubted(self, share: float) -> Sparse:
        """Return the same entries after J may have changed by this share of its energy."""
        return Sparse(self.index, self.value, self.variance + share * self.value.square())

    def times(self, v: Tensor) -> Tensor:
        """Return S v for v (dim,) or (n, dim): (pixels,) or (n, pixels)."""
        if v.ndim == 1:
            return (v[self.index.clamp_min(0)] * self.value).sum(1)
        size = max(1, BLOCK // self.index.numel())
        at = self.index.clamp_min(0)
        return torch.cat([(part[:, at] * self.value).sum(2) for part in v.split(size)])

    def transposed_times(self, c: Tensor, dim: int) -> Tensor:
        """Return Sᵀ c (dim,) for c (pixels,)."""
        return _scatter(self.index, self.value * c[:, None], dim)

    def doubt(self, curvature: Tensor, dim: int) -> Tensor:
        """Return Σ_p curvature_p Var S_pj, (dim,)."""
        return _scatter(self.index, self.variance * curvature[:, None], dim)


def _scatter(index: Tensor, numbers: Tensor, dim: int) -> Tensor:
    return numbers.new_zeros(dim).index_add_(0, index.clamp_min(0).flatten(), numbers.flatten())


def shared_factors(y: Tensor, limit: float) -> Tensor:
    """Return the left singular vectors (n, r) of responses (n, pixels) that stand out of the bulk: shared by pixels.

    Those of eigenvalue > `limit` · median (over what rounding leaves of them), at most n/3: what a hidden layer, an
    exposure or a light does to all pixels at once.
    """
    values, vectors = torch.linalg.eigh((y @ y.T).double())
    positive = values[values > 1e-9 * values[-1]]
    if len(positive) < 12 or limit == 0:
        return y.new_zeros(len(y), 0)
    rank = min(int((values > limit * positive.median()).sum()), len(y) // 3)
    return vectors[:, len(y) - rank :].to(y)


def significance(freedom: Tensor, trials: int, alpha: float) -> Tensor:
    """Return the partial ρ² that noise exceeds with probability `alpha` in so many trials, for degrees of freedom."""
    return 1 - torch.exp(-2 * math.log(max(trials, 2) / alpha) / (freedom - 1).clamp_min(0.5))


def screen(x: Tensor, residual: Tensor, count: int) -> Tensor:
    """Return the `count` columns of x (n, dim) that correlate most with each column of residual (n, m): (m, count)."""
    norm = x.norm(dim=0).clamp_min(1e-20)
    chosen = []
    for part in residual.T.split(max(1, BLOCK // x.shape[1])):
        correlation = (part @ x).div_(norm).abs_()
        chosen.append(correlation.topk(min(count, x.shape[1]), dim=1, sorted=False).indices)
    return torch.cat(chosen)


def screen_by_angle(x: Tensor, residual: Tensor, count: int) -> Tensor:
    """As `screen`, for pixels that follow one parameter each: neighbours of their angle in random response planes."""
    generator = torch.Generator().manual_seed(PLANE_SEED)
    chosen = []
    for _ in range(PLANES):
        plane = torch.linalg.qr(torch.randn(len(x), 2, generator=generator))[0].to(x)
        angle, order = _angle(plane, x).sort()
        at = torch.searchsorted(angle, _angle(plane, residual))
        window = torch.arange(-(count // 2), count - count // 2, device=x.device)
        chosen.append(order[(at[:, None] + window).remainder(len(angle))])
    return torch.cat(chosen, 1)


def _angle(plane: Tensor, columns: Tensor) -> Tensor:
    """Return the angles modulo π (m,) of columns (n, m) seen in plane (n, 2)."""
    across, along = plane.T @ columns
    return torch.atan2(across, along).double().remainder(math.pi)


def union(a: Tensor, b: Tensor, most: int) -> Tensor:
    """Return the distinct entries of a (m, k) and b (m, l) per row, a's first, padded with −1: (m, ≤ most)."""
    both = torch.cat([a, b], 1)
    ranked, order = both.sort(dim=1, stable=True)
    same = torch.zeros_like(both, dtype=torch.bool)
    same[:, 1:] = ranked[:, 1:] == ranked[:, :-1]
    both = both.masked_fill(torch.zeros_like(same).scatter_(1, order, same), -1)
    both = both.gather(1, (both < 0).int().argsort(dim=1, stable=True))
    return both[:, : max(1, min(most, int((both >= 0).sum(1).max())))]


def select(x: Tensor, y: Tensor, candidates: Tensor, known: Tensor, freedom: float, alpha: float, most: int) -> Sparse:
    """Choose, for every column of y (n, m), few of its `candidates` (m, c) among the columns of x (n, dim).

    Forward selection by the sweep operator (Goodnight 1979) on the Gram matrices of the candidates; a column enters
    while its partial ρ² is significant among `dim` trials, or among as many as are `known` (m, c) where it is.
    """
    size = max(1, BLOCK // 4 // (candidates.shape[1] + 1) ** 2)
    parts = [
        _select(x, part, here, mask, freedom, alpha, most)
        for part, here, mask in zip(y.T.split(size), candidates.split(size), known.split(size), strict=True)
    ]
    width = max(part.index.shape[1] for part in parts)
    return Sparse(
        torch.cat([_pad(part.index, width, -1) for part in parts]),
        torch.cat([_pad(part.value, width, 0) for part in parts]),
        torch.cat([_pad(part.variance, width, 0) for part in parts]),
    )


def _pad(rows: Tensor, width: int, value: float) -> Tensor:
    return torch.nn.functional.pad(rows, (0, width - rows.shape[1]), value=value)


def _select(x: Tensor, y: Tensor, candidates: Tensor, known: Tensor, freedom: float, alpha: float, most: int) -> Sparse:
    m, c = candidates.shape
    columns = torch.cat([x.T[candidates], y[:, None]], 1).double()  # (m, c + 1, n)
    gram = columns @ columns.transpose(1, 2)
    scale = gram.diagonal(dim1=1, dim2=2).clamp_min(1e-30).sqrt()
    gram = gram / scale[:, :, None] / scale[:, None]
    order = candidates.argsort(dim=1, stable=True)
    ranked = candidates.gather(1, order)
    repeated = torch.zeros_like(known).scatter_(1, order[:, 1:], ranked[:, 1:] == ranked[:, :-1])
    inside, row = torch.zeros_like(known), torch.arange(m, device=x.device)
    count, growing = gram.new_zeros(m), torch.ones(m, dtype=torch.bool, device=x.device)
    trials_known = int(known.sum(1).max()) if known.numel() else 1
    for _ in range(min(most, c)):
        rest = gram[:, c, c]
        left = gram.diagonal(dim1=1, dim2=2)[:, :c]
        gain = gram[:, :c, c].square() / left.clamp_min(COLLINEAR)
        bar_new = significance(freedom - count, x.shape[1], alpha)[:, None]
        bar_known = significance(freedom - count, round(math.sqrt(trials_known * x.shape[1])), alpha)[:, None]
        significant = gain > torch.where(known, bar_known, bar_new) * rest[:, None]
        gain = gain.masked_fill(inside | repeated | (left < COLLINEAR) | ~significant, 0)
        best, j = gain.max(1)
        growing = growing & (best > 0) & (rest > RESOLVED) & (freedom - count > 2)
        at = row[growing]
        if not len(at):
            break
        gram[at] = _sweep(gram[at], j[at])
        inside[at, j[at]] = True
        count[at] += 1
    spread = gram[:, c, c].clamp_min(0) / (freedom - count).clamp_min(1)
    value = gram[:, :c, c] / scale[:, :c] * scale[:, c:] * inside
    bread = -gram.diagonal(dim1=1, dim2=2)[:, :c] * inside
    variance = spread[:, None] * bread * (scale[:, c:] / scale[:, :c]).square()
    width = max(1, int(count.max()))
    first = inside.int().argsort(dim=1, descending=True, stable=True)[:, :width]
    index = candidates.masked_fill(~inside, -1).gather(1, first)
    return Sparse(index, value.gather(1, first).to(x), variance.gather(1, first).to(x))


def _sweep(gram: Tensor, j: Tensor) -> Tensor:
    """Sweep matrices gram (m, c + 1, c + 1), each on its own column j (m,)."""
    row = torch.arange(len(j), device=j.device)
    pivot = gram[row, j, j][:, None]
    column = gram[row, :, j].clone()
    gram = gram - column[:, :, None] * (column / pivot)[:, None]
    gram[row, :, j] = column / pivot
    gram[row, j, :] = column / pivot
    gram[row, j, j] = -1 / pivot[:, 0]
    return gram


def sparse_fit(
    x: Tensor,
    y: Tensor,
    samples: float,
    known: Tensor,
    alpha: float,
    most: int,
    limit: float,
    search: bool,
    floor: Tensor,
    passes: int = 2,
) -> Sparse:
    """Return S with y ≈ x Sᵀ + shared factors, for x (n, dim) and y (n, pixels).

    `known` (pixels, k), padded with −1, is remembered support; new columns are looked for only if `search`. Pixels
    whose energy does not exceed `floor` (pixels,) are explained.
    """
    factors = shared_factors(y, limit)
    x, y = x - factors @ (factors.T @ x), y - factors @ (factors.T @ y)
    n, freedom = len(x), max(1.0, samples - factors.shape[1])
    most = max(1, min(most, int(freedom) // 3))
    energy = y.square().sum(0)
    rows = ((energy > 1e-10 * energy.max()) & (energy > floor)).nonzero()[:, 0]
    result = Sparse.none(y)
    residual = y
    for _ in range(passes if search else 1):
        if not len(rows):
            break
        old = known[rows]
        candidates, certain = old.clamp_min(0), old >= 0
        if search:
            if y.shape[1] * x.shape[1] > DIRECT:
                fresh = screen_by_angle(x, residual[:, rows], NEIGHBOURS)
            else:
                fresh = screen(x, residual[:, rows], SCREENED + min(most // 2, n // 16))
            candidates = torch.cat([torch.where(certain, candidates, fresh[:, :1]), fresh], 1)
            certain = torch.cat([certain, torch.zeros_like(fresh, dtype=torch.bool)], 1)
        elif not bool(certain.any()):
            break
        found = select(x, y[:, rows], candidates, certain, freedom, alpha, most)
        before = (result.index[rows] >= 0).sum(1)
        width = max(result.index.shape[1], found.index.shape[1])
        result = Sparse(
            _pad(result.index, width, -1).index_copy(0, rows, _pad(found.index, width, -1)),
            _pad(result.value, width, 0).index_copy(0, rows, _pad(found.value, width, 0)),
            _pad(result.variance, width, 0).index_copy(0, rows, _pad(found.variance, width, 0)),
        )
        rows = rows[(found.index >= 0).sum(1) > before]
        known = result.index
        residual = y - result.times(x)
    return result
