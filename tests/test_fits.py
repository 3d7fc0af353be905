"""The one pass over a network's first layer equals autograd and Adam, whatever the blocks, and can be interrupted."""

from __future__ import annotations

import io

import pytest
import torch

from methods import _fits
from methods._fits import Fit, OnePass, fit_for
from methods._surrogates import build, layout

DIM = 70


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


@pytest.mark.parametrize("block", [1, 128, 128 * 100, 10**9])
@pytest.mark.parametrize("dim", [2, DIM])
def test_one_pass_equals_autograd_and_adam(monkeypatch, block, dim):
    """In double precision, so that Adam's division by tiny moments does not blow rounding up."""
    monkeypatch.setattr(_fits, "BLOCK", block)
    plain, _ = fitted(Fit, dtype=torch.float64, dim=dim)
    fused, _ = fitted(OnePass, dtype=torch.float64, dim=dim)
    start = network(dim, torch.float64)
    for mine, theirs, before in zip(fused.parameters(), plain.parameters(), start.parameters(), strict=True):
        assert float((theirs - before).abs().max()) > 1e-3, "nothing was learned"
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-9)


def test_predictions_agree_in_single_precision():
    plain, fused = fitted(Fit)[0], fitted(OnePass)[0]
    (samples, _) = batch(6)[-1]
    with torch.no_grad():
        expected, found = (network(network.features(samples)) for network in (plain, fused))
    assert torch.allclose(found, expected, atol=1e-5)


def test_steps_are_counted():
    assert fitted(Fit, 3)[1].steps == fitted(OnePass, 3)[1].steps == 15


@pytest.mark.parametrize("kind", [Fit, OnePass])
def test_interrupted_equals_whole(kind):
    whole, fit = fitted(kind)
    file = io.BytesIO()
    torch.save((whole.state_dict(), fit.state_dict()), file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
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
    assert isinstance(fit_for(surrogate, 1e-3), expected)


def test_no_gradient_of_the_first_layers_size_is_kept():
    surrogate, _ = fitted(OnePass)
    assert surrogate.first.grad is None
