"""Few dimensions: whole sweeps of differences, a quasi-Newton line search, and wide jumps where that ends."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WIDEST = 16.0  # natural steps: the longest difference that a plateau can ask for
NEWTON, SLOPE = (0.25, 1.0, 4.0), (1.0, 3.0)  # trial lengths, in quasi-Newton steps and in difference steps
STIFFEST = 1e-7  # least curvature, relative to the largest
ROUNDING = 3e-7  # relative error of a loss of single precision, with some reserve
FINEST = 1e-6  # shortest difference, relative to the point: what single precision resolves


class SmallSweep:
    """A point θ, the loss there, and how to find a lower one with dim + 7 evaluations.

    First all dim directions of a random orthonormal basis, each one-sided over h: a gradient and dim trial points.
    Then the lengths above along BFGS's step and along the gradient. The lowest of all is the next θ. h follows the
    length of a success and falls to a third without one; where nothing differs it grows by half, and where it cannot
    fall or nothing is left to see it is drawn anew, log-uniform in 1 … 16, so that another basin can be found.
    Losses are compared within one batch plus what the same point's loss changed by between batches (noise).

    Source: BFGS as in Nocedal & Wright 2006, eq. 6.19; the rest is ours.
    """

    def __init__(self, start: Tensor, generator: torch.Generator, h: float) -> None:
        self.generator = generator
        self.theta = start.clone()  # (dim,)
        self.h = h
        self.shrunk = False  # whether the last change of h was a fall
        self.noise = 0.0  # in the loss, between batches
        self.basis = start.new_zeros(0)  # (dim, dim) rows of root mean square 1, while a sweep is out
        self.trials = start.new_zeros(0)  # (m, dim) while a line search is out
        self.level = 0.0  # loss at θ, as the sweep saw it
        self.found, self.low = start.clone(), math.inf  # the sweep's lowest point
        self.forget()

    def forget(self) -> None:
        """Start BFGS anew."""
        dim = len(self.theta)
        self.hessian = torch.eye(dim, dtype=torch.float64, device=self.theta.device)
        self.unit = 0.0  # of the gradient: a power of two near the first slopes, so that nothing overflows
        self.scaled = False  # whether the Hessian knows a curvature
        self.before = self.hessian.new_zeros(0)  # (dim,) where the last gradient was taken
        self.gradient = self.hessian.new_zeros(dim)

    def restart(self, theta: Tensor) -> None:
        """Begin a sweep at θ (dim,), without BFGS's memory."""
        self.theta, self.found, self.low = theta.clone(), theta.clone(), math.inf
        self.basis, self.trials = self.basis[:0], self.trials[:0]
        self.forget()

    def state_dict(self) -> dict[str, object]:
        """Return all but the generator, which its owner keeps."""
        return {key: v.clone() if isinstance(v, Tensor) else v for key, v in vars(self).items() if key != "generator"}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Restore what `state_dict` gave."""
        for key, value in state.items():
            setattr(self, key, value.to(self.theta.device) if isinstance(value, Tensor) else value)

    def ask(self) -> Tensor:
        """Return θ with a sweep around it, or with a line search from it: (m, dim)."""
        if len(self.trials):
            return torch.cat([self.theta[None], self.trials])
        dim, device, dtype = len(self.theta), self.theta.device, self.theta.dtype
        normal = torch.randn(dim, dim, generator=self.generator, device=device, dtype=dtype)
        self.basis = torch.linalg.qr(normal)[0].T * math.sqrt(dim) * normal[0, 0].sign()  # in 1-D the sign is the draw
        return self.theta + torch.cat([self.basis.new_zeros(1, dim), self.h * self.basis])

    def tell(self, z: Tensor, loss: Tensor) -> None:
        """Take in the losses (m,) of the last `ask`, z (m, dim) as evaluated."""
        loss = loss.double()
        if len(self.trials):
            self._line(z, loss)
        else:
            self._sweep(z, loss)

    def _sweep(self, z: Tensor, loss: Tensor) -> None:
        self.level, dim = float(loss[0]), len(self.theta)
        rise = loss[1:] - loss[0]
        if not bool(rise.any()):
            self._flat()
            return
        best = int(loss.argmin())
        self.found, self.low = z[best].clone(), float(loss[best])
        slopes, basis = rise / self.h, self.basis.double()
        if not self.unit:
            self.unit = 2.0 ** math.frexp(float(slopes.abs().max()))[1]
        slopes = slopes / self.unit
        if self.scaled:
            slopes = slopes - self.h / 2 * ((basis @ self.hessian) * basis).sum(1)  # the known parabola, ½ h uᵀBu
        gradient = slopes @ basis / dim
        self._learn(gradient)
        plain = -gradient * (self.h / max(float(gradient.square().mean().sqrt()), 1e-300))
        newton = plain
        if self.scaled:
            bends, axes = torch.linalg.eigh(self.hessian)
            newton = -axes @ (axes.T @ gradient / bends.clamp_min(float(bends[-1]) * STIFFEST))
        size, reach = float(newton.square().mean().sqrt()), 10 * max(self.h, 0.1)
        newton = newton * min(1.0, reach / max(size, 1e-300))
        steps = [length * newton for length in NEWTON] + [length * plain for length in SLOPE]
        self.trials = self.theta + torch.stack(steps).to(z)

    def _learn(self, gradient: Tensor) -> None:
        """Update the Hessian with the change of the gradient (dim,)."""
        here = self.theta.double()
        if len(self.before):
            step, change = here - self.before, gradient - self.gradient
            along = float(step @ change)
            if along > 1e-6 * float(step.norm() * change.norm()) > 0:
                if not self.scaled:
                    self.hessian *= float(change @ change) / along
                    self.scaled = True
                bent = self.hessian @ step
                self.hessian += change[:, None] * change / along - bent[:, None] * bent / (step @ bent)
        self.before, self.gradient = here, gradient

    def _line(self, z: Tensor, loss: Tensor) -> None:
        here = float(loss[0])
        self.noise = max(0.9 * self.noise, abs(here - self.level))
        best = int(loss.argmin())
        low, place = float(loss[best]) - here, z[best]
        if self.low - self.level < low:
            low, place, best = self.low - self.level, self.found, -1
        self.trials = self.theta.new_zeros(0)
        if low < -2 * self.noise:
            moved = float((place - self.theta).square().mean().sqrt())
            curved = 1 <= best <= len(NEWTON) and self.scaled
            self.h = min(WIDEST, max(self.h / 100 if curved else self.h / 2, 0.01 * moved if curved else moved))
            if self.scaled:  # where rounding and curvature do equal harm
                bend = self.unit * float(self.hessian.trace())
                self.h = max(self.h, min(1.0, math.sqrt(ROUNDING * abs(here + low) / bend)))
            self.theta, self.shrunk = place.clone(), False
            return
        self.h, self.shrunk = self.h / 3, True
        if self.h < FINEST * float(self.theta.square().mean().sqrt()):
            self._jump()

    def _flat(self) -> None:
        """Nothing differs: widen, or, where it was wider before, look for another basin."""
        self.h *= 1.5
        if self.shrunk or self.h > WIDEST:
            self._jump()

    def _jump(self) -> None:
        draw = torch.rand(1, generator=self.generator, device=self.theta.device)
        self.h, self.shrunk = WIDEST ** float(draw), False
        self.forget()
