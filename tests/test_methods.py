"""The contract that every method keeps: found by file name, so a new one is tested as soon as it exists."""

from __future__ import annotations

import io
import itertools
import math
import random

import numpy as np
import pytest
import torch

from benchmarks.contract import parameters
from benchmarks.harness import registry
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from benchmarks.harness.search import CELLS
from methods.base import GRID_CELLS, Descent, Evaluation, Stopped

METHODS = registry.method_names()
TASKS = {
    "quadratic_1": ("analytic.quadratic", {"dim": 1}),
    "quadratic_2": ("analytic.quadratic", {"dim": 2}),
    "quadratic_30": ("analytic.quadratic", {"dim": 30}),
    "square_2": ("raster.square", {}),
    "mixed": ("analytic.mixed", {}),  # for methods that need something discrete; the others see the rest
}
TASKS = {label: task for label, task in TASKS.items() if task[0] in registry.task_names()}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
EVALUATIONS = 120
LARGEST = 196_608
each_method = pytest.mark.parametrize("name", METHODS)
each_task = pytest.mark.parametrize("task", TASKS)
each_device = pytest.mark.parametrize("device", DEVICES)


def problem_of(task, device="cpu"):
    name, params = TASKS[task]
    return registry.task_class(name)(device, **params)


def params_of(name, **given):
    return parameters.check(registry.method_class(name).setup, given, name)


def made_for_discrete(name):
    """Whether a method runs in no space without whole numbers and choices."""
    return "is discrete" in why_not(name, "quadratic_30") or "is rounded" in why_not(name, "quadratic_30")


def why_not(name, task):
    return registry.method_class(name).unsupported(problem_of(task).space(3, EVALUATIONS), **params_of(name)) or ""


def set_up(name, problem, budget=EVALUATIONS, seed=7):
    """Return the method on this task, or skip with the reason that the tables would show."""
    cls, params, space = registry.method_class(name), params_of(name), problem.space(3, budget)
    reason = cls.unsupported(space, **params)
    if space.discrete and not made_for_discrete(name):
        reason = "tests/test_discrete_space.py has it"
    if reason is None and cls.needs == "gradient" and problem.gradient == "none":
        reason = "the task has no gradient"
    if reason is None and cls.needs == "picture" and not problem.has_picture:
        reason = "the task has no picture"
    if reason is not None:
        assert len(reason) > 10, reason
        pytest.skip(reason)
    return cls(space, seed, **params)


def answer(problem, method, z):
    z = method.space.project(z)
    if method.needs == "gradient":
        return Evaluation(*problem.loss_and_grad(z, 0))
    if method.needs == "picture":
        picture = problem.observe(z, 0)
        return Evaluation(problem.criterion(picture), None, picture, problem.criterion)
    return Evaluation(problem.loss(z, 0))


def advance(problem, method, steps):
    """Return the candidates of so many iterations; a method that ends by its own criterion returns fewer."""
    asked = []
    try:
        for _ in range(steps):
            asked.append(method.ask().detach().clone())
            method.tell(asked[-1], answer(problem, method, asked[-1]))
    except Stopped:
        pass
    return asked


def random_states():
    """Return a digest for each of the global random states."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    states = {"numpy": (kind, keys.tobytes(), *rest), "random": random.getstate()}
    return {"torch": hash(torch.get_rng_state().numpy().tobytes()), **{key: hash(s) for key, s in states.items()}}


@each_method
@each_task
@each_device
def test_candidates_and_incumbent(name, task, device):
    problem = problem_of(task, device)
    method = set_up(name, problem)
    space = method.space
    assert torch.equal(method.incumbent(), space.start), "before the first evaluation the start is the best guess"
    for z in advance(problem, method, 3):
        assert z.ndim == 2
        assert 1 <= len(z) <= space.max_batch
        assert z.shape[1] == space.dim
        assert (z.dtype, z.device) == (space.start.dtype, space.start.device)
        assert z.isfinite().all()
    best = method.incumbent()
    assert (best.shape, best.dtype, best.device) == (space.start.shape, space.start.dtype, space.start.device)
    assert best.isfinite().all()
    assert torch.equal(best, method.incumbent()), "looking must not change what is seen"
    copy = best.clone()
    best.add_(1.0)
    assert torch.equal(method.incumbent(), copy), "the incumbent must not be the method's own tensor"


@each_method
@each_task
def test_budget_repetition_and_global_random_states(name, task):
    problem = problem_of(task)
    set_up(name, problem)  # skips what is unsupported
    cls = registry.method_class(name)
    asked = []

    class Recorded(cls):
        def ask(self):
            z = super().ask()
            asked.append(len(z))
            return z

    before = random_states()
    results = [
        run(problem, Recorded, params_of(name), Limits(EVALUATIONS, 60), task=task, label=name, replicate=0)
        for _ in range(2)
    ]
    assert random_states() == before
    first, second = results
    if first.status == "unsupported":
        pytest.skip(first.reason)
    assert first.status in ("finished", "stopped"), first.reason
    assert first.row["cost"] <= EVALUATIONS
    assert first.row["cost"] == first.row["n_evals"] + problem.grad_cost * first.row["n_grads"]
    if first.status == "finished":
        price = asked[-1] * (1 + problem.grad_cost * (cls.needs == "gradient"))
        assert first.row["cost"] + price > EVALUATIONS, "another batch would have fitted"
    assert first.row["loss_final"] == second.row["loss_final"]
    values = [[(point["cost"], point["metric"], point["value"]) for point in result.curve] for result in results]
    assert values[0] == values[1]
    assert torch.equal(first.incumbent, second.incumbent)


@each_method
@each_task
def test_killed_and_resumed_equals_uninterrupted(name, task):
    problem = problem_of(task)
    whole = set_up(name, problem)
    advance(problem, whole, 5)
    whole.incumbent()  # a checkpoint that the resumed run will not repeat
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    resumed = set_up(name, problem)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(resumed.incumbent(), whole.incumbent())
    pairs = list(itertools.zip_longest(advance(problem, whole, 5), advance(problem, resumed, 5)))
    assert pairs
    for expected, found in pairs:
        assert torch.equal(expected, found)
    assert torch.equal(resumed.incumbent(), whole.incumbent())


def in_unit(evaluation, factor):
    """The same answer of a task whose loss is measured in another unit."""
    gradient, criterion = evaluation.gradient, evaluation.criterion
    return Evaluation(
        factor * evaluation.loss,
        None if gradient is None else factor * gradient,
        evaluation.picture,
        None if criterion is None else lambda picture: factor * criterion(picture),
    )


@each_method
@pytest.mark.parametrize("power", [-80, -40, 40])
def test_unit_of_the_loss_does_not_matter(name, power):
    """A loss times 2^power takes the same path: no ε, tolerance or temperature is an absolute number."""
    needs_picture = registry.method_class(name).needs == "picture"
    plain = "mixed" if made_for_discrete(name) else "quadratic_30"
    problem, paths = problem_of("square_2" if needs_picture else plain), []
    for factor in (1.0, 2.0**power):
        method = set_up(name, problem)
        for _ in range(8):
            try:
                z = method.ask().detach().clone()
                method.tell(z, in_unit(answer(problem, method, z), factor))
            except Stopped:
                break
        paths.append(method.incumbent())
    assert not torch.equal(paths[0], method.space.start)
    assert torch.allclose(paths[0], paths[1], rtol=1e-4, atol=1e-4)


@each_method
def test_rates_of_descents_fall_linearly_to_zero_over_the_budget(name):
    """On a constant slope, where estimates do not depend on the place, steps are shares of those at a constant rate."""
    cls = registry.method_class(name)
    if "schedule" not in parameters.defaults(cls.setup):
        assert not issubclass(cls, Descent), f"{name} descends at a rate that cannot fall"
        pytest.skip("no rate")
    space, moved, shares = problem_of("quadratic_30").space(3, 4000), {}, []
    slope = torch.arange(1.0, 31.0)
    for schedule in ("linear", "constant"):
        method, paid = cls(space, 7, **params_of(name, schedule=schedule)), 0.0
        moved[schedule], shares = [], []
        while paid <= 3900:
            shares.append(1 - paid / 4000)
            before, z = method.incumbent(), method.ask()
            method.tell(z, Evaluation(z @ slope, slope.expand_as(z)))
            paid += len(z) * (1 + space.grad_cost * (method.needs == "gradient"))
            moved[schedule].append(float((method.incumbent() - before).norm()))
    ratios = torch.tensor(moved["linear"]) / torch.tensor(moved["constant"])
    assert float((ratios - torch.tensor(shares)).abs().median()) < 0.03
    assert float(ratios[-1]) < 0.1


@each_method
def test_grid_leaves_room_for_the_search_that_follows_it(name):
    cls = registry.method_class(name)
    assert 1 < math.prod(map(len, cls.grid.values())) <= GRID_CELLS < CELLS
    assert all(len(set(values)) == len(values) for values in cls.grid.values())
    for values in itertools.product(*cls.grid.values()):
        params_of(name, **dict(zip(cls.grid, values, strict=True)))  # raises for an unknown name or a wrong type


@each_method
def test_improves_over_the_start(name):
    problem, cls = problem_of("quadratic_2"), registry.method_class(name)
    if registry.method_class(name).unsupported(problem.space(0, 400), **params_of(name)):
        problem = problem_of("mixed" if made_for_discrete(name) else "quadratic_30")
    if cls.needs == "picture":
        problem = problem_of("square_2")
    cells = [dict(zip(cls.grid, values, strict=True)) for values in itertools.product(*cls.grid.values())]
    best = math.inf
    for cell in [{}, *cells]:
        result = run(problem, cls, params_of(name, **cell), Limits(400, 60), task="q", label=name, replicate=0)
        best = min(best, result.row["loss_final"] / result.row["loss_start"])
        if best < 0.5:
            return
    raise AssertionError(f"{name} reached {best:.2f} of the start's loss in 400 evaluations")


@each_method
def test_says_why_or_runs_in_very_many_dimensions(name):
    problem = registry.task_class("analytic.quadratic")("cpu", dim=LARGEST)
    method = set_up(name, problem, budget=1000)  # skips with the reason
    (z,) = advance(problem, method, 1)
    assert z.shape[1] == LARGEST
    assert z.isfinite().all()
    assert method.incumbent().isfinite().all()
