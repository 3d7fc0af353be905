"""One pass over a network's first layer, compiled or not, equals autograd and Adam, and can be interrupted."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from methods import _fits
from methods._fits import Fit, Fused, OnePass, fit_for
from methods._surrogates import build, layout

DIM = 70
ROOT = Path(__file__).resolve().parent.parent


def network(dim=DIM, dtype=torch.float32):
    return build("neural", torch.zeros(dim, dtype=dtype), *layout(dim, None, None, None), 1 / 40, torch.Generator())


def batch(count, dim=DIM, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(6, dim, generator=generator).to(dtype), torch.rand(6, generator=generator).to(dtype))
        for _ in range(count)
    ]


def fitted(kind, steps=10, dtype=torch.float32, dim=DIM):
    surrogate = network(dim, dtype)
    fit = kind(surrogate, 1e-3)
    for samples, losses in batch(5, dim, dtype):
        fit.fit(surrogate.features(samples), losses, steps)
    return surrogate, fit


def stored(surrogate, fit):
    file = io.BytesIO()
    torch.save((surrogate.state_dict(), fit.state_dict()), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def equal_in_double_precision(kind, dim):
    """In double precision, so that Adam's division by tiny moments does not blow rounding up."""
    plain, _ = fitted(Fit, dtype=torch.float64, dim=dim)
    fused, _ = fitted(kind, dtype=torch.float64, dim=dim)
    start = network(dim, torch.float64)
    for mine, theirs, before in zip(fused.parameters(), plain.parameters(), start.parameters(), strict=True):
        assert float((theirs - before).detach().abs().max()) > 1e-3, "nothing was learned"
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("block", [1, 128, 128 * 100, 10**9])
@pytest.mark.parametrize("dim", [2, DIM])
def test_one_pass_equals_autograd_and_adam(monkeypatch, block, dim):
    monkeypatch.setattr(_fits, "BLOCK", block)
    equal_in_double_precision(OnePass, dim)


@pytest.mark.parametrize("chunk", [1, 6, 8, 10**9])  # rows are taken by fours, the rest one by one
@pytest.mark.parametrize("dim", [1, 2, DIM])
def test_compiled_loop_equals_autograd_and_adam(monkeypatch, chunk, dim):
    monkeypatch.setattr(_fits, "CHUNK", chunk)
    equal_in_double_precision(Fused, dim)


@pytest.mark.parametrize("kind", [OnePass, Fused])
def test_predictions_agree_in_single_precision(kind):
    plain, fused = fitted(Fit)[0], fitted(kind)[0]
    (samples, _) = batch(6)[-1]
    with torch.no_grad():
        expected, found = (network(network.features(samples)) for network in (plain, fused))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(monkeypatch, threads):
    monkeypatch.setattr(_fits, "CHUNK", 100)
    alone, _ = fitted(Fused)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    together, fit = fitted(Fused)
    assert len(fit.chunks) > 3
    for mine, other in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_compiled_loop_goes_on_where_the_other_was_stopped():
    """Their states are one: a run that was begun without numba's loop can be finished with it."""
    double = {"dtype": torch.float64}
    for kind, other in ((OnePass, Fused), (Fused, OnePass)):
        (whole, fit), (resumed, again) = fitted(kind, **double), fitted(other, 1, **double)
        weights, state = stored(whole, fit)
        resumed.load_state_dict(weights)
        again.load_state_dict(state)
        samples, losses = batch(6, **double)[-1]
        fit.fit(whole.features(samples), losses, 3)
        again.fit(resumed.features(samples), losses, 3)
        for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
            assert torch.allclose(mine, theirs, rtol=0, atol=1e-9)


def test_losses_that_are_not_finite_stay_so():
    surrogate, fit = fitted(Fused, 1)
    (samples, losses) = batch(1)[0]
    losses[0] = float("nan")
    fit.fit(surrogate.features(samples), losses, 1)
    assert torch.isnan(surrogate.first).all()


def test_steps_are_counted():
    assert fitted(Fit, 3)[1].steps == fitted(OnePass, 3)[1].steps == fitted(Fused, 3)[1].steps == 15


@pytest.mark.parametrize("kind", [Fit, OnePass, Fused])
def test_interrupted_equals_whole(kind):
    whole, fit = fitted(kind)
    weights, state = stored(whole, fit)
    resumed, again = fitted(kind, 1)  # something to overwrite
    resumed.load_state_dict(weights)
    again.load_state_dict(state)
    for samples, losses in batch(3):
        fit.fit(whole.features(samples), losses, 2)
        again.fit(resumed.features(samples), losses, 2)
    for mine, theirs in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("kind", "expected"), [("neural", OnePass), ("quadratic", Fit), ("linear", Fit)])
def test_what_fits_what(kind, expected):
    surrogate = build(kind, torch.zeros(DIM), *layout(DIM, None, None, None), 1 / 40, torch.Generator())
    assert type(fit_for(surrogate, 1e-3)) is expected


@pytest.mark.parametrize(
    ("width", "dtype", "expected"),
    [
        (128, torch.float32, Fused),
        (64, torch.float32, Fused),
        (100, torch.float32, OnePass),
        (128, torch.float64, OnePass),
    ],
)
def test_large_networks_take_the_compiled_loop(width, dtype, expected):
    dim = 2**20 // 13 // 64 + 1
    surrogate = build("neural", torch.zeros(dim, dtype=dtype), 2, width, 6, 1 / 40, torch.Generator())
    assert type(fit_for(surrogate, 1e-3)) is expected


def test_small_networks_do_not_wait_for_numba():
    """In a process of its own: this one may have imported it."""
    program = (
        "import sys, torch\n"
        "from methods.base import Evaluation, Space\n"
        "from methods.zerograds import Zerograds\n"
        "method = Zerograds(Space(70, torch.zeros(70), None, None, 64, 1000), 0)\n"
        "method.tell(method.ask(), Evaluation(torch.rand(20)))\n"
        "assert method.fitter.steps == 3\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_without_a_folder_for_its_cache_the_loop_is_compiled_anew():
    """In a process in which numba knows of no folder that it may write."""
    program = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import numpy as np\n"
        "from methods._fused import sweep\n"
        "weight, mean, square = (np.zeros((4, 64), np.float32) for _ in range(3))\n"
        "features, slope = np.ones((4, 2), np.float32), np.ones((2, 64), np.float32)\n"
        "product = np.zeros((2, 64), np.float32)\n"
        "numbers = tuple(map(np.float32, (1.0, 1.0, 0.1, 0.001, 1e-8)))\n"
        "sweep(weight, mean, square, features, slope, product, True, numbers)\n"
        "assert (weight < 0).all() and np.allclose(product, 4 * weight[0])\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_no_gradient_of_the_first_layers_size_is_kept():
    surrogate, _ = fitted(OnePass)
    assert surrogate.first.grad is None
