"""Rivals that model the loss from all trials: where they look, what they keep, when they end."""

from __future__ import annotations

import io
import math

import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from methods.base import Evaluation, Space, Stopped
from methods.gaussian_process import GaussianProcess
from methods.tree_parzen import TreeParzen

each = pytest.mark.parametrize("method_class", [TreeParzen, GaussianProcess])
TRIALS = 40


def space(dim, lower=None, upper=None):
    start = torch.linspace(-1.0, 1.0, dim)
    ends = (None if end is None else torch.full((dim,), end) for end in (lower, upper))
    return Space(dim, start, *ends, 64, 10_000)


def loss(z):
    return (z - 2.0).square().sum(1)


def advance(method, trials, factor=1.0):
    """Return the candidates of so many trials, (trials, dim)."""
    asked = []
    for _ in range(trials):
        asked.append(method.ask())
        method.tell(asked[-1], Evaluation(factor * loss(asked[-1])))
    return torch.cat(asked)


@each
def test_it_knows_more_than_uniform_search(method_class):
    """The first trials are uniform; the model's own are lower."""
    method = method_class(space(2), 1, reach=8.0)
    z = advance(method, TRIALS)
    assert torch.equal(z[0], method.space.start)
    assert float(loss(z[10:]).median()) < 0.3 * float(loss(z[1:10]).median())
    assert float(loss(method.incumbent()[None])) < 0.2 * float(loss(z[:10]).min())


def test_gaussian_process_finds_the_bottom_of_a_bowl():
    method = GaussianProcess(space(2), 1, reach=8.0, noisy=False)
    advance(method, TRIALS)
    assert float(loss(method.incumbent()[None])) < 1e-2


@each
def test_resumed_in_the_middle_of_modelling_equals_uninterrupted(method_class):
    whole = method_class(space(3), 5)
    advance(whole, 14)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = method_class(space(3), 5)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(resumed.incumbent(), whole.incumbent())
    assert torch.equal(advance(resumed, 6), advance(whole, 6))


@each
def test_unit_of_the_loss_does_not_matter(method_class):
    paths = [advance(method_class(space(2), 3), 16, factor) for factor in (1.0, 2.0**-60)]
    assert torch.equal(*paths)


@each
def test_window_is_the_reach_within_the_box(method_class):
    z = advance(method_class(space(2), 1, reach=4.0, startup=200, most=200), 200)
    assert float((z - space(2).start).abs().max()) <= 4.0
    assert float((z - space(2).start).abs().max()) > 3.5
    z = advance(method_class(space(2, -2.0, 1.5), 1, reach=4.0, startup=50), 50)
    assert float(z.min()) >= -2.0
    assert float(z.max()) <= 1.5


@each
def test_incumbent_is_the_best_trial_and_survives_what_is_no_number(method_class):
    method = method_class(space(2), 1)
    for value in (3.0, math.nan, 1.0, math.inf, 2.0):
        z = method.ask()
        method.tell(z, Evaluation(torch.tensor([value])))
        if value == 1.0:
            best = z[0]
    assert torch.equal(method.incumbent(), best)


@each
def test_it_ends_after_its_last_trial(method_class):
    method = method_class(space(2), 1, most=12)
    advance(method, 12)
    with pytest.raises(Stopped, match="12 trials"):
        method.ask()


@each
def test_more_than_twenty_dimensions_are_refused(method_class):
    assert method_class.unsupported(Quadratic("cpu", dim=20).space(0, 1000)) is None
    assert "20 dimensions" in method_class.unsupported(Quadratic("cpu", dim=21).space(0, 1000))
