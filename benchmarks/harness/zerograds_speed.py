"""How close is an iteration of ZeroGrads to what the machine allows? `python -m benchmarks.harness.zerograds_speed`.

Times iterations without the task, in turns in one process and on the same threads: ours; the same algorithm written
plainly with autograd; and two bounds measured in the same turns. Both ways have to predict the same after one
iteration, which is checked. Compare ratios, not milliseconds: other work on the machine slows everything down.

* memory: the bytes that must be moved, over the bandwidth of reading and writing three arrays of the weights' size in
  place. A step on φ reads and writes the first weights W and two moments (6 numbers per weight); the first product of
  an iteration reads W; a step on θ reads W twice, forwards and backwards.
* arithmetic: as many steps of our own fit on a block of W that stays in the cache. More than memory where a batch is
  large, and then the lowest that can be expected.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from benchmarks.contract.errors import UsageError
from methods._fits import BLOCK
from methods._surrogates import Network
from methods.base import Evaluation, Space
from methods.zerograds import Zerograds

TOLERANCE = 1e-5  # between the ways' predictions, of their magnitude


class Plain(Zerograds):
    """The published algorithm as it reads: autograd through encoding and network, torch's Adam on all of φ."""

    def setup(self, **params: object) -> None:
        super().setup(**params)
        self.fitter = torch.optim.Adam(self.surrogate.parameters(), lr=self.fitter.lr)

    def encoded(self, z: Tensor) -> Tensor:
        """Return `Network.features` of z (n, dim), part by part."""
        x = self.surrogate.scale * z
        waves = [2.0**k * x for k in range(self.surrogate.frequencies)]
        return torch.cat([x, *(wave.sin() for wave in waves), *(wave.cos() for wave in waves)], 1)

    def slope(self) -> Tensor:
        z = self.theta.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            self.surrogate(self.encoded(z[None])).sum().backward()
        return (self.loss_scale or 1.0) * z.grad

    def fit(self, losses: Tensor) -> None:
        with torch.enable_grad():
            for _ in range(self.k_phi):
                self.fitter.zero_grad()
                mse_loss(self.surrogate(self.encoded(self.samples)), losses).backward()
                self.fitter.step()


def iterate(method: Zerograds, losses: Tensor) -> None:
    """Take one iteration on losses (2·batch,) that cost nothing."""
    method.tell(method.ask(), Evaluation(losses))


def bytes_moved(method: Zerograds) -> int:
    """Return the bytes of the first weights that one iteration has to move."""
    weight = method.surrogate.first
    numbers = 6 * method.k_phi + 1 + 2 * method.k_theta
    return numbers * weight.numel() * weight.element_size()


def seconds_of(action: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `action` takes."""
    begin = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def measure(dim: int, repeats: int, device: str = "cpu", **params: object) -> dict[str, float]:
    """Return way → median seconds of one iteration; its bytes, the bandwidth in bytes per second, and the error.

    Raises:
        RuntimeError: if both ways do not predict the same after one iteration.
    """
    space = Space(dim, torch.zeros(dim, device=device), None, None, 4096, 10**9)
    ours, plain = Zerograds(space, 0, **params), Plain(space, 0, **params)
    count = 2 * ours.batch
    generator = torch.Generator().manual_seed(0)
    losses = (1 + 0.1 * torch.randn(count, generator=generator)).to(device)
    for method in (ours, plain):
        iterate(method, losses)
    expected = plain.predict(plain.samples)
    error = float((ours.predict(plain.samples) - expected).abs().max() / expected.abs().max())
    if not error <= TOLERANCE:
        raise RuntimeError(f"ours and the plain way disagree by {error:.1e} after one iteration")
    weight = ours.surrogate.first.data
    streams = [torch.ones_like(weight) for _ in range(3)]
    arithmetic = _in_cache(ours, count)
    actions: dict[str, Callable[[], object]] = {
        "memory": lambda: [stream.mul_(1.0) for stream in streams],
        "arithmetic": arithmetic,
        "ours": lambda: iterate(ours, losses),
        "plain": lambda: iterate(plain, losses),
    }
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeats):
        for name, action in actions.items():
            taken[name].append(seconds_of(action, weight.device))
    result = {name: median(values) for name, values in taken.items()}
    bandwidth = 6 * weight.numel() * weight.element_size() / result["memory"]
    bound = bytes_moved(ours) / bandwidth
    return {**result, "memory": bound, "bytes": bytes_moved(ours), "bandwidth": bandwidth, "error": error}


def _in_cache(method: Zerograds, count: int) -> Callable[[], None]:
    """Return an action: an iteration's steps of the fit, on a block that stays in the cache."""
    weight = method.surrogate.first.data
    rows = max(1, BLOCK // weight.shape[1])
    network = Network(rows, 1, weight.shape[1], 0, 1.0, torch.Generator(device=weight.device), weight.dtype)
    fit = type(method.fitter)(network, 0.0)
    parts, slope = fit._parts(weight.new_ones(count, rows)), weight.new_zeros(count, weight.shape[1])

    def work() -> None:
        for _ in range(round(method.k_phi * len(weight) / rows)):
            fit._sweep(parts, slope, True)

    return work


def main() -> None:
    """Print milliseconds per iteration and ratios to the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=35_152, help="the digit MLP's by default")
    parser.add_argument("--batch", type=int, nargs="+", default=[2, 4, 10, 20], help="before mirroring")
    parser.add_argument("--k-theta", type=int, default=4)
    parser.add_argument("--k-phi", type=int, default=10)
    parser.add_argument("--frequencies", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    if min(given.dim, given.repeats, *given.batch) < 1:
        raise UsageError("--dim, --batch and --repeats must be positive")
    torch.set_num_threads(given.threads)
    for batch in given.batch:
        found = measure(
            given.dim,
            given.repeats,
            given.device,
            batch=batch,
            k_theta=given.k_theta,
            k_phi=given.k_phi,
            frequencies=given.frequencies,
        )
        ways = "   ".join(
            f"{name} {1e3 * found[name]:.0f} ms (×{found[name] / found['memory']:.2f})"
            for name in ("memory", "arithmetic", "ours", "plain")
        )
        traffic = f"{found['bytes'] / 1e9:.2f} GB an iteration at {found['bandwidth'] / 1e9:.1f} GB/s"
        print(f"batch {batch:>2}, {traffic}: {ways}   difference {found['error']:.0e}")


if __name__ == "__main__":
    main()
