"""Looks and kinds come from the classes: names of their own, colours apart, strangers included."""

from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from labels_by_hand import SUITES, every_label
from matplotlib.colors import to_rgb

from methods._look import SEARCH, Look
from workflow.figures import _panels as panels
from workflow.figures.style import in_order, look, main_methods, variants, wear, wholes
from workflow.suite import Suite, load_suite
from workflow.tables.labels import Entry, deterministic, kinds, make_labels, table_of

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


@pytest.fixture(scope="module")
def tables():
    """Config's name → labels.csv."""
    return {path.stem: make_labels(load_suite(path)) for path in CONFIGS}


@pytest.mark.parametrize("name", [path.stem for path in CONFIGS])
def test_everybody_has_a_name_and_a_look_of_their_own(tables, name):
    drawn = tables[name][tables[name].what != "family"].set_index("label")
    assert drawn.name.is_unique
    optimizers = drawn.what.isin(["method", "learner"])  # no figure has them beside samplers and guides
    pairs = chain(*(combinations(part.iterrows(), 2) for part in (drawn[optimizers], drawn[~optimizers])))
    for (one, first), (two, second) in pairs:
        distance = np.abs(np.subtract(to_rgb(first.color), to_rgb(second.color))).max()
        shape = (first.marker, first.linestyle) == (second.marker, second.linestyle)
        assert distance > 0.03, (one, two)
        assert distance > 0.1 or not shape, (one, two)


def test_one_label_looks_the_same_in_every_suite(tables):
    of_itself = [table for name, table in tables.items() if not load_suite(ROOT / "config" / f"{name}.yaml").reference]
    rows = pd.concat(of_itself)[["what", "label", "name", "color", "marker", "linestyle", "emphasis"]]
    assert not rows.drop_duplicates().duplicated(["what", "label"]).any()


@pytest.mark.parametrize("suite", SUITES)
def test_committed_labels_are_what_classes_and_config_say(tables, suite):
    committed = (ROOT / "results" / suite / "tables" / "labels.csv").read_text().splitlines()
    now = tables[suite].to_csv(index=False).splitlines()
    assert [line for line in now if line in committed] == committed  # a method that joined since has no stored rows


def test_names_of_variants_follow_from_the_whole(tables):
    names = tables["desk"].set_index("label").name
    assert names["prdpt_exact"] == "PRDPT (exact)"
    assert names["prdpt_one_sided"] == "PRDPT (one sided)"
    assert names["zerograds_no_smoothing"] == "ZeroGrads (no smoothing)"
    assert tables["smoke"].set_index("label").name["brdf_small"] == "BRDF (small)"


def test_a_stranger_is_told_apart_from_all_others(tables):
    known = [
        Entry("method", row.label, row.algorithm, Look(row.name, row.color, row.marker), {}, kind=row.kind)
        for row in tables["desk"].query("what == 'method'").itertuples(index=False)
    ]
    strangers = [Entry("method", f"mine_{number}", f"mine_{number}", None, {}) for number in range(4)]
    table = table_of([*known, *strangers]).set_index("label")
    for label in (item.label for item in strangers):
        own = to_rgb(table.color[label])
        nearest = min(np.linalg.norm(np.subtract(to_rgb(color), own)) for color in table.color.drop(label))
        assert nearest > 0.12, label
    assert table.name["mine_1"] == "Mine 1"
    named = table_of([*known, Entry("method", "x", "x", Look("Own name", marker="*"), {})]).set_index("label").loc["x"]
    assert (named["name"], named.marker) == ("Own name", "*")
    assert named.color.startswith("#")


def test_an_ablation_is_what_the_config_tunes_as_its_whole():
    methods = {
        "prdpt": {},
        "prdpt_momentum": {"algorithm": "spsa"},
        "half": {"algorithm": "prdpt", "tuned_as": "prdpt"},
    }
    wear(make_labels(Suite(Path("mine.yaml"), {"suite": "mine", "methods": methods})))
    labels = list(methods)
    assert main_methods(labels) == ["prdpt", "prdpt_momentum"]
    assert main_methods(labels[1:]) == labels[1:]  # without its whole it stands for itself
    assert variants("prdpt", labels) == ["half"]
    assert wholes(labels) == ["prdpt"]


def test_kinds_are_those_that_claims_and_checks_judge_by(tables):
    found = kinds(tables["desk"])
    assert {label for label, kind in found.items() if kind == "oracle"} == {"adam"}
    assert {"cma_es", "lm_ma_es", "genetic_algorithm", "nelder_mead", "ngopt"} <= {
        label for label, kind in found.items() if kind in SEARCH
    }
    assert found["prdpt"] == found["zerograds_linear"] == found["snes"] == "gradient estimator"
    assert deterministic(tables["desk"]) == {"adam", "finite_differences", "nelder_mead"}


def test_many_methods_stay_legible():
    wear(every_label())
    labels = [*main_methods(every_label().query("what == 'method'").label), "somebodys_own"]
    score = pd.Series(np.linspace(0, 1, len(labels)), index=labels)
    strong = panels.emphasised(labels, score)
    assert {"prdpt", "zerograds", "adam", "random_search", *labels[:6]} == set(strong)


def test_legends_follow_the_config_and_what_it_does_not_name_comes_last():
    wear(every_label())
    assert in_order(["zzz", "spsa", "adam", "aaa"]) == ["adam", "spsa", "zzz", "aaa"]
    assert look("zzz").name == "Zzz"
    wear(every_label().iloc[:0])
    assert look("adam").name == "Adam"  # of tables without labels.csv nothing is known
