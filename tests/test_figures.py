"""Every figure, drawn from tables of a small suite that was really run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words
from PIL import Image

from benchmarks.contract.errors import UsageError
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import run_cell
from workflow.figures import _panels as panels
from workflow.figures import figure, names
from workflow.figures.__main__ import fit_titles, make
from workflow.figures.style import look, use_style
from workflow.figures.tables import GAP_FLOOR, Tables
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables
from workflow.tables.influence import make_influence
from workflow.tables.landscape import make_landscape
from workflow.tables.surrogate import make_surrogate
from workflow.tables.written import CHECKSUMS, write

mpl.use("agg")
ROOT = Path(__file__).resolve().parent.parent

RENDERED = ["scenes", "landscape", "rendering", "reproduction"]  # of rendered scenes: test_figures_rendering.py
LEARNED = ["inner_loop", "quality_time", "adaptation", "paradigms"]  # of learners: test_figures_appearance.py
SAMPLED = ["diffusion", "diffusion_order"]  # of diffusion samplers: test_diffusion.py
SAMPLED += ["worlds"]  # test_figure_worlds.py
SAMPLED += ["posterior", "rays"]  # test_posterior.py, test_rays.py
LEARNED += ["sampling", "training"]  # test_meta_sampling.py
GENERAL = [
    "plateau",
    "surrogate",
    "influence",
    "gallery",
    "gradient",
    "scaling",
    "ecdf",
    "time",
    "ablation",
    "overview",
    "robustness",
]
RIVALS = ["random_search", "adam", "spsa", "evolution_strategy", "prdpt", "zerograds", "somebodys_own"]
ABLATIONS = ["prdpt_picture", "prdpt_constant_sigma", "zerograds_linear"]
SUITE = {
    "suite": "drawn",
    "seeds": 2,
    "checkpoints": 8,
    "limits": {"evaluations": 150, "minutes": 1},
    "tasks": {
        "bowl_4": {"problem": "analytic.quadratic", "params": {"dim": 4}},
        "bowl_60": {"problem": "analytic.quadratic", "params": {"dim": 60}},
        "square_overlap": {"problem": "raster.square", "params": {"case": "overlap", "size": 32}},
    },
    "methods": {
        **{label: {} for label in RIVALS[:-1]},
        "somebodys_own": {"algorithm": "evolution_strategy", "params": {"sigma": 2.0}},
        "prdpt_picture": {"algorithm": "prdpt", "params": {"objective": "picture", "pairs": 2}, "tuned_as": "prdpt"},
        "prdpt_constant_sigma": {"algorithm": "prdpt", "params": {"annealing": "constant"}, "tuned_as": "prdpt"},
        "zerograds_linear": {"algorithm": "zerograds", "params": {"surrogate": "linear"}, "tuned_as": "zerograds"},
    },
    "grid": [{"tasks": ["bowl_4", "bowl_60", "square_overlap"], "methods": [*RIVALS, *ABLATIONS]}],
    "untuned": {"tasks": ["bowl_4", "bowl_60"], "methods": RIVALS[:-1]},
    "figures": {"gallery": {"tasks": ["square_overlap"]}},
}
LISTED = {  # the methods that must be named in the figure
    "gallery": RIVALS,
    "gradient": ["spsa", "evolution_strategy", "prdpt", "zerograds"],
    "scaling": RIVALS,
    "ecdf": RIVALS,
    "time": RIVALS,
    "overview": [*RIVALS, *ABLATIONS],
    "robustness": RIVALS[:-1],
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Folder of tables from real runs."""
    home = tmp_path_factory.mktemp("suite")
    config = home / "drawn.yaml"
    config.write_text(yaml.safe_dump({**SUITE, "results": str(home / "results")}))
    suite = load_suite(config)
    for task in suite.tasks:
        calibrate(suite.calibration(task), suite.folder / "tasks" / task)
    for cell in [*suite.cells, *suite.untuned_cells]:
        run_cell(cell, suite.folder / "runs" / cell.task / cell.method)
    folder = suite.folder / "tables"
    write(make_tables(suite, suite.folder), folder)
    (folder / CHECKSUMS).unlink()  # tests change tables on purpose
    make_landscape(config).to_parquet(folder / "landscape.parquet", index=False)
    make_surrogate((1, 20)).to_parquet(folder / "surrogate.parquet", index=False)
    make_influence((5, 50), 60, photons=32, pixels=16).to_parquet(folder / "influence.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def drawn(tables):
    """Figure name → matplotlib figure."""
    use_style()
    return {name: figure(name).draw(Tables(tables), figure(name).Options()) for name in GENERAL}


def test_all_figures_are_tested():
    assert set(names()) == {*GENERAL, *RENDERED, *LEARNED, *SAMPLED}


@pytest.mark.parametrize("name", GENERAL)
def test_every_panel_shows_data_or_says_why_not(drawn, name):
    assert_every_panel_shows_something(drawn[name])


@pytest.mark.parametrize("name", sorted(LISTED))
def test_every_method_is_named(drawn, name):
    said = words(drawn[name])
    for label in LISTED[name]:
        assert look(label).name in said, label


@pytest.mark.parametrize("name", GENERAL)
def test_nothing_is_cut_off_or_overlaps_the_legend(drawn, name):
    assert_nothing_is_cut_off(drawn[name])


def test_units_stand_at_the_axes(drawn):
    for name, unit in [("scaling", "ms"), ("scaling", "MiB"), ("time", "seconds"), ("ecdf", "evaluations")]:
        assert re.search(rf"\b{unit}\b", words(drawn[name])), (name, unit)


def test_the_end_of_a_method_is_explained(tables, tmp_path):
    broken = tmp_path / "tables"
    shutil.copytree(tables, broken)
    scores = pd.read_csv(broken / "scores.csv")
    largest = (scores.method == "evolution_strategy") & (scores.dim == 60)
    scores.loc[largest, ["status", "reason"]] = ["unsupported", "covariance needs 9.9 GB"]
    scores.loc[largest, ["gap_median", "overhead_ms", "memory_mib"]] = np.nan
    scores.to_csv(broken / "scores.csv", index=False)
    said = words(figure("scaling").draw(Tables(broken), figure("scaling").Options()))
    assert "Evolution strategy at 60 dimensions: covariance needs 9.9 GB" in said
    assert "cannot run beyond" in said


def test_an_unsupported_method_has_its_sign(drawn, tables):
    scores = pd.read_csv(tables / "scores.csv").set_index(["task", "method"])
    assert scores.loc[("bowl_4", "prdpt_picture"), "status"] == "unsupported"
    assert "∅" in [text.get_text() for text in drawn["overview"].axes[0].texts]


@pytest.mark.parametrize("name", GENERAL)
def test_command_writes_the_same_bytes_twice(tables, tmp_path, name):
    files = make(name, tables, {}, tmp_path / "one" / f"{name}.pdf")
    again = make(name, tables, {}, tmp_path / "two" / f"{name}.pdf")
    for first, second in zip(files, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
    content = files[0].read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type3" not in content
    with Image.open(files[1]) as picture:
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.5)


def run(*arguments):
    command = [sys.executable, "-m", "workflow.figures", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_command_line(tables, tmp_path):
    out = tmp_path / "time.pdf"
    options = json.dumps({"tasks": ["bowl_4"], "methods": ["somebodys_own", "adam"]})
    done = run("time", "--tables", tables, "--options", options, "--out", out)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 1000
    assert out.with_suffix(".png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tmie"], ["'tmie'", "'time'"]),
        (["time", "--options", '{"taks": []}'], ["'taks'", "'tasks'"]),
        (["time", "--options", "[1]"], ["--options", "JSON object"]),
    ],
)
def test_command_names_what_is_wrong(tables, tmp_path, arguments, said):
    done = run(*arguments, "--tables", tables, "--out", tmp_path / "a.pdf")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in said), done.stderr


def test_a_label_without_rows_is_named_with_the_nearest(tables, tmp_path):
    with pytest.raises(UsageError, match=r"'somebody_own'.*'somebodys_own'"):
        make("time", tables, {"methods": ["somebody_own"]}, tmp_path / "a.pdf")
    with pytest.raises(UsageError, match=r"'bowl_5'.*'bowl_4'"):
        make("overview", tables, {"tasks": ["bowl_5"]}, tmp_path / "a.pdf")


NEEDS = {
    "plateau": ("landscape.parquet", "sigma"),
    "surrogate": ("surrogate.parquet", "value"),
    "influence": ("influence.parquet", "x"),
    "gallery": ("runs.parquet", "loss_final"),
    "gradient": ("curves.parquet", "metric"),
    "scaling": ("scores.csv", "overhead_ms"),
    "ecdf": ("hits.parquet", "hit"),
    "time": ("runs.parquet", "wall_s"),
    "ablation": ("runs.parquet", "loss_final"),
    "overview": ("scores.csv", "rank"),
    "robustness": ("robustness.csv", "gap_tuned"),
}


@pytest.mark.parametrize("name", GENERAL)
def test_a_missing_table_column_or_row_is_named(tables, tmp_path, name):
    table, column = NEEDS[name]
    folder = tmp_path / "tables"
    shutil.copytree(tables, folder)
    read = pd.read_csv if table.endswith(".csv") else pd.read_parquet
    whole = read(folder / table)

    def store(frame):
        if table.endswith(".csv"):
            frame.to_csv(folder / table, index=False)
        else:
            frame.to_parquet(folder / table, index=False)

    def fails(*said):
        with pytest.raises(UsageError) as caught:
            make(name, folder, {}, tmp_path / "a.pdf")
        assert all(word in str(caught.value) for word in said), caught.value

    store(whole.drop(columns=column))
    fails(table, repr(column))
    store(whole.head(0))
    fails(table, "no rows")
    (folder / table).write_bytes(b"")
    fails(table)
    (folder / table).unlink()
    fails(table, "missing")
    assert not (tmp_path / "a.pdf").exists()


def test_the_gap_of_a_broken_run_is_the_worst(tables, tmp_path):
    folder = tmp_path / "tables"
    shutil.copytree(tables, folder)
    runs = pd.read_parquet(folder / "runs.parquet")
    spoilt = (runs.task == "bowl_4") & (runs.method == "spsa")
    runs.loc[spoilt, ["status", "loss_final", "cost"]] = ["diverged", np.nan, 20.0]
    runs.to_parquet(folder / "runs.parquet", index=False)
    curves = Tables(folder).gap_curves()
    here = curves[(curves.task == "bowl_4") & (curves.method == "spsa")]
    before, after = (panels.over_seeds(here[here.cost <= 20], "cost", "gap", np.array([at]))[0] for at in (10.0, 40.0))
    assert np.isfinite(before).all()
    assert np.isinf(after).all()
    assert Tables(folder).final_gaps().gap.min() >= GAP_FLOOR


def test_a_title_that_would_leave_the_page_is_made_smaller():
    shown, (left, right) = plt.subplots(1, 2, figsize=(3.0, 2.0), layout="constrained")
    left.set_title("short")
    right.set_title("a title that is wider than its panel")
    size = left.title.get_fontsize()
    fit_titles(shown)
    shown.draw_without_rendering()
    assert right.title.get_window_extent().x1 <= shown.bbox.width
    assert right.title.get_fontsize() > 0.3 * size
    assert left.title.get_fontsize() == size
    plt.close(shown)
