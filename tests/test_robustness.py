"""Tuned against untuned: the same cells with defaults, in a table and a figure of their own and nowhere else."""

import math

import pytest
from tables_by_hand import make_tables, make_tasks

from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT
from workflow.suite import load_suite
from workflow.tables.robustness import make_robustness


def test_each_method_stands_beside_itself():
    tuned, _ = make_tables({("a", "m"): [0.1, 0.2, 0.3], ("a", "n"): [0.1, 0.1, 0.1], ("a", "alone"): [0.5] * 3})
    untuned, _ = make_tables({("a", "m"): [0.4, 0.5, 0.9], ("a", "n"): [math.nan] * 3})
    untuned.loc[untuned["method"] == "n", "status"] = "diverged"
    table = make_robustness(tuned, untuned, make_tasks("a")).set_index("method")
    assert list(table.index) == ["m", "n"]
    assert table.loc["m", ["gap_tuned", "gap_untuned", "n_tuned", "n_untuned"]].tolist() == [0.2, 0.5, 3, 3]
    assert table.loc["n", "status_untuned"] == "diverged"
    assert math.isnan(table.loc["n", "gap_untuned"])


@pytest.mark.parametrize("status", ["timeout", "too_dear"])
def test_what_is_not_scored_has_no_gap(status):
    tuned, _ = make_tables({("a", "m"): [0.1, 0.2, 0.3]})
    untuned = tuned.assign(status=[status, "finished", "finished"])
    table = make_robustness(tuned, untuned, make_tasks("a"))
    assert table["gap_untuned"].isna().all()
    assert table["gap_tuned"].notna().all()


def test_without_such_a_track_the_table_has_no_rows():
    tuned, _ = make_tables({("a", "m"): [0.1, 0.2, 0.3]})
    assert make_robustness(tuned, tuned.iloc[:0], make_tasks("a")).empty


def test_the_track_repeats_the_comparison_with_defaults():
    suite = load_suite(ROOT / "config" / "desk.yaml")
    whole = {(cell.task, cell.method): cell for cell in suite.cells}
    assert suite.untuned_cells
    for cell in suite.untuned_cells:
        model = whole[cell.task, cell.method.removesuffix("_untuned")]
        assert (cell.evaluations, cell.replicates, cell.algorithm) == (
            model.evaluations, model.replicates, model.algorithm
        )  # fmt: skip
        assert set(cell.params) <= set(model.params)
    labels = {(cell.task, cell.method) for cell in suite.cells}
    assert not labels & {(cell.task, cell.method) for cell in suite.untuned_cells}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("methods: [adam, evolution_strategy, prdpt]", "methods: [adam, cma_e]", "cma_e.*did you mean 'cma_es'"),
        (
            "tasks: [bowl_10, square_apart]\n  methods: [adam, e",
            "tasks: [caustic]\n  methods: [adam, e",
            "does not meet",
        ),
    ],
)
def test_a_pair_that_the_grid_does_not_have_is_named(tmp_path, old, new, said):
    text = (ROOT / "config" / "smoke.yaml").read_text()
    assert old in text
    (tmp_path / "smoke.yaml").write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=said):
        load_suite(tmp_path / "smoke.yaml")
