"""What the figures are made from: looks of the methods, statistics of a line, the tables of the losses."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.colors import to_rgb

from workflow.figures import _panels as panels
from workflow.figures.ecdf import RATIOS, profiles
from workflow.figures.style import KNOWN, look, main_methods
from workflow.tables.landscape import make_landscape, smooth
from workflow.tables.surrogate import make_surrogate

ROOT = Path(__file__).resolve().parent.parent


def test_colours_of_the_methods_are_their_own():
    unlisted = ["prdpt_constant_sigma", "prdpt_one_sided", "zerograds_no_smoothing", "somebodys_own", "another"]
    labels = [*KNOWN, *unlisted]
    looks = [look(label) for label in labels]
    assert len({item.name for item in looks}) == len(labels)
    for (one, first), (two, second) in combinations(zip(labels, looks, strict=True), 2):
        distance = np.abs(np.subtract(to_rgb(first.color), to_rgb(second.color))).max()
        shape = (first.marker, first.linestyle) == (second.marker, second.linestyle)
        assert distance > 0.03, (one, two)
        assert distance > 0.1 or not shape, (one, two)


def test_colours_do_not_depend_on_the_suite_or_the_process():
    code = "from workflow.figures.style import look; print(look('somebodys_own'), look('prdpt_one_sided'))"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert other.strip() == f"{look('somebodys_own')} {look('prdpt_one_sided')}"


def test_variants_share_their_family_hue_and_name():
    assert look("prdpt_one_sided").name == "PRDPT (one sided)"
    assert look("zerograds_no_smoothing").name == "ZeroGrads (no smoothing)"
    assert main_methods(["prdpt", "prdpt_exact", "spsa", "spsa_adam"]) == ["prdpt", "spsa", "spsa_adam"]
    assert main_methods(["prdpt_exact", "spsa"]) == ["prdpt_exact", "spsa"]


def test_every_method_of_the_suites_has_a_name_of_its_own():
    for path in (ROOT / "config").glob("*.yaml"):
        config = yaml.safe_load(path.read_text())
        labels = [*config.get("methods", {}), *config.get("learners", {})]
        assert len({look(label).name for label in labels}) == len(labels), path
        assert all(label in KNOWN for label in main_methods(labels)), path


def test_many_methods_stay_legible():
    labels = [*main_methods(KNOWN), "somebodys_own"]
    score = pd.Series(np.linspace(0, 1, len(labels)), index=labels)
    strong = panels.emphasised(labels, score)
    assert {"prdpt", "zerograds", "adam", "random_search", *labels[:6]} == set(strong)


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
