"""What is particular to methods that wrap other people's libraries, and known behaviour of the rivals written here."""

from __future__ import annotations

import random
import sys
import warnings

import numpy as np
import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.contract import parameters
from benchmarks.harness import registry
from benchmarks.harness.loop import Limits
from benchmarks.harness.rooms import method_names
from benchmarks.harness.runner import run
from methods._foreign import Sandbox, missing
from methods._replay import Replay
from methods.base import Evaluation
from methods.cma_es import CmaEs
from methods.lm_ma_es import LmMaEs
from methods.nelder_mead import NelderMead
from methods.ngopt import NgOpt
from methods.simulated_annealing import SimulatedAnnealing
from methods.snes import Snes
from methods.tbpsa import Tbpsa
from methods.xnes import Xnes

REPLAYED = [name for name in method_names() if issubclass(registry.method_class(name), Replay)]
CMA_VARIANTS = ["full", "separable", "vd", "vkd"]


def finish(method_class, dim=10, evaluations=1000, problem=None, **params):
    problem = problem or Quadratic("cpu", dim=dim, condition=10.0)
    params = parameters.check(method_class.setup, params, method_class.__name__)
    return run(problem, method_class, params, Limits(evaluations, 60), task="q", label="m", replicate=0)


def step(method, problem):
    z = method.ask()
    method.tell(z, Evaluation(problem.loss(z, 0)))
    return z


@pytest.mark.parametrize("variant", CMA_VARIANTS)
def test_cma_es_variants_solve_a_mild_quadratic(variant):
    result = finish(CmaEs, evaluations=3000, variant=variant)
    assert result.row["loss_final"] < 1e-6 * result.row["loss_start"]


def test_cma_es_says_how_much_memory_the_covariance_takes():
    space = Quadratic("cpu", dim=35_152).space(0, 1000)
    assert "covariance needs 9.9 GB" in CmaEs.unsupported(space, variant="full", memory_gib=4.0)
    for variant in CMA_VARIANTS[1:]:
        assert CmaEs.unsupported(space, variant=variant, memory_gib=4.0) is None
    assert CmaEs.unsupported(Quadratic("cpu", dim=2000).space(0, 1000), variant="full", memory_gib=4.0) is None


class Plateau(Quadratic):
    def loss(self, z, seed):
        return torch.ones(len(z))


@pytest.mark.parametrize("variant", CMA_VARIANTS)
def test_cma_es_goes_on_over_a_plateau(variant):
    result = finish(CmaEs, evaluations=600, problem=Plateau("cpu", dim=4), variant=variant)
    assert result.status == "finished", result.reason


def test_cma_es_variants_in_many_dimensions():
    problem = Quadratic("cpu", dim=196_608)
    for variant in CMA_VARIANTS[1:]:
        method = CmaEs(problem.space(0, 1000), 1, variant=variant)
        assert step(method, problem).isfinite().all()
        assert not torch.equal(method.incumbent(), method.space.start)


@pytest.mark.parametrize("name", REPLAYED)
def test_replayed_state_holds_losses_only_and_seeds_differ(name):
    problem = Quadratic("cpu", dim=3)
    first, second = (registry.method_class(name)(problem.space(0, 500), seed) for seed in (1, 2))
    asked = [(step(first, problem), step(second, problem)) for _ in range(4)]
    assert all(torch.equal(*pair) for pair in asked) == (name == "nelder_mead")
    state = first.state_dict()
    assert state.keys() == {"told"}
    assert [len(losses) for losses in state["told"]] == [len(z) for z, _ in asked]


def test_sandbox_keeps_random_states_apart_and_warnings_in():
    outside = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5), np.random.seed(5)  # noqa: NPY002
    expected = random.random(), np.random.rand()  # noqa: NPY002
    random.seed(5), np.random.seed(5)  # noqa: NPY002
    sandbox = Sandbox(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with sandbox:
            warnings.warn("only its authors could mend this", stacklevel=1)
            first = random.random(), np.random.rand()  # noqa: NPY002
            np.random.seed(0)  # noqa: NPY002  (as pycma does)
    assert (random.random(), np.random.rand()) == expected != outside  # noqa: NPY002
    with pytest.raises(RuntimeError), Sandbox(2):
        raise RuntimeError
    with Sandbox(1):
        assert (random.random(), np.random.rand()) == first  # noqa: NPY002


def test_missing_library_is_a_reason_with_a_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "nevergrad", None)  # importing it now raises ImportError
    assert "pip install" in missing("nevergrad")
    result = finish(NgOpt)
    assert result.status == "unsupported"
    assert "nevergrad" in result.reason
    assert missing("numpy") is None


def test_ngopt_never_picks_a_method_that_runs_in_a_thread():
    space = Quadratic("cpu", dim=10).space(0, 20_000)
    assert "Powell" not in NgOpt(space, 1).optimizer.optim.name
    assert len(NgOpt(space, 1).ask()) == 2
    assert len(NgOpt(Quadratic("cpu", dim=10).space(0, 1000), 1).ask()) == 1


def test_tbpsa_moves_within_its_budget_in_many_dimensions():
    problem = Quadratic("cpu", dim=2000)
    method = Tbpsa(problem.space(0, 400), 1)
    start = method.optimizer.current_center.copy()
    for _ in range(20):
        step(method, problem)
    assert not np.array_equal(method.optimizer.current_center, start)


@pytest.mark.parametrize(("method_class", "dim"), [(Snes, 40), (Xnes, 10), (LmMaEs, 40)])
def test_evolution_strategies_converge_on_the_sphere(method_class, dim):
    result = finish(method_class, problem=Quadratic("cpu", dim=dim, condition=1.0), evaluations=6000)
    assert result.row["loss_final"] < 1e-4 * result.row["loss_start"]


def test_xnes_learns_a_rotated_valley_that_snes_cannot_follow():
    class Valley(Quadratic):
        def loss(self, z, seed):
            return (z[:, 0] + z[:, 1]).square() + 1e-4 * (z[:, 0] - z[:, 1]).square()

    losses = [finish(cls, problem=Valley("cpu", dim=2), evaluations=800).row["loss_final"] for cls in (Xnes, Snes)]
    assert losses[0] < 1e-3 * losses[1]


def test_xnes_is_refused_before_it_fills_the_memory():
    assert "GB" in Xnes.unsupported(Quadratic("cpu", dim=12_288).space(0, 1000), memory_gib=4.0)
    assert Xnes.unsupported(Quadratic("cpu", dim=1000).space(0, 1000), memory_gib=4.0) is None


def test_nelder_mead_stops_when_its_simplex_is_a_point():
    result = finish(NelderMead, dim=2, evaluations=2000)
    assert result.status == "stopped"
    assert "simplex" in result.reason
    assert result.row["loss_final"] < 1e-10


def test_annealing_accepts_what_metropolis_would():
    problem = Quadratic("cpu", dim=2)
    space = problem.space(0, 10**6)
    method = SimulatedAnnealing(space, 1, chains=4000, temperature=1.0)
    start = method.ask()
    method.tell(start, Evaluation(torch.zeros(1)))
    for _ in range(2):  # the first moves set the temperature: T = mean |ΔL| = ½ ...
        before = method.states.clone()
        z = method.ask()
        method.tell(z, Evaluation(method.losses + 0.5))  # ... so a rise of ½ is accepted with probability 1/e
        share = float((method.states != before).any(1).float().mean())
        assert share == pytest.approx(np.exp(-1), abs=4 * 0.0076)  # four standard errors


def test_annealing_cools_down_to_a_greedy_search():
    problem = Quadratic("cpu", dim=2)
    method = SimulatedAnnealing(problem.space(0, 1000), 1, chains=100, temperature=0.1)
    method.tell(method.ask(), Evaluation(torch.zeros(1)))
    for _ in range(9):
        before = method.losses.clone()
        z = method.ask()
        method.tell(z, Evaluation(before + 1.0))
    assert torch.equal(method.losses, before), "nothing uphill is accepted any more"
