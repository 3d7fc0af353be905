"""Rounded, switched and chosen values: decoding, and the methods that see them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks.analytic.mixed import Mixed
from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.rooms import method_names
from benchmarks.harness.runner import run
from methods._discrete import Discrete, continuous
from methods.base import Evaluation

VALUES = [
    Discrete(0, 5, low=-2.0, step=0.5),
    Discrete(0, 2, low=-0.5),
    Discrete(0, 4, chosen=True),
]
MADE_FOR_IT = [
    ("cma_es_with_margin", {}),
    ("cat_cma", {}),
    ("ngopt", {"words": "native"}),
    ("ngopt", {"words": "deterministic"}),
]


def limits(evaluations):
    return Limits(evaluations, 60)


def result_of(problem, name, params, evaluations, replicate=0):
    kind = method_class(name)
    given = check(kind.setup, params, name)
    return run(problem, kind, given, limits(evaluations), task="mixed", label=name, replicate=replicate)


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_decoded_from_its_own_code(value):
    z = torch.tensor([value.code(index) for index in range(value.levels)])
    assert value.index(z).tolist() == list(range(value.levels))


def test_rounding_goes_to_the_nearest_and_stays_in_range():
    z = torch.tensor([-9.0, -1.76, -1.74, -0.01, 0.0, 9.0])[:, None]
    assert Discrete(0, 5, low=-2.0, step=0.5).index(z).tolist() == [0, 0, 1, 4, 4, 4]
    assert Discrete(0, 2, low=-0.5).index(torch.tensor([[-0.001], [0.0]])).tolist() == [0, 1]


def test_the_highest_score_wins_and_of_equal_ones_the_first():
    z = torch.tensor([[7.0, 0.1, 0.3, 0.2], [7.0, 0.5, 0.5, 0.5], [7.0, 0.0, 1.0, 1.0]])
    assert Discrete(1, 3, chosen=True).index(z).tolist() == [1, 0, 1]


def test_what_is_not_discrete_is_continuous():
    discrete = (Discrete(1, 3), Discrete(2, 2, chosen=True))
    assert continuous(6, discrete) == [0, 4, 5]
    space = Mixed().space(0, 10)
    assert space.discrete == Mixed().discrete
    assert len(continuous(space.dim, space.discrete)) == 2


def test_a_task_of_nothing_names_the_way_out():
    with pytest.raises(UsageError, match="raise one"):
        Mixed(continuous=0, rounded=0, switches=0, chosen=0)


def test_every_method_sees_the_same_continuous_coordinates():
    """What is not made for discrete values runs as on any other task, and its result is told decoded."""
    problem = Mixed()
    for name in method_names():
        kind = method_class(name)
        if kind.needs != "value" or name == "gaussian_process":
            continue
        result = result_of(problem, name, {}, 60)
        if result.status == "unsupported":
            continue
        assert result.status in ("finished", "stopped"), (name, result.reason)
        values = json.loads(result.row["values"])
        assert values == problem.decoded(result.incumbent)
        assert set(values) == {"x0", "x1", "index2", "index3", "index4", "index5", "index6", "index10"}


@pytest.mark.parametrize(("name", "params"), MADE_FOR_IT)
def test_candidates_of_methods_made_for_it_are_codes(name, params):
    """What they propose lies in the middle of the value that they mean."""
    problem, kind = Mixed(), method_class(name)
    method = kind(problem.space(1, 200), 3, **params)
    for value in problem.discrete:
        if name == "cma_es_with_margin" and value.chosen:
            continue
        z = method.ask() if name == "ngopt" else torch.as_tensor(method.propose())
        for row, index in zip(z, value.index(z), strict=True):
            assert row[value.coordinates].tolist() == pytest.approx(value.code(int(index)))
        if name == "ngopt":
            method.learn(np.ones(len(z)).tolist())


@pytest.mark.parametrize(("name", "params"), MADE_FOR_IT)
@pytest.mark.parametrize(
    "kinds",
    [
        {"continuous": 0, "switches": 0, "chosen": 0},
        {"continuous": 0, "rounded": 0, "chosen": 0},
        {"continuous": 0, "rounded": 0, "switches": 0},
        {"rounded": 0, "switches": 0},
    ],
    ids=["whole numbers", "switches", "choices", "numbers and choices"],
)
def test_spaces_of_one_kind(name, params, kinds):
    problem = Mixed(**kinds)
    result = result_of(problem, name, params, 120)
    if result.status == "unsupported":
        assert name == "cma_es_with_margin"
        assert result.reason == "nothing is rounded here: without whole numbers it is cma_es"
        return
    assert result.status in ("finished", "stopped"), result.reason
    assert result.row["loss_final"] < result.row["loss_start"]


@pytest.mark.parametrize(("name", "params"), [*MADE_FOR_IT, ("single_flips", {}), ("one_plus_one_ea", {})])
def test_a_space_without_anything_discrete_is_unsupported(name, params):
    result = result_of(Mixed(rounded=0, switches=0, chosen=0), name, params, 60)
    assert result.status == "unsupported"
    assert result.reason.startswith("nothing is")


@pytest.mark.parametrize("name", ["cma_es_with_margin", "cat_cma"])
def test_too_many_dimensions_are_unsupported(name):
    result = result_of(Mixed(continuous=2000), name, {}, 60)
    assert result.status == "unsupported"
    assert "full covariance" in result.reason


def test_rivals_made_for_it_solve_what_freezes_others():
    """CatCMA ends at the optimum's values on every start; the margin keeps every whole number moving."""
    problem = Mixed()
    right = {value.first: int(value.index(problem.reference[None])) for value in problem.discrete}
    for replicate in range(3):
        incumbent = result_of(problem, "cat_cma", {}, 600, replicate).incumbent
        assert {value.first: int(value.index(incumbent[None])) for value in problem.discrete} == right
        incumbent = result_of(problem, "cma_es_with_margin", {}, 600, replicate).incumbent
        assert {
            v.first: int(v.index(incumbent[None])) for v in problem.discrete if v.levels > 4
        }.items() <= right.items()


def test_single_flips_find_a_separable_optimum_in_one_pass_and_stop_after_the_next():
    problem = Mixed(continuous=0, rounded=2, switches=3, chosen=1)
    tries = 2 * 8 + 3 * 1 + 1 * 3  # every other level of every value
    result = result_of(problem, "single_flips", {}, 1 + tries)
    assert result.row["loss_final"] == 0
    result = result_of(problem, "single_flips", {}, 500)
    assert (result.status, result.reason) == ("stopped", "no single flip lowers the loss")
    assert result.row["n_evals"] == 1 + 2 * tries


@pytest.mark.parametrize("name", ["single_flips", "one_plus_one_ea"])
def test_flips_change_discrete_values_alone_and_never_for_the_worse(name):
    problem, kind = Mixed(), method_class(name)
    space = problem.space(1, 200)
    method, last = kind(space, 3), float("inf")
    free = continuous(space.dim, space.discrete)
    for _ in range(25):  # the start, and every flip once
        z = method.ask()
        changed = [value.index(z) != value.index(method.incumbent()[None]) for value in problem.discrete]
        assert last == float("inf") or any(changed)
        assert name == "one_plus_one_ea" or sum(map(bool, changed)) <= 1
        assert torch.equal(z[0, free], space.start[free])
        method.tell(z, Evaluation(problem.loss(z, 0)))
        loss = float(problem.loss(method.incumbent()[None], 0))
        assert loss <= last
        last = loss


def test_the_evolutionary_algorithm_solves_switches():
    problem = Mixed(continuous=0, rounded=0, switches=40, chosen=0)
    assert result_of(problem, "one_plus_one_ea", {}, 1000).row["loss_final"] == 0


@pytest.mark.parametrize(("words", "dear"), [("array", False), ("deterministic", True), ("native", True)])
def test_an_estimate_counts_what_a_value_in_nevergrads_words_takes(words, dear):
    """The objects of a hundred choices are walked for every candidate, and not only the numbers in them."""
    few, many = (Mixed(rounded=0, switches=values, chosen=0) for values in (1, 101))
    launches = [method_class("ngopt").work(task.space(0, 10), words=words).launches for task in (few, many)]
    assert (launches[1] > 10 * launches[0]) == dear
