"""The sweep against what it states: its directions, its slopes, how far it looks, and that it can be interrupted."""

from __future__ import annotations

import io

import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.contract import parameters
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from methods.base import Evaluation, Space
from methods.sweep import FEW, Sweep

DIM = 45


def space(dim=DIM, budget=2000, max_batch=4096):
    return Space(dim, torch.zeros(dim), None, None, max_batch, budget)


def flat_then_bowl(z):
    """A plateau of height 1 around the origin, a bowl beyond two natural steps (root mean square)."""
    far = z.square().mean(1).sqrt()
    return torch.where(far < 2, torch.ones_like(far), 0.5 - 0.1 * torch.tanh(z.mean(1)))


def final_gap(dim, evaluations, loss=None):
    problem = Quadratic("cpu", dim=dim, condition=10.0)
    if loss is not None:
        problem.loss = loss
    params = parameters.check(Sweep.setup, {}, "sweep")
    return run(problem, Sweep, params, Limits(evaluations, 60), task="q", label="sweep", replicate=0).row


@pytest.mark.parametrize("dim", [FEW + 1, DIM, 128])
def test_directions_of_a_sweep_are_orthonormal_and_none_returns(dim):
    method = Sweep(space(dim), 3)
    rows = torch.cat([method.directions(count) for count in (5, dim - 9, 4)])
    assert torch.allclose(rows @ rows.T / dim, torch.eye(dim), atol=1e-5)
    again = method.directions(dim)
    assert not torch.allclose(rows, again), "the next sweep has another basis"
    assert torch.allclose(again @ again.T / dim, torch.eye(dim), atol=1e-5)


def test_a_batch_may_go_over_the_end_of_a_sweep():
    method = Sweep(space(), 3)
    rows = method.directions(2 * DIM + 7)
    assert torch.allclose(rows[DIM : 2 * DIM] @ rows[DIM : 2 * DIM].T / DIM, torch.eye(DIM), atol=1e-5)


def test_differences_over_a_whole_sweep_give_the_slope_of_a_linear_loss():
    slope, samples = torch.linspace(-1, 2, DIM), []
    for seed in range(400):
        method, total = Sweep(space(budget=10**6), seed, batch=15), torch.zeros(DIM)
        for _ in range(3):
            z = method.ask()
            loss = (z @ slope).double()
            slopes, _ = method._differences(loss[1:16], float(loss[0]))
            total += slopes.float() @ method.rows / DIM
            method.probing = False
        samples.append(total)
    samples = torch.stack(samples)
    error = (samples.mean(0) - slope) / (samples.std(0) / 20)
    assert float(error.square().mean()) < 2.0, "unbiased"
    assert float((samples[0] - slope).norm() / slope.norm()) < 0.6, "and close already once: minus a mean of few"


@pytest.mark.parametrize("dim", [1, 2, 10, 20, 60])
def test_it_descends_a_bowl(dim):
    row = final_gap(dim, 2000)
    assert row["loss_final"] < 1e-3 * row["loss_start"]


@pytest.mark.parametrize("dim", [2, 30])
def test_on_a_plateau_it_looks_farther_and_leaves(dim):
    method, lengths = Sweep(space(dim), 1), []
    for _ in range(60):
        lengths.append(method.length if method.few is None else method.few.h)
        z = method.ask()
        method.tell(z, Evaluation(flat_then_bowl(z)))
    assert lengths[1] > lengths[0]
    assert max(lengths) > 2 * lengths[0]
    assert float(flat_then_bowl(method.incumbent()[None])) < 0.6


def test_roughness_lengthens_the_differences_and_smoothness_shortens_them():
    found = {}
    for name, rough in (("smooth", 0.0), ("rough", 1.0)):
        method = Sweep(space(), 2)
        for _ in range(25):
            z = method.ask()
            ripple = (40 * z).sin().square().mean(1)
            method.tell(z, Evaluation(1e-2 * (z - 3).square().mean(1) + rough * ripple))
        found[name] = method.length
    assert found["rough"] > 2 * found["smooth"]


@pytest.mark.parametrize("dim", [3, DIM])
def test_a_resumed_run_goes_on_bit_by_bit(dim):
    problem = Quadratic("cpu", dim=dim, condition=10.0)

    def go(method, steps):
        for _ in range(steps):
            z = method.ask()
            method.tell(z, Evaluation(problem.loss(z, 0)))
        return z

    whole, resumed = Sweep(problem.space(0, 2000), 5), Sweep(problem.space(0, 2000), 5)
    for steps in (1, 2):  # between a sweep and its line search as well
        go(whole, steps)
        file = io.BytesIO()
        torch.save(whole.state_dict(), file)
        file.seek(0)
        resumed.load_state_dict(torch.load(file, weights_only=True))
        kept = whole.state_dict()
        assert torch.equal(go(whole, 7), go(resumed, 7))
        assert torch.equal(whole.incumbent(), resumed.incumbent())
        whole.load_state_dict(kept)


@pytest.mark.parametrize("dim", [3, DIM])
def test_a_loss_that_is_no_number_ends_the_run_as_a_row(dim):
    row = final_gap(dim, 400, lambda z, seed: torch.where(z.mean(1) == z.mean(1)[:1], z.square().mean(1), torch.nan))
    assert row["status"] == "invalid_loss"


@pytest.mark.parametrize("max_batch", [2, 3, 5])
def test_it_fits_into_small_batches(max_batch):
    method = Sweep(space(max_batch=max_batch), 1)
    for _ in range(20):
        z = method.ask()
        assert len(z) <= max_batch
        method.tell(z, Evaluation((z - 1).square().mean(1)))
    assert method.incumbent().isfinite().all()
