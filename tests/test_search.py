"""The search that tunes: what it tries next and what it chooses, on losses that are known."""

import json
import math

import pytest

from benchmarks.harness.search import CELLS, FINALISTS, Trial, around, chosen, finalists, grid, next_choice

AXES = {"lr": (0.02, 0.06, 0.2), "sigma": (0.1, 0.3, 1.0, 3.0)}
DEFAULTS = {"lr": 0.05, "sigma": 1.0}


def search(loss, axes=AXES, defaults=DEFAULTS, allowed=lambda choice: True):
    """Run the first round on a loss of the parameters; return its trials."""
    tried = []
    while (choice := next_choice(axes, defaults, tried, allowed)) is not None:
        value = loss(choice)
        tried.append(Trial(choice, int(value is None), math.nan if value is None else value, 10.0))
    return tried


def best_of(tried):
    return min(tried, key=lambda trial: trial.key)


def bowl(lr, sigma):
    """Lowest at these parameters, on a logarithmic scale."""
    return lambda choice: math.log(choice["lr"] / lr) ** 2 + math.log(choice["sigma"] / sigma) ** 2


def test_every_search_tries_the_defaults_then_the_grid_then_as_many_cells_as_any_other():
    tried = search(bowl(0.06, 1.0))
    assert [trial.choice for trial in tried[:13]] == [DEFAULTS, *grid(AXES)]
    assert len(tried) == CELLS
    assert len({json.dumps(trial.choice) for trial in tried}) == CELLS
    alone = search(lambda choice: abs(math.log(choice["sigma"] / 7)), {"sigma": (0.1, 1.0)}, {"sigma": 1.0})
    assert len(alone) == CELLS


@pytest.mark.parametrize("peak", [0.03, 0.1, 0.77, 1.0, 2.0])
def test_no_search_ends_early_because_everything_beside_the_best_was_tried(peak):
    """Failed before: single axes with the best inside ran out of cells after fifteen, and so spent less than others."""
    axes = {"sigma": (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)}
    tried = search(lambda choice: abs(math.log(choice["sigma"] / peak)), axes, {"sigma": 1.0})
    assert len({trial.choice["sigma"] for trial in tried}) == CELLS


@pytest.mark.parametrize(("lr", "sigma"), [(0.001, 1.0), (0.06, 30.0), (5.0, 0.3), (0.06, 0.01)])
def test_beyond_an_edge_it_goes_on(lr, sigma):
    """Failed before: half of all choices lay on an edge of their grid, and nothing was tried beyond."""
    tried = search(bowl(lr, sigma))
    inside = min(bowl(lr, sigma)(choice) for choice in grid(AXES))
    assert best_of(tried).loss < 0.5 * inside


def test_within_the_grid_it_looks_between():
    tried = search(bowl(0.035, 0.55))
    assert best_of(tried).loss < 0.5 * min(bowl(0.035, 0.55)(choice) for choice in grid(AXES))


def test_a_single_axis_is_searched_as_finely_as_its_cells_allow():
    tried = search(lambda choice: math.log(choice["sigma"] / 0.017) ** 2, {"sigma": (0.1, 1.0, 10.0)}, {"sigma": 1.0})
    assert best_of(tried).choice["sigma"] == pytest.approx(0.017, rel=0.2)


def test_values_that_the_method_refuses_are_passed_over_and_whole_numbers_stay_whole():
    tried = search(
        lambda choice: choice["batch"], {"batch": (2, 4)}, {"batch": 4}, allowed=lambda choice: choice["batch"] >= 2
    )
    assert min(trial.choice["batch"] for trial in tried) == 2
    found = around({"batch": 8}, {"batch": (2, 8)}, [{"batch": 8}, {"batch": 2}])
    assert found == [{"batch": 32}, {"batch": 4}]
    assert all(isinstance(choice["batch"], int) for choice in found)


def test_failures_come_last_and_the_best_three_go_on():
    losses = iter([None, 0.5, 0.3, None, 0.4, *[1.0] * CELLS])
    tried = search(lambda choice: next(losses))
    assert finalists(tried) == [grid(AXES)[place] for place in (1, 3, 0)]
    assert len(finalists(tried)) == FINALISTS


def trials(*losses, start=1.0):
    return [
        Trial({"lr": 1.0 + number}, int(loss is None), math.nan if loss is None else loss, start)
        for number, loss in enumerate(losses)
    ]


def test_the_second_round_decides_and_equal_finalists_go_by_their_steps():
    first = trials(0.5, 0.4, 0.3)
    assert chosen(first, trials(0.02, 0.01, 0.03)) == {"lr": 2}
    assert chosen(first, trials(0.03, 0.01, 0.01)) == {"lr": 2}
    assert chosen(first, []) == {"lr": 3}


def test_one_finalist_takes_clearly_smaller_steps():
    """Failed before: the three best at a fifth of the budget had steps too large for all of it."""
    losses = {0.1: 0.5, 0.4: 0.3, 0.8: 0.1, 0.9: 0.12, 1.1: 0.2}
    tried = [Trial({"lr": lr}, 0, loss, 1.0) for lr, loss in losses.items()]
    assert finalists(tried) == [{"lr": 0.8}, {"lr": 0.9}, {"lr": 0.4}]
    assert finalists(tried[2:]) == [{"lr": 0.8}, {"lr": 0.9}, {"lr": 1.1}]


def test_on_a_plateau_the_search_grows_bold():
    """Failed before: where no cell of the first round moved, it looked on around the defaults."""
    tried = search(lambda choice: 10.0)
    assert all(choice["lr"] >= 0.2 and choice["sigma"] >= 3.0 for choice in finalists(tried))
    assert max(trial.choice["sigma"] for trial in tried) > 3.0
    moved = search(lambda choice: 1.0)
    assert all(choice["lr"] <= 0.02 and choice["sigma"] <= 0.1 for choice in finalists(moved))


@pytest.mark.parametrize("final", [(1.0, 1.0, 1.0), (1.0, 1.3, 2.0), (None, None, None), (1.0, None, 1.00001)])
def test_what_never_left_the_start_chooses_nothing(final):
    """Failed before: of a grid in which one cell got worse, the smallest step was chosen."""
    assert chosen(trials(1.0, 1.0, 1.0), trials(*final)) is None
