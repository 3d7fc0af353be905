"""What all descents share: Adam in the gradient's own unit, a rate that falls with the budget, and their state."""

from __future__ import annotations

import io

import pytest
import torch

from methods.base import Descent, Space


class Told(Descent):
    """Follows the gradients it is told."""

    def setup(self, lr=0.1, optimizer="adam", schedule="constant"):
        self.start_descent(lr, optimizer, schedule)

    def ask(self):
        return self.theta[None].clone()

    def tell(self, z, evaluation):
        raise NotImplementedError


def told(dtype=torch.float32, budget=100, grad_cost=0.0, **params):
    return Told(Space(3, torch.zeros(3, dtype=dtype), None, None, 8, budget, grad_cost=grad_cost), 0, **params)


def gradients(count, scale=1.0):
    return scale * torch.randn(count, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_is_adam_where_epsilon_does_not_matter():
    theta = torch.zeros(3, dtype=torch.float64)
    reference = torch.optim.Adam([theta], lr=0.1)
    mine = told(torch.float64)
    for gradient in gradients(50):
        theta.grad = gradient
        reference.step()
        mine.descend(gradient, 1)
    assert torch.allclose(mine.incumbent(), theta, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 4e-9, 1e12, 1e30])
def test_steps_do_not_depend_on_the_unit_of_the_gradient(scale):
    paths = []
    for factor in (1.0, scale):
        mine = told()
        for gradient in gradients(20, factor):
            mine.descend(gradient.float(), 1)
        paths.append(mine.incumbent())
    assert torch.allclose(paths[0], paths[1], rtol=1e-4)


def test_gradients_that_grow_beyond_single_precision_still_move_it():
    """From the tail of a kernel, 1e-30, to the slope, 1: squared in the unit of the first this would be infinite."""
    mine, exact = told(), told(torch.float64)
    scales = torch.logspace(-30, 0, 60, dtype=torch.float64)
    for gradient, scale in zip(gradients(60), scales, strict=True):
        mine.descend((scale * gradient).float(), 1)
        exact.descend(scale * gradient, 1)
    assert torch.allclose(mine.incumbent().double(), exact.incumbent(), rtol=1e-3)


def test_zero_gradients_move_nothing():
    mine = told()
    for _ in range(5):
        mine.descend(torch.zeros(3), 1)
    assert torch.equal(mine.incumbent(), torch.zeros(3))
    mine.descend(torch.tensor([1e-20, 0.0, 0.0]), 1)
    assert float(mine.incumbent()[0]) < 0
    assert torch.equal(mine.incumbent()[1:], torch.zeros(2))


def test_rounding_noise_after_a_true_gradient_moves_next_to_nothing():
    """At an optimum where the true gradient is exactly zero, noise of 1e-10 of what was seen is no direction."""
    mine = told()
    noise = 1e-10 * gradients(2000).float()
    for gradient in gradients(50).float():
        mine.descend(gradient, 0)
    for _ in range(200):
        mine.descend(torch.zeros(3), 0)  # the momentum runs out
    rest = mine.incumbent()
    for gradient in noise:
        mine.descend(gradient, 0)
    assert float((mine.incumbent() - rest).abs().max()) < 1e-3 * 0.1


def test_the_rate_falls_with_what_was_paid_gradients_included():
    mine = told(grad_cost=2.0, schedule="linear")
    mine.needs = "gradient"
    rates = []
    for gradient in gradients(11):
        mine.descend(gradient.float(), 4)
        rates.append(mine.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1 * max(0.0, 1 - 12 * step / 100) for step in range(11)])
    assert rates[-1] == 0.0


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_unit_and_schedule_are_part_of_the_state(optimizer):
    whole = told(optimizer=optimizer, schedule="linear")
    steps = gradients(20, 1e-9).float()
    for gradient in steps[:10]:
        whole.descend(gradient, 3)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = told(optimizer=optimizer, schedule="linear")
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for gradient in steps[10:]:
        whole.descend(gradient, 3)
        resumed.descend(gradient, 3)
    assert torch.equal(whole.incumbent(), resumed.incumbent())
