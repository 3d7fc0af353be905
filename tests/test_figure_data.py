"""What the figures are made from: looks of the methods, statistics of a line, the tables of the losses."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words

from benchmarks.networks.digit_mlp import DigitMlp
from workflow.figures import _panels as panels
from workflow.figures import figure
from workflow.figures.ecdf import RATIOS, profiles
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.tables.influence import make_influence, true_jacobian
from workflow.tables.landscape import make_landscape, smooth
from workflow.tables.surrogate import make_surrogate

ROOT = Path(__file__).resolve().parent.parent


def test_median_and_interval_over_seeds():
    middle, low, high = panels.median_interval(np.array([[1.0, np.inf], [2.0, 5.0], [9.0, 6.0]]))
    assert middle.tolist() == [2.0, 6.0]
    assert low.tolist() == [1.0, 5.0]
    assert high.tolist() == [9.0, np.inf]


def test_performance_profile_of_known_times():
    rows = [
        {
            "task": "t",
            "target": target,
            "method": method,
            "seed": 0,
            "hit": np.isfinite(cost),
            "cost": cost,
            "spent": 100.0,
        }
        for target, costs in enumerate([{"a": 10.0, "b": 40.0, "o": 1.0}, {"a": np.nan, "b": 50.0, "o": 1.0}])
        for method, cost in costs.items()
    ]
    found = profiles(pd.DataFrame(rows), {"o"})
    share = {method: [np.interp(tau, RATIOS, found[method][0]) for tau in (1.0, 10.0)] for method in "abo"}
    assert share == {"a": [0.5, 0.5], "b": [0.5, 1.0], "o": [1.0, 1.0]}  # the oracle is no rival


def test_smoothing_of_a_line_is_a_gaussian_convolution():
    x = np.linspace(-20, 20, 4001)
    at, sigma = np.linspace(-3, 3, 7), 1.5
    np.testing.assert_allclose(smooth(x, x**2, at, sigma), at**2 + sigma**2, rtol=1e-6)
    step = smooth(x, (x > 0).astype(float), np.array([0.0, 1.5]), sigma)
    np.testing.assert_allclose(step, [0.5, 0.841345], atol=3e-3)


def test_landscape_has_the_plateau_that_the_paper_is_about():
    table = make_landscape(ROOT / "config" / "smoke.yaml")
    for case in ("apart", "occluded"):
        here = table[table.case == case]
        start = here[here.kind == "start"].x.item()
        near = here[(here.x - start).abs() < 0.5]
        assert np.ptp(near[near.kind == "loss"].value) < 1e-9  # flat: no gradient
    wide = table[(table.case == "apart") & (table.sigma == 4)]
    slope = np.gradient(wide.value, wide.x)[np.searchsorted(wide.x, start)]
    assert slope > 1e-3  # smoothed, the loss rises away from the target


def test_surrogate_is_what_zerograds_itself_predicts():
    table = make_surrogate((1, 20))
    assert sorted(table.iteration.unique()) == [1, 20]
    last = table[table.iteration == 20].set_index("kind")
    truth = last.loc["loss"]
    samples = last.loc["sample"]
    assert len(samples) >= 2
    np.testing.assert_allclose(np.interp(samples.x, truth.x, truth.value), samples.value, atol=0.02)
    assert len(last.loc["path"]) == 21
    curves = [table[(table.iteration == i) & (table.kind == "surrogate")].value.to_numpy() for i in (1, 20)]
    errors = [np.abs(np.interp(samples.x, truth.x, curve) - samples.value).mean() for curve in curves]
    assert errors[1] < errors[0]  # it has learnt


def test_the_true_jacobian_is_the_limit_of_central_differences():
    problem = DigitMlp(device="cpu")
    z = problem.start(3)
    step = torch.zeros_like(z)
    step[[0, 9_000, 20_000, 35_151]] = 0.3  # of every layer
    ahead, behind = (problem.observe(side[None], 0).flatten() for side in (z + step, z - step))
    slope = true_jacobian(problem, z) @ step
    assert (slope - (ahead - behind) / 2).norm() < 1e-3 * slope.norm()


def test_influence_tells_what_it_learned_of_the_digit_and_the_caustic():
    table = make_influence((5, 80), 60, photons=32, pixels=16)
    parts = {kind: rows for kind, rows in table.groupby("kind")}
    assert set(parts["picture"].evaluations) == {5, 80}
    assert len(parts["target"]) == 28**2
    counts = int(parts["true"].value.iloc[0]), int(parts["false"].value.iloc[0])
    assert counts[0] > 10 * counts[1]
    entry = parts["entry"]
    assert np.median(np.abs(entry.value / entry.x - 1)) < 0.5
    assert parts["gap"].value.iloc[0] == 1
    assert (parts["r2"].value <= 1).all()


def test_a_run_of_influence_that_learned_nothing_is_drawn(tmp_path):
    table = make_influence((3, 5), 40, photons=16, pixels=16)
    assert set(table[table.kind.isin(["true", "false"])].value) == {0}
    table.to_parquet(tmp_path / "influence.parquet", index=False)
    use_style()
    drawn = figure("influence").draw(Tables(tmp_path), figure("influence").Options())
    said = words(drawn)
    assert "none learned" in said
    assert "no entry stood out" in said
    assert "losses alone" in said
    assert_every_panel_shows_something(drawn)
    assert_nothing_is_cut_off(drawn)
