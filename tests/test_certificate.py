"""Certificates: a plateau is told from a slope, a right gradient from a wrong one, noise from both."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.harness.certificate import certify, check_gradients, directions, information, interval, slopes
from benchmarks.harness.registry import task_class
from benchmarks.raster.square import Square


class Scaled(Quadratic):
    """A bowl whose gradient is multiplied by `factor`."""

    factor = 1.0

    def estimators(self):
        return {"scaled": partial(self._scaled)}

    def _scaled(self, z, seed):
        loss, gradient = self.loss_and_grad(z, seed)
        return loss, self.factor * gradient


class Noisy(Quadratic):
    """A bowl behind noise of the size `level` that differs from seed to seed and from candidate to candidate."""

    level = 1.0

    def precise_loss(self, z, seed):
        noise = torch.randn(len(z), generator=torch.Generator().manual_seed(seed))
        return self.loss(z, seed) + self.level * noise


def span(problem, start):
    return problem.validate(start)["loss"] - problem.floor()


@pytest.mark.parametrize(("dim", "rows"), [(1, 1), (8, 8), (150, 8)])
def test_directions_are_axes_or_signs(dim, rows):
    along = directions(dim, torch.device("cpu"))
    assert along.shape == (rows, dim)
    assert set(along.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_the_interval_covers_the_mean():
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(400):
        mean, width = interval(torch.randn(8, 1, generator=generator, dtype=torch.float64))
        hits += int(mean.abs() <= width)
    assert 388 <= hits <= 400  # 99 % of 400, four standard deviations


def test_slopes_are_those_of_the_loss():
    problem = Quadratic(dim=3)
    z = problem.start(0)
    _, gradient = problem.loss_and_grad(z[None], 0)
    found = slopes(problem, z, torch.eye(3), 0.05, 2)
    torch.testing.assert_close(found, gradient.double().expand(2, 3), rtol=1e-3, atol=1e-3 * float(gradient.norm()))


def test_a_square_that_misses_its_target_is_a_plateau():
    problem = Square(case="apart")
    starts = [problem.start(seed) for seed in range(3)]
    found = certify(problem, starts, span(problem, starts[0]))
    assert found["start_slope"] == found["start_slope_high"] == 0.0
    assert found["plateau"] == "plateau"
    assert found["flat_share"] == 1.0


def test_the_way_to_the_bottom_of_a_bowl_goes_down_and_every_step_changes_something():
    problem = Quadratic(dim=3)
    starts = [problem.start(seed) for seed in range(3)]
    assert information(problem, starts, span(problem, starts[0])) == {"flat_share": 0.0, "towards_share": 1.0}


def test_nobody_knows_the_way_where_nothing_good_is_known():
    problem = task_class("caustics.height_field")(photons=32, pixels=16)
    starts = [problem.start(0)]
    assert information(problem, starts, 1.0)["towards_share"] is None


def test_half_of_a_way_up_and_down_goes_down():
    """Loss 1 at both ends' middles: up to the ridge in ten of twenty steps, down from there."""

    class Ridge(Quadratic):
        def loss(self, z, seed):
            along = (z - self.begin).norm(dim=1) / (self.reference - self.begin).norm()
            return 1 - (2 * along - 1).abs()

    problem = Ridge(dim=2)
    problem.begin = problem.start(0)
    assert information(problem, [problem.begin], 1.0)["towards_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("dim", [2, 100])
def test_a_bowl_is_a_control(dim):
    problem = Quadratic(dim=dim)
    starts = [problem.start(seed) for seed in range(3)]
    assert certify(problem, starts, span(problem, starts[0]))["plateau"] == "control"


def test_noise_is_neither():
    problem = Noisy(dim=2)
    problem.level = 10 * span(problem, problem.start(0))
    starts = [problem.start(seed) for seed in range(3)]
    assert certify(problem, starts, span(problem, starts[0]))["plateau"] == "unclear"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "agrees"), (1.2, "agrees"), (2.0, "biased"), (0.0, "zero"), (-1.0, "biased")]
)
def test_wrong_gradients_are_found_out(factor, verdict):
    problem = Scaled(dim=3)
    problem.factor = factor
    rows = {row["place"]: row for row in check_gradients(problem, problem.start(0), 1.0)}
    assert rows["near_target"]["verdict"] == rows["start"]["verdict"] == verdict
    assert rows["start"]["relative_error"] == pytest.approx(abs(factor - 1), abs=0.01)


def test_a_zero_gradient_on_a_plateau_is_no_evidence():
    problem = Square(case="apart")
    rows = {row["place"]: row["verdict"] for row in check_gradients(problem, problem.start(0), 1.0)}
    assert rows == {"start": "no slope", "near_target": "zero"}


def test_noise_hides_the_slope():
    problem = Noisy(dim=2)
    problem.level = 10 * span(problem, problem.start(0))
    assert {row["verdict"] for row in check_gradients(problem, problem.start(0), 1.0)} == {"no slope"}
