"""The figures of rendered scenes, drawn from tables made by hand."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words
from matplotlib.colors import to_hex
from scenes_by_hand import METHODS, START, TARGET, loss, make_folder

from benchmarks.contract.errors import UsageError
from workflow.figures import figure
from workflow.figures.__main__ import make
from workflow.figures.rendering import CLOCKS, METRICS
from workflow.figures.style import look, use_style
from workflow.figures.tables import Tables

mpl.use("agg")
NAMES = ["scenes", "landscape", "rendering", "reproduction"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of tables."""
    home = tmp_path_factory.mktemp("tables")
    make_folder(home)
    return home


def draw(folder, name, **options):
    use_style()
    return figure(name).draw(Tables(folder), figure(name).Options(**options))


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_full_and_uncut(folder, name):
    shown = draw(folder, name)
    assert_every_panel_shows_something(shown)
    assert_nothing_is_cut_off(shown)


@pytest.mark.parametrize("name", NAMES)
def test_command_writes_the_same_bytes_twice(folder, tmp_path, name):
    files = make(name, folder, {}, tmp_path / "one" / f"{name}.pdf")
    again = make(name, folder, {}, tmp_path / "two" / f"{name}.pdf")
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_or_task_is_named(folder, tmp_path, name):
    with pytest.raises(UsageError, match="'taks'.*'tasks'"):
        make(name, folder, {"taks": []}, tmp_path / "a.pdf")
    with pytest.raises(UsageError, match="'cub'.*'cup'"):
        make(name, folder, {"tasks": ["cub"]}, tmp_path / "a.pdf")
    assert not (tmp_path / "a.pdf").exists()


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("landscape", {"methods": ["prdbt"]}, "'prdbt'.*'prdpt'"),
        ("landscape", {"sigma": 3.0}, "sigma 3.0"),
        ("scenes", {"methods": ["adam_brb"]}, "'adam_brb'.*'adam_prb'"),
        ("scenes", {"tasks": ["shadows"]}, "task of one unknown"),
        ("rendering", {"others": ["cma_se"]}, "'cma_se'.*'cma_es'"),
        ("rendering", {"ours": "prdtp"}, "'prdtp'.*'prdpt'"),
        ("rendering", {"mitsuba": ["prdpt"]}, "'prdpt'"),
        ("reproduction", {"methods": ["cma_es"]}, "'cma_es'"),
    ],
)
def test_a_label_without_rows_is_named(folder, name, options, said):
    with pytest.raises(UsageError, match=said):
        draw(folder, name, **options)


NEEDS = {
    "scenes": ("scene_landscape.parquet", "sigma"),
    "landscape": ("scene_landscape.parquet", "z_1"),
    "rendering": ("runs.parquet", "algorithm"),
    "reproduction": ("reproduction.csv", "seconds_paper"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_table_column_or_row_is_named(tmp_path, name):
    make_folder(tmp_path)
    table, column = NEEDS[name]
    path = tmp_path / table
    csv = path.suffix == ".csv"
    whole = pd.read_csv(path) if csv else pd.read_parquet(path)
    for frame_, said in ((whole.drop(columns=column), repr(column)), (whole.head(0), "no rows")):
        frame_.to_csv(path, index=False) if csv else frame_.to_parquet(path, index=False)
        with pytest.raises(UsageError, match=said):
            draw(tmp_path, name)
    path.unlink()
    with pytest.raises(UsageError, match=f"{table} is missing"):
        draw(tmp_path, name)


@pytest.mark.parametrize("name", ["scenes", "landscape", "rendering"])
def test_scenes_that_nobody_ran_or_pictured_are_told(tmp_path, name):
    make_folder(tmp_path)
    curves = pd.read_parquet(tmp_path / "curves.parquet")
    curves[curves.metric == "psnr"].to_parquet(tmp_path / "curves.parquet", index=False)
    np.savez(tmp_path / "pictures.npz")
    if name == "rendering":  # nothing is left of it
        with pytest.raises(UsageError, match="holds no scene"):
            draw(tmp_path, name)
        return
    shown = draw(tmp_path, name)
    assert_every_panel_shows_something(shown)
    assert "nothing of this kind was logged" in words(shown)


def markers_of(axes, method):
    """(x, y) of every marker in the method's colour."""
    color = look(method).color
    lines = [line for line in axes.lines if line.get_marker() != "None" and to_hex(line.get_color()) == color]
    return np.concatenate([line.get_xydata() for line in lines])


def test_paths_lie_on_the_loss_they_descend(folder):
    shown = draw(folder, "landscape", tasks=["cup"], methods=["prdpt"])
    left, right = shown.axes
    ends = [TARGET + end for end in METHODS["prdpt"][2]]
    scale = loss(START)
    assert sorted(markers_of(left, "prdpt")[:, 0]) == pytest.approx(sorted(ends))
    assert np.abs(markers_of(left, "prdpt")[:, 1] - loss(markers_of(left, "prdpt")[:, 0]) / scale).max() < 0.01
    assert sorted(markers_of(right, "prdpt")[:, 1]) == pytest.approx(sorted(ends))
    left, right = draw(folder, "landscape", tasks=["shadows"], methods=["prdpt"]).axes
    for axes in (left, right):
        assert sorted(markers_of(axes, "prdpt")[:, 1]) == pytest.approx(sorted(end + 0.1 for end in ends))
    assert "σ = 1" in right.get_title()


def test_dots_of_the_asked_replicate_lie_at_its_unknowns(folder):
    shown = draw(folder, "scenes", tasks=["sphere_apart"], methods=["random_search", "prdpt"], seed=1)
    axes = next(axes for axes in shown.axes if axes.get_xlabel())
    way = [START + (TARGET + 2e-5 - START) * cost / 1000 for cost in (0, 10, 100, 1000)]
    found = markers_of(axes, "prdpt")
    assert set(found[:, 0].round(6)) == set(np.round(way, 6))
    first = markers_of(axes, "random_search")[0]
    assert first == pytest.approx([START, 1.0], abs=0.01)  # on the curve; the second method above it
    assert found[0, 1] > 1.02


def test_scenes_shows_the_cases_of_the_sphere_in_their_order(folder):
    said = words(draw(folder, "scenes"))
    assert said.index("start overlaps the target") < said.index("start apart from the target")
    assert "Cup" not in said


def test_the_best_gradient_of_the_path_tracer_stands_beside_ours(folder):
    shown = draw(folder, "rendering", tasks=["cup", "sort"])
    said = words(shown)
    assert look("adam_projective").name in said
    for label in ("adam_prb", "adam_softras", "prdpt_exact", "prdpt_diff", "nelder_mead"):
        assert look(label).name not in said, label
    for label in ("prdpt", "cma_es", "random_search"):
        assert look(label).name in said
    assert "1.0e-5 · 1.0e-4" in said  # of replicate 0
    panels = [axes for axes in shown.axes if axes.get_yscale() == "log"]
    assert len(panels) == 2 * len(METRICS) * len(CLOCKS)
    ends = [markers_of(panels[column], "prdpt")[-1, 1] for column in (0, 1)]
    assert ends == pytest.approx([2e-5, 2e-4], rel=1e-6)  # medians


def test_a_method_that_was_not_run_has_no_picture_but_a_word(folder):
    shown = draw(folder, "rendering", tasks=["sort", "cup"], others=["nelder_mead", "prdpt_diff"])
    said = words(shown)
    assert "not run" in said
    assert "diverged" in said or "inf" not in said


def test_reproduction_shows_papers_numbers_hollow_and_ours_filled(folder):
    shown = draw(folder, "reproduction", tasks=["cup"])
    left = shown.axes[0]
    names = [text.get_text() for text in left.get_yticklabels()]
    assert names == ["soft rasterizer", "Mitsuba AD", "∂κP (PRDPT)", "κ∂P"]
    hollow = [line for line in left.lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    assert sorted(line.get_xdata()[0] for line in hollow) == pytest.approx([4.92e-6, 4.75e-4, 5.49e-3, 0.366])
    assert markers_of(left, "prdpt")[-1] == pytest.approx([2e-5, 2])
    assert "×" in words(shown)  # κ∂P broke down there
