"""Every parameter of every task, method, learner, family and figure: its range holds, here and in the source."""

import ast
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check, complaint, listing, parameters
from benchmarks.harness import rooms
from benchmarks.harness.registry import (
    family_class,
    guide_class,
    law_class,
    learner_class,
    measurement_class,
    method_class,
    sampler_class,
    task_class,
)
from workflow.figures import figure
from workflow.figures import names as figure_names
from workflow.signature import options_of, setup_of

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "benchmarks.": (rooms.task_names(), task_class),
    "methods.": (rooms.method_names(), method_class),
    "benchmarks.appearance.": (rooms.family_names(), family_class),
    "benchmarks.posterior.": (rooms.measurement_names(), measurement_class),
    "benchmarks.sampling.": (rooms.law_names(), law_class),
    "methods.diffusion.": (rooms.sampler_names(), sampler_class),
    "methods.meta.": (rooms.learner_names(), learner_class),
    "methods.posterior.": (rooms.guide_names(), guide_class),
}
OWNERS = [(room + name, find, name) for room, (names, find) in ROOMS.items() for name in names]
VALUES = [0, -1, 2.0, math.nan, math.inf, -math.inf, 1e30, 10**400, "x", "1e-3", [], {}, [None], None, True]


@pytest.mark.parametrize(("module", "find", "name"), OWNERS, ids=[module for module, _, _ in OWNERS])
def test_the_source_tells_what_the_class_does(module, find, name):
    assert parameters(setup_of(module)) == [
        item.replace(kind=item.KEYWORD_ONLY) for item in parameters(find(name).setup)
    ]


@pytest.mark.parametrize(("module", "find", "name"), OWNERS, ids=[module for module, _, _ in OWNERS])
def test_numbers_have_a_range(module, find, name):
    """Whatever takes a number refuses what no machine can do anything with."""
    for item in parameters(setup_of(module)):
        if complaint(1, item.annotation) is None or complaint(4096, item.annotation) is None:
            for value in (math.nan, math.inf, -math.inf, 10**400, -1):
                assert complaint(value, item.annotation), (item.name, value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_wrong_value_is_one_line(value):
    for module, find, name in OWNERS:
        for item in parameters(setup_of(module)):
            said = []
            for setup in (setup_of(module), find(name).setup):
                try:
                    check(setup, {item.name: value}, name)
                    said.append("")
                except UsageError as error:
                    said.append(str(error))
            assert said[0] == said[1]
            if said[0]:
                assert said[0].startswith(f"{name}: parameter {item.name!r} is ")
                assert said[0].isprintable()
                assert len(said[0]) < 300


@pytest.mark.parametrize("name", figure_names())
def test_options_of_figures(name):
    stub, kind = options_of(f"workflow.figures.{name}"), figure(name).Options.__init__
    assert [(item.name, item.annotation) for item in parameters(stub)] == [
        (item.name, item.annotation) for item in parameters(kind)
    ]
    for item in parameters(stub):
        for value in ([[]], [None], {"a": 5}, math.nan, [math.nan], -1, [-1]):
            assert complaint(value, item.annotation), (item.name, value)


@pytest.mark.parametrize(
    ("module", "key", "value", "words"),
    [
        ("methods.evolution_strategy", "batch", 0, "must be at least 1"),
        ("methods.adam", "lr", -0.1, "must be at least 1e-12"),
        ("methods.prdpt", "sigma", 0, "must be at least 1e-12"),
        ("methods.prdpt", "sigma_end", 1.5, "must be at most 1"),
        ("methods.prdpt", "lr", math.nan, "must be a finite number"),
        ("methods.prdpt", "lr", "1e-3", "write 0.001"),
        ("methods.prdpt", "pairs", "2e0", "write 2"),
        ("methods.prdpt", "pairs", True, "expected int"),
        ("methods.cma_es", "population", 1, "must be at least 2"),
        ("methods.zerograds", "frequencies", 65, "must be at most 64"),
        ("methods.gauss_newton", "memory", 1, "must be less than 1"),
        ("methods.meta.maml", "tasks_per_step", 0, "must be at least 1"),
        ("methods.meta.overfit", "lr", 0, "must be at least 1e-12"),
        ("benchmarks.rendering.sphere", "spp", 0, "must be at least 1"),
        ("benchmarks.rendering.sphere", "case", [], "expected 'overlap' or 'apart' or 'occluded'"),
    ],
)
def test_what_a_range_says(module, key, value, words):
    with pytest.raises(UsageError, match=words):
        check(setup_of(module), {key: value}, module)


def test_a_listing_shows_defaults_and_ranges():
    text = listing(method_class("prdpt").setup)
    assert "sigma_end" in text
    assert "0.1" in text
    assert "float, more than 0, at most 1" in text


def test_reading_a_signature_runs_nothing():
    names = {
        node.func.id
        for node in ast.walk(ast.parse((ROOT / "workflow" / "signature.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not names & {"exec", "eval", "compile", "__import__"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--device mps", "device 'mps'"),
        ("--set lr=[1,2", "--set lr: line 1: not valid YAML"),
        ("--set lr=1e-3", "write 0.001"),
        ("--set lr=1 --set lr=2", "twice"),
        ("--set lr", "KEY=VALUE"),
        ("--set lr=0", "'lr' is 0, must be at least 1e-12"),
        ("--set lr=010", "octal"),
        ("--set lr={5:1}", "line 1"),
        ("--task-set dim=0", "'dim' is 0, must be at least 1"),
        ("--seconds nan", "--seconds nan"),
        ("--evaluations many", "--evaluations"),
        ("--threads 0", "--threads 0"),
        ("--seed -1", "--seed -1"),
        ("--method nothing", "unknown method 'nothing'"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, words, monkeypatch):
    from benchmarks.harness import __main__ as program

    command = ["harness", "--task", "analytic.quadratic", "--method", "adam", *arguments.split()]
    monkeypatch.setattr(sys, "argv", command)
    monkeypatch.setattr(program, "limit_threads", lambda _: None)
    with pytest.raises(UsageError, match=words) as caught:
        program.main()
    assert str(caught.value).isprintable()


def test_the_command_line_as_it_is():
    """The whole program: an error's line and exit code, and the listing of parameters."""
    command = [sys.executable, "-m", "benchmarks.harness"]
    run = subprocess.run(
        [*command, "--task", "analytic.quadratic", "--method", "adam", "--set", "lr=[1,2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode != 0
    assert run.stderr.startswith("error: --set lr: line 1: not valid YAML")
    assert len(run.stderr.splitlines()) == 1
    run = subprocess.run(
        [*command, "--method", "adam", "--help-parameters"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert "lr" in run.stdout
    assert "float, at least 1e-12, at most 1e+12" in run.stdout
