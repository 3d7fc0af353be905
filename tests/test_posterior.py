"""Posterior sampling behind a plateau: measurements, guides, the program that compares them, its tables and figure."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off

from benchmarks.contract.law import Law
from benchmarks.contract.measurement import Measurement
from benchmarks.experiments import posterior
from benchmarks.experiments.posterior_bench import Bench
from benchmarks.harness.pieces import run_pieces
from benchmarks.harness.registry import guide_class, measurement_class
from benchmarks.harness.rooms import guide_names, measurement_names
from benchmarks.posterior.polar import stairs
from methods.posterior.base import Inverse, bandwidth
from methods.posterior.dps import Dps
from methods.posterior.enkg import Enkg
from methods.posterior.likelihood import Likelihood
from methods.posterior.loss import Loss
from methods.posterior.picture import Picture
from workflow.failures import make_failures
from workflow.figures.posterior import Options, draw
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.suite import Suite
from workflow.tables.__main__ import make_tables
from workflow.tables.claims_posterior import posterior_claims
from workflow.tables.written import write

mpl.use("agg")
DIM, SPREAD, NOISE = 3, 0.8, 0.5
MAP = torch.tensor([[1.0, 0.4, 0.0], [0.0, -0.7, 1.2]], dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Line(Law):
    """N(0, s² I): whatever is linear and Gaussian has a posterior in closed form."""

    def setup(self):
        self.dim = DIM

    def denoise(self, y, v):
        return SPREAD**2 / (SPREAD**2 + v**2) * y

    def draw(self, n, generator):
        return SPREAD * torch.randn(n, DIM, generator=generator, dtype=torch.float64)


class Linear(Measurement):
    """A x, which has a slope."""

    def setup(self):
        self.law, self.noise = Line(), NOISE

    def observe(self, x):
        return x @ MAP.T

    def soft(self, x, width):
        return self.observe(x)


def problem(measurement=None, seed=0):
    generator, task = seeded(seed), measurement or Linear()

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    measured = torch.tensor([0.9, -0.4], dtype=torch.float64)
    return Inverse(measured, task.noise, SPREAD, task.observe, task.law.denoise, task.soft, normal)


def exact_answer(y, v, radius):
    """E[x | y, m] in closed form, and D + v² (∂D/∂y)ᵀ ∂ log p(m | D), which guides estimate, for the linear problem."""
    gain = SPREAD**2 / (SPREAD**2 + v**2)
    answer = gain * y
    residual = torch.tensor([0.9, -0.4], dtype=torch.float64) - answer @ MAP.T
    whole = NOISE**2 * torch.eye(2, dtype=torch.float64) + radius**2 * MAP @ MAP.T
    bayes = answer + radius**2 * torch.linalg.solve(whole, residual.T).T @ MAP
    return bayes, answer + v**2 * gain * residual @ MAP / NOISE**2


@pytest.mark.parametrize("name", measurement_names())
class TestMeasurement:
    def test_has_no_slope(self, name):
        task = measurement_class(name)()
        x = task.law.draw(200, seeded())
        seen = task.observe(x)
        assert seen.shape == task.soft(x, 0.3).shape
        nudged = task.observe(x + 1e-7 * torch.randn(x.shape, generator=seeded(1), dtype=x.dtype))
        assert float((nudged != seen).any(1).double().mean()) < 0.05
        assert len(seen.unique(dim=0)) > 10  # yet it tells something
        assert task.source

    def test_oracle_resembles_it(self, name):
        task = measurement_class(name)()
        x = task.law.draw(300, seeded()).requires_grad_(True)
        soft = task.soft(x, 0.2)
        (slope,) = torch.autograd.grad(soft.square().sum(), x)
        assert slope.abs().max() > 0
        seen = task.observe(x.detach())
        error = (soft.detach() - seen).square().mean()
        assert float(error) < 0.5 * float((seen - seen.mean(0)).square().mean())

    def test_batches_of_batches_are_observed_alike(self, name):
        task = measurement_class(name)()
        x = task.law.draw(12, seeded())
        assert torch.equal(task.observe(x.view(3, 4, -1)).flatten(0, 1), task.observe(x))


def test_stairs_are_floor_in_the_limit():
    value = torch.linspace(-2.3, 2.3, 47, dtype=torch.float64)
    away = (value - value.round()).abs() > 0.05
    torch.testing.assert_close(stairs(value, 1e-3)[away], value.floor()[away])


def test_bandwidth_is_the_spread_of_what_is_left():
    """x | y for Gaussian data: 1/r² = 1/s² + 1/v²."""
    assert bandwidth(0.8, 0.5) == pytest.approx((0.8**-2 + 0.5**-2) ** -0.5)


@pytest.mark.parametrize("guide", [Loss(scale=1.0), Picture(scale=1.0), Dps(scale=1.0)], ids=["loss", "picture", "dps"])
def test_gradients_are_those_of_the_linear_problem(guide):
    inverse, v = problem(), 0.6
    y = torch.tensor([[0.5, -0.3, 0.8], [-1.0, 0.2, 0.1]], dtype=torch.float64)
    guide.begin(inverse, 40_000)
    same, found = guide.answer(y, v)
    assert torch.equal(same, y)
    torch.testing.assert_close(found, exact_answer(y, v, bandwidth(SPREAD, v))[1], rtol=0, atol=0.05)


def test_the_likelihood_s_gradient_is_bayes_rule():
    inverse, v = problem(), 0.6
    y = torch.tensor([[0.5, -0.3, 0.8], [-1.0, 0.2, 0.1]], dtype=torch.float64)
    guide = Likelihood(scale=1.0)
    guide.begin(inverse, 40_000)
    _, found = guide.answer(y, v)
    torch.testing.assert_close(found, exact_answer(y, v, bandwidth(SPREAD, v))[0], rtol=0, atol=0.03)


def test_sharing_and_memory_lower_the_noise_and_not_the_mean():
    y, v = torch.randn(60, DIM, generator=seeded(5), dtype=torch.float64), 3.0
    exact = exact_answer(y, v, bandwidth(SPREAD, v))[1]

    def error(guide):
        guide.begin(problem(seed=9), 8)
        for _ in range(6):
            _, found = guide.answer(y, v)
        return float((found - exact).square().mean())

    plain = error(Picture(scale=1.0))
    assert error(Picture(scale=1.0, memory=0.8)) < 0.5 * plain
    assert error(Picture(scale=1.0, share=3.0)) < 0.3 * plain


def test_far_chains_share_nothing():
    y = torch.cat([torch.zeros(1, DIM, dtype=torch.float64), torch.full((1, DIM), 1e4, dtype=torch.float64)])
    answers = []
    for share in (0.0, 3.0):
        guide = Picture(scale=1.0, share=share)
        guide.begin(problem(seed=2), 8)
        answers.append(guide.answer(y, 0.5)[1])
    torch.testing.assert_close(*answers)


def test_an_ensemble_moves_towards_what_was_measured():
    inverse, y = problem(), 2 * torch.randn(200, DIM, generator=seeded(3), dtype=torch.float64)
    guide = Enkg(scale=0.5)
    guide.begin(inverse, 1)
    moved, answer = guide.answer(y, 0.5)
    misfit = [(inverse.observe(inverse.denoise(x, 0.5)) - inverse.measured).square().sum(1).mean() for x in (y, moved)]
    assert misfit[1] < misfit[0]
    torch.testing.assert_close(answer, inverse.denoise(moved, 0.5))
    apart = torch.linalg.matrix_rank(moved - y)
    assert int(apart) <= 2  # C_xy has the rank of the measurement


@pytest.mark.parametrize("name", guide_names())
def test_plans_spend_what_is_granted(name):
    guide = guide_class(name)()
    for budget in (40, 160, 640):
        levels, each = guide.plan(budget)
        assert levels >= 2
        assert levels * each in (0, budget)
    assert guide_class(name).told().name


CONFIG = {
    "suite": "tiny",
    "seeds": 3,
    "posterior": {
        "budgets": [40, 160],
        "samples": 60,
        "tasks": {"polar": {}, "bits": {"measurement": "thresholds", "budgets": [40]}},
        "guides": {
            "unguided": {"budgets": [40]},
            "loss": {"grid": {"scale": [0.1, 0.3, 1.0]}},
            "picture": {"grid": {"scale": [0.1, 0.3, 1.0]}},
            "picture_shared": {"algorithm": "picture", "grid": {"scale": [0.3, 1.0], "share": [3.0]}},
            "enkg": {"grid": {"scale": [0.1, 0.3]}},
            "dps": {"budgets": [40]},
        },
    },
    "figures": {"posterior": {}},
}


@pytest.fixture(scope="module")
def suite():
    return Suite("tiny.yaml", CONFIG)


@pytest.fixture(scope="module")
def results(suite, tmp_path_factory):
    """The results of the suite, with tables."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.experiments.posterior_bench.PRIOR", 20_000)
        for task, spec in suite.posterior.items():
            run_pieces(posterior.Posterior.from_json(json.dumps(spec)), folder / "posterior" / task)
    write(make_tables(suite, folder), folder / "tables")
    return folder


@pytest.mark.xdist_group("posterior")
class TestSuite:
    def test_tables_tell_everything(self, results):
        table = pd.read_csv(results / "tables" / "posterior.csv")
        spent = table[~table.guide.isin(["unguided", "dps"])]
        assert (spent.evaluations == spent.budget).all()
        assert (table[table.guide.isin(["unguided", "dps"])].evaluations == 0).all()
        assert set(table[table.task == "bits"].budget) == {40}
        medians = table[table.metric == "sliced_w2"].groupby(["task", "guide", "budget"])[["value", "floor"]].median()
        assert (medians.value > 0.7 * medians.floor).all()
        for task in ("polar", "bits"):
            for guide in ("loss", "picture", "picture_shared", "enkg"):
                assert medians.value[task, guide, 40] < medians.value[task, "unguided", 40], (task, guide)
        choices = pd.read_csv(results / "tables" / "posterior_choices.csv")
        assert set(choices[choices.guide == "loss"].n_tried) == {3}
        assert choices.ess.gt(50).all()
        claims = pd.read_csv(results / "tables" / "claims.csv").set_index("id")
        assert claims.loc["posterior/loss/unguided", "verdict"] == "holds"
        assert claims.loc["posterior/picture_memory/picture", "verdict"] == "not tested"
        assert claims.loc["posterior/saves/picture_memory/picture", "verdict"] == "not tested"

    def test_figure_is_whole(self, results):
        use_style()
        shown = draw(Tables(results / "tables"), Options())
        assert_every_panel_shows_something(shown)
        assert_nothing_is_cut_off(shown)
        assert len(shown.axes) == 6

    def test_nothing_failed_and_what_is_missing_is_told(self, suite, results, tmp_path):
        rows = make_failures(Suite("tiny.yaml", {**CONFIG, "figures": {}}), results)
        assert rows.empty
        other = {**CONFIG["posterior"], "guides": {**CONFIG["posterior"]["guides"], "likelihood": {}}}
        rows = make_failures(Suite("tiny.yaml", {**CONFIG, "posterior": other, "figures": {}}), results)
        assert set(rows.name) == {"polar/likelihood", "bits/likelihood"}


def test_a_guide_that_breaks_is_rows_with_a_reason(suite, tmp_path, monkeypatch):
    def broken(self, *arguments):
        raise ValueError("out of luck")

    monkeypatch.setattr(Loss, "slope", broken)
    monkeypatch.setattr("benchmarks.experiments.posterior_bench.PRIOR", 20_000)
    spec = posterior.Posterior(**{**suite.posterior["polar"], "guides": {"loss": {}}})
    run_pieces(spec, tmp_path)
    choices = pd.read_parquet(tmp_path / "choices.parquet")
    assert set(choices.status) == {"crashed"}
    assert choices.reason.str.contains("out of luck").all()
    assert list(choices.budget) == [40, 160]


def test_replicates_have_measured_values_of_their_own(suite, monkeypatch):
    monkeypatch.setattr("benchmarks.experiments.posterior_bench.PRIOR", 20_000)
    bench = Bench(posterior.Posterior(**suite.posterior["polar"]))
    first, second = bench.truth(0), bench.truth(1)
    assert not torch.equal(first.measured, second.measured)
    assert first.floors["misfit"] == pytest.approx(1, abs=0.3)
    assert first.floors["spread"] == pytest.approx(1, abs=0.3)
    assert bench.truth(0) is first


def test_savings_compare_a_budget_with_four_times_as_much():
    rows = [
        {"task": task, "guide": guide, "budget": budget, "seed": seed, "metric": "sliced_w2", "value": value}
        for task in ("a", "b")
        for seed in range(5)
        for guide, budget, value in (
            ("picture", 40, 0.4), ("picture", 160, 0.2), ("picture_memory", 40, 0.2), ("unguided", 40, 0.5))
    ]  # fmt: skip
    claims = {row["id"]: row for row in posterior_claims(pd.DataFrame(rows))}
    saved = claims["posterior/saves/picture_memory/picture"]
    assert (saved["verdict"], saved["n_pairs"]) == ("holds", 10)
    assert saved["effect"] == pytest.approx(0)
    assert claims["posterior/picture_memory/picture"]["effect"] == pytest.approx(math.log10(2))
