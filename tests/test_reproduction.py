"""The paper's numbers beside ours: facts, medians, seconds per iteration, what was not run."""

import numpy as np
import pandas as pd
import pytest
from scenes_by_hand import make_folder
from tables_by_hand import make_tasks

from workflow.tables.reproduction import PAPER, make_reproduction


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of tables."""
    home = tmp_path_factory.mktemp("tables")
    make_folder(home)
    return home


def test_facts_of_the_paper():
    paper = pd.read_csv(PAPER).set_index(["problem", "approach"])
    assert len(paper) == 22
    assert paper.source.notna().all()
    seconds = paper.seconds.unstack("approach")
    assert (seconds.mitsuba_ad / seconds.prdpt).median() == pytest.approx(8, abs=3)  # "8× faster per iteration"
    errors = paper.image_mse.unstack("approach")
    assert (errors.prdpt < errors.mitsuba_ad).all()


def test_measured_numbers_of_the_reproduction(folder):
    table = pd.read_csv(folder / "reproduction.csv").set_index(["task", "approach", "method"])
    assert set(table.index.get_level_values("task")) == {"cup", "shadows", "sort"}
    ours = table.loc[("shadows", "prdpt", "prdpt")]
    assert ours.image_mse == pytest.approx(2e-5)
    assert (ours.image_mse_low, ours.image_mse_high) == pytest.approx((1e-5, 4e-5))
    assert ours.parameter_mse == pytest.approx(2e-4)
    assert ours.iterations == 500  # 1,000 renders in pairs
    assert ours.seconds == pytest.approx(3.5 / 500)
    gradient = table.loc[("shadows", "mitsuba_ad", "adam_projective")]
    assert gradient.seconds == pytest.approx(3.5 / 1000)
    assert gradient.ratio == pytest.approx(0.5)
    assert gradient.ratio_paper == pytest.approx(16)
    assert ("shadows", "soft_rasterizer", "adam_softras") in table.index
    assert "prdpt_exact" not in table.index.get_level_values("method")
    broken = table.loc[("cup", "prdpt_diff", "prdpt_diff")]
    assert broken.n_ok == 0
    assert np.isnan(broken.image_mse)


def test_reproduction_of_what_was_not_run_and_of_other_suites(folder):
    tasks = pd.read_csv(folder / "tasks.csv")
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    less = make_reproduction(tasks, runs[runs.algorithm != "prdpt"], curves)
    row = less[(less.task == "cup") & (less.approach == "prdpt")].iloc[0]
    assert pd.isna(row.method)
    assert row.image_mse_paper == pytest.approx(4.92e-6)
    assert less.ratio.isna().all()
    none = make_reproduction(make_tasks("bowl"), runs.head(0), curves.head(0))
    assert len(none) == 0
    assert "ratio" in none


def test_a_run_that_broke_down_is_the_worst_of_its_seeds(folder):
    tasks = pd.read_csv(folder / "tasks.csv")
    runs, curves = (pd.read_parquet(folder / f"{name}.parquet") for name in ("runs", "curves"))
    spoilt = (runs.task == "cup") & (runs.method == "prdpt") & (runs.seed == 0)
    runs.loc[spoilt, "status"] = "diverged"
    table = make_reproduction(tasks, runs, curves).set_index(["task", "method"])
    assert table.loc[("cup", "prdpt")].image_mse == pytest.approx(4e-5)
    assert np.isinf(table.loc[("cup", "prdpt")].image_mse_high)
