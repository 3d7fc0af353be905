"""Cost is evaluations plus grad_cost times gradients, never exceeded, never a partial batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.budget import Budget


@given(
    granted=st.integers(1, 500),
    grad_cost=st.floats(0, 5),
    batches=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=40),
)
def test_never_exceeded(granted, grad_cost, batches):
    budget = Budget(granted, grad_cost)
    evals = grads = 0
    for n, with_gradient in batches:
        if budget.affords(n, with_gradient):
            budget.charge(n, with_gradient)
            evals, grads = evals + n, grads + n * with_gradient
        else:
            with pytest.raises(ValueError, match="do not fit"):
                budget.charge(n, with_gradient)
    assert budget.n_evals == evals
    assert budget.n_grads == grads
    assert budget.cost == pytest.approx(evals + grad_cost * grads)
    assert budget.cost <= granted


@pytest.mark.parametrize("granted", [0, -5])
def test_needs_an_evaluation(granted):
    with pytest.raises(ValueError, match=str(granted)):
        Budget(granted)
