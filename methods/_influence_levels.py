"""Which level of the pyramid, and which bandwidth, a linear prediction of the picture can live with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods._influence_pyramid import Pyramid, linear_share

PROBES = (3.0, 1.0, 0.3, 0.1, 0.0)  # bandwidths tried, in σ; none: how renders of one θ differ
LINEAR = 0.5  # of a level's answer, noise apart, has to be linear
CURVED = 1.25  # times the least share that is not linear is admitted for a wider bandwidth
STRAIGHT = 1e-3  # a share that is not linear and need not be less


@dataclass(frozen=True)
class Choice:
    """The finest level that is linear enough, its bandwidth, and what may be coarser."""

    scale: int  # number of the bandwidth among those probed, the widest first
    linear: list[int]  # levels that are linear enough there, finest first
    curved: float  # share of the answers that is not linear, noise included
    share: float  # of the level's answers that is linear there, noise apart


def probed(sigma: float, most: int, like: Tensor) -> Tensor:
    """Return the bandwidths (m,) of the pairs to be rendered, at most `most` renders, two pairs each if they fit."""
    return sigma * like.new_tensor(PROBES).repeat_interleave(min(2, most // (2 * len(PROBES))))


def chosen(levels: Pyramid, ahead: Tensor, behind: Tensor, scales: int) -> Choice:
    """Choose by responses (m, pixels) to steps and their opposites, m/scales each at scale after scale, the last 0.

    The level is chosen by what is linear apart from noise, which more renders average out; the bandwidth by what is
    linear with it, which favours wide ones.
    """
    shares = [
        linear_share(levels.blur(ahead, level), levels.blur(behind, level), scales) for level in range(len(levels))
    ]
    loud, quiet = (torch.stack(part) for part in zip(*shares, strict=True))
    best = quiet.amax(1)
    enough = (best >= LINEAR).nonzero()
    level = int(enough[0]) if len(enough) else int(best.argmax())
    curved = 1 - loud[level]
    admitted = curved <= max(STRAIGHT, CURVED * float(curved.min()))
    scale = int(admitted.nonzero()[0]) if best[level] > 0 else 0
    coarser = [other for other in (quiet[:, scale] >= LINEAR).nonzero()[:, 0].tolist() if other > level]
    return Choice(scale, [level, *coarser], max(STRAIGHT, float(curved[scale])), float(best[level]))
