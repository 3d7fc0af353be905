"""Every method on every task, every learner on every family, on a GPU; where there is none, on its test double.

Nothing may be left on the CPU: the first operation that two devices meet in ends a run as `crashed`. With the double,
whose arithmetic and random numbers are the CPU's, the numbers have to be the CPU's as well.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Literal, get_args, get_origin

import pytest
import torch
from cuda_double import REAL, on_the_device
from test_meta_learners import SMALL, quick
from test_tasks import TINY

from benchmarks.contract import parameters
from benchmarks.harness import registry, runner
from benchmarks.harness.job import to_bytes
from benchmarks.harness.kept import load_state, write_state
from benchmarks.harness.loop import Limits
from methods.meta.base import Budget

TASKS = [name for name in registry.task_names() if not name.startswith("rendering.")]  # Mitsuba has devices of its own
SLOW = "networks.digit_mlp"  # 35,152 dimensions take as long as all others together
OFTEN = ("analytic.quadratic", "raster.square")  # met by every method
EVALUATIONS, FEWER, MANY = 80, 50, 1_000  # fewer for more dimensions than that
INTERRUPTED = 2  # steps
SPENT = ("status", "reason", "n_evals", "n_grads", "n_steps", "cost")


@cache
def task(name, device):
    return registry.task_class(name)(device, **TINY.get(name, {}))


@cache
def family(name, device):
    return registry.family_class(name)(device, **SMALL[name])


def values(annotation):
    """The names that a parameter may have, or yes and no."""
    if annotation is bool:
        return [True, False]
    parts = get_args(annotation)
    return list(parts) if get_origin(annotation) is Literal else [value for part in parts for value in values(part)]


CHOICES = [
    (method, parameter.name, value)
    for method in registry.method_names()
    for parameter in parameters.parameters(registry.method_class(method).setup)
    for value in values(parameter.annotation)
    if value != parameter.default
]

NEEDED = {"objective": {"pairs": 2}}  # parameters whose other values ask for more


def budget_of(cls, params, problem):
    """A few batches: 30 evaluations are many for a method that models every one of them."""
    most = FEWER if problem.dim > MANY else EVALUATIONS
    space = problem.space(0, most)
    if cls.unsupported(space, **params):
        return most
    return min(most, max(30, 5 * len(cls(space, 0, **params).ask())))


def run(method, name, device, state_file=None, steps=None, **params):
    """Run a method; with `steps` it is interrupted, as by Ctrl-C, when so many are done."""
    cls, problem, done = registry.method_class(method), task(name, device), 0
    params = parameters.check(cls.setup, params, method)

    def interrupt(*_):
        nonlocal done
        done += 1
        if done == steps:
            raise KeyboardInterrupt

    return runner.run(
        problem,
        cls,
        params,
        Limits(budget_of(cls, params, task(name, "cpu")), 600),
        task=name,
        label=method,
        replicate=0,
        checkpoints=5,
        state_file=state_file,
        progress=interrupt,
    )


def pairs():
    """Every method with every task: two of these for all, of the others one in four in turn; the rest is exhaustive."""
    for number, method in enumerate(registry.method_names()):
        for place, name in enumerate(TASKS):
            often = name in OFTEN or (number + place) % 4 == 0
            marks = [] if often else [pytest.mark.exhaustive]
            yield pytest.param(method, name, marks=[pytest.mark.slow] if often and name == SLOW else marks)


@pytest.mark.parametrize(("method", "name"), list(pairs()))
def test_every_method_on_every_task(method, name, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "SAVE_SPARING", 0.0)
    here = run(method, name, "cpu")
    with on_the_device():
        file = tmp_path / "replicate_0.state"
        try:
            run(method, name, "cuda", file, INTERRUPTED)
        except KeyboardInterrupt:
            assert file.exists()
        there = run(method, name, "cuda", file)
        if here.status == "unsupported":
            assert there.reason == here.reason
            pytest.skip(here.reason)
        assert {key: there.row[key] for key in SPENT} == {key: here.row[key] for key in SPENT}
        assert there.incumbent.device.type == "cuda"
        picture = task(name, "cuda").image(there.incumbent)
        assert picture is None or to_bytes(picture).ndim in (2, 3)
    if not REAL:
        assert there.row["loss_final"] == pytest.approx(here.row["loss_final"], rel=1e-3)


@pytest.mark.parametrize(("method", "parameter", "value"), CHOICES)
def test_every_choice_of_every_method(method, parameter, value):
    names = ["analytic.quadratic" if registry.method_class(method).needs == "gradient" else "raster.square"]
    params = {parameter: value, **NEEDED.get(parameter, {})}
    for name in [*names, "analytic.mixed"]:  # a choice may be made for what is discrete
        here = run(method, name, "cpu", **params)
        if here.status != "unsupported":
            break
    assert here.status in ("finished", "stopped"), here.reason
    with on_the_device():
        there = run(method, name, "cuda", **params)
    assert {key: there.row[key] for key in SPENT} == {key: here.row[key] for key in SPENT}
    assert there.incumbent.is_cuda if REAL else there.row["loss_final"] == pytest.approx(here.row["loss_final"], 1e-3)


@pytest.mark.parametrize("name", registry.family_names())
@pytest.mark.parametrize("learner", registry.learner_names())
def test_every_learner_on_every_family(learner, name, tmp_path):
    with on_the_device():
        tasks, file = family(name, "cuda"), tmp_path / "replicate_0.state"

        def interrupt(state):
            write_state(file, {"state": state})
            raise KeyboardInterrupt

        probe = quick(learner).train(tasks, Budget(1), 0)["samples"]
        budget = Budget(3 * max(probe, 1))
        whole = quick(learner).train(tasks, budget, 0)
        with pytest.raises(KeyboardInterrupt) if whole["steps"] else nullcontext():
            quick(learner).train(tasks, budget, 0, progress=interrupt)
        begun = load_state(file, ["state"])["state"] if whole["steps"] else None
        resumed = quick(learner).train(tasks, budget, 0, begun)
        assert (resumed["steps"], resumed["samples"]) == (whole["steps"], whole["samples"])
        for key, value in whole["learned"].items():
            assert value.device.type == resumed["learned"][key].device.type == "cuda"
            torch.testing.assert_close(resumed["learned"][key], value, rtol=1e-3, atol=1e-4)
        members = tasks.split.test
        *_, last = quick(learner).adapt(resumed, tasks, members, 2)
        assert last.weights.device.type == "cuda"
        assert all(len(values.tolist()) == len(members) for values in tasks.metrics(last.weights, members).values())
        for picture in (tasks.picture(last.weights[0], int(members[0])), tasks.reference_picture(int(members[0]))):
            assert to_bytes(picture.detach()).ndim == 3
