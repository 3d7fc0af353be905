"""Compared with what is stored: the same conditions by construction, what differs refused by name, the board."""

import shutil
from contextlib import chdir

import pandas as pd
import pytest
import yaml
from figure_checks import words
from strangers import write_strangers

from benchmarks.contract.errors import UsageError
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import run_cell
from workflow.compare import board, parser, write_suite
from workflow.compare import main as compare
from workflow.figures import figure
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables
from workflow.tables.stored import read_stored
from workflow.tables.written import CHECKSUMS, write

BASE = {
    "suite": "base",
    "seeds": 4,
    "first_seed": 3,
    "checkpoints": 4,
    "limits": {"evaluations": 100, "minutes": 1},
    "tuned": "results/base/tuning/best.csv",
    "tuning": {"seeds": 1, "fraction": 0.5},
    "tasks": {
        "bowl": {"problem": "analytic.quadratic", "params": {"dim": 3}},
        "rosenbrock": {"problem": "analytic.rosenbrock"},
    },
    "methods": {"random_search": {}, "adam": {}, "spsa": {}, "snes": {}},
    "grid": [{"tasks": ["bowl", "rosenbrock"], "methods": ["random_search", "adam", "spsa"]}],
}


def run_suite(path):
    """Run a suite in this process; return it with its tables written."""
    suite = load_suite(path)
    for task in dict.fromkeys(cell.task for cell in suite.cells):
        calibrate(suite.calibration(task), suite.folder / "tasks" / task)
    for cell in suite.cells:
        run_cell(cell, suite.folder / "runs" / cell.task / cell.method)
    write(make_tables(suite, suite.folder), suite.folder / "tables")
    (suite.folder / "tables" / CHECKSUMS).unlink()  # tests change tables on purpose
    return suite


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a stored suite of two seeds and a stranger's file."""
    home = tmp_path_factory.mktemp("home")
    write_strangers(home / "mine")
    with chdir(home):
        (home / "config").mkdir()
        (home / "config" / "base.yaml").write_text(yaml.safe_dump({**BASE, "seeds": 2}))
        run_suite("config/base.yaml")
        (home / "config" / "base.yaml").write_text(yaml.safe_dump(BASE))  # more seeds by now than are stored
    return home


def extension(home, **changes):
    """Write a config that extends the stored one."""
    own = {"suite": "own", "extends": "config/base.yaml", "reference": "results/base"}
    own |= {"methods": {"striding": {"algorithm": "mine/striding.py"}}, "figures": {"overview": {}, "time": {}}}
    path = home / "config" / "own.yaml"
    path.write_text(yaml.safe_dump({**own, **changes}))
    return "config/own.yaml"


@pytest.fixture(scope="module")
def compared(home):
    with chdir(home):
        return run_suite(extension(home))


@pytest.fixture
def spoilt(home, tmp_path):
    """A function: the folder of the extension's tables, and these, with a stored table changed."""

    def make(name, change):
        for part in ("config", "mine", "results"):
            shutil.copytree(home / part, tmp_path / part)
        path = tmp_path / "results" / "base" / "tables" / name
        if name.endswith(".csv"):
            change(pd.read_csv(path)).to_csv(path, index=False)
        else:
            change(pd.read_parquet(path)).to_parquet(path, index=False)
        with chdir(tmp_path):
            suite = run_suite(extension(tmp_path))
            tables = make_tables(suite, suite.folder)
        folder = tmp_path / suite.folder / "tables"
        write(tables, folder)
        return folder, tables

    return make


def test_only_what_is_not_stored_runs_under_the_same_conditions(home, compared):
    assert {(cell.task, cell.method) for cell in compared.cells} == {("bowl", "striding"), ("rosenbrock", "striding")}
    cell = compared.cells[0]
    assert (cell.evaluations, cell.replicates, cell.checkpoints) == (100, [3, 4], 4)  # the seeds that are stored
    assert {cell.method for cell in compared.tuning_cells} == {"striding"}
    assert compared.tuning_cells[0].fraction == 0.5
    with chdir(home):
        asked = load_suite(extension(home, methods={"spsa": {}, "snes": {}}))
    assert {cell.method for cell in asked.cells} == {"snes"}  # spsa is stored


def test_every_row_says_where_it_comes_from(home, compared):
    runs = pd.read_parquet(home / "results" / "own" / "tables" / "runs.parquet")
    assert len(runs) == 2 * 2 * 4
    assert (runs.source[runs.method == "striding"] == "fresh").all()
    stored = runs[runs.method != "striding"]
    assert (stored.source == "stored: base at " + stored.commit + " on " + stored.device).all()
    assert stored.wall_s.notna().all()  # the same machine
    reference = pd.read_csv(home / "results" / "own" / "tables" / "reference.csv")
    assert reference.used.all()
    starts = runs.groupby(["task", "seed"]).loss_start.nunique()
    assert (starts == 1).all()


def test_the_board_has_everybody_and_ones_own_against_each(home, compared):
    folder = home / "results" / "own" / "tables"
    ranked = pd.read_csv(folder / "leaderboard.csv").set_index("method")
    assert set(ranked.index) == {"striding", "random_search", "adam", "spsa"}
    assert pd.isna(ranked.place["adam"])  # a bound
    assert sorted(ranked.place.dropna()) == [1, 2, 3]
    scores = pd.read_csv(folder / "scores.csv")
    mine = scores[scores.method == "striding"]
    assert ranked.relative_rank["striding"] == pytest.approx(((mine["rank"] - 1) / (mine.n_ranked - 1)).mean())
    duels = pd.read_csv(folder / "duels.csv")
    assert list(duels.method.unique()) == ["striding"]
    assert (duels.wins + duels.ties + duels.losses == 4).all()
    runs = pd.read_parquet(folder / "runs.parquet").pivot(index=["task", "seed"], columns="method", values="loss_final")
    against = duels.set_index("rival").loc["random_search"]
    assert against.wins >= (runs.striding < 0.5 * runs.random_search).sum()
    assert against.low <= against.effect <= against.high
    with chdir(home):
        said = board(folder)
    assert "> " in said
    assert "Striding against" in said


def test_figures_say_who_ran_here(home, compared, tmp_path):
    from workflow.figures.__main__ import make

    use_style()
    tables = Tables(home / "results" / "own" / "tables")
    assert "Run here: Striding. Stored: base at" in tables.sources()
    drawn = figure("overview").draw(tables, figure("overview").Options())
    bold = [label.get_text() for label in drawn.axes[0].get_yticklabels() if label.get_fontweight() == "bold"]
    assert bold == ["Striding"]
    assert all(path.is_file() for path in make("overview", tables.folder, {}, tmp_path / "overview.pdf"))


@pytest.mark.parametrize(
    ("name", "column", "value", "reason"),
    [
        ("scores.csv", "budget", 200, "budget 200 there, 100 here"),
        ("tasks.csv", "params", '{"condition": 1000.0, "dim": 4}', "parameter dim 4 there, 3 here"),
        ("tasks.csv", "loss_floor", 0.001, "loss_floor 0.001 there, 0 here"),
    ],
)
def test_a_stored_task_that_differs_in_a_number_is_refused_by_name(spoilt, name, column, value, reason):
    def change(frame):
        return frame.assign(**{column: frame[column].mask(frame.task == "bowl", value)})

    folder, tables = spoilt(name, change)
    reference = tables["reference.csv"].set_index(["task", "method"])
    assert set(reference.reason["bowl"]) == {reason}
    assert reference.used["rosenbrock"].all()
    bowl = tables["runs.parquet"].query("task == 'bowl'")
    assert set(bowl.method) == {"striding"}  # never mixed
    ranked = tables["leaderboard.csv"].set_index("method")
    assert (ranked.n_tasks == 1).all()  # alone on the bowl is no comparison
    assert sorted(ranked.place.dropna()) == [1, 2, 3]
    assert f"refused: 3 stored cells (bowl): {reason}" in board(folder)


def test_seconds_of_another_machine_are_on_no_axis(spoilt):
    folder, tables = spoilt("runs.parquet", lambda frame: frame.assign(device="another machine"))
    runs, curves = tables["runs.parquet"], tables["curves.parquet"]
    for frame in (runs, curves):
        assert frame.wall_s[frame.method == "striding"].notna().all()
        assert frame.wall_s[frame.method != "striding"].isna().all()
    shown = Tables(folder)
    assert shown.sources().endswith("Seconds of another machine are left out.")
    use_style()
    said = words(figure("time").draw(shown, figure("time").Options()))
    assert "Striding" in said
    assert "SPSA" not in said


def test_a_tuning_that_tried_more_than_the_stored_is_told(home, tmp_path):
    for part in ("config", "mine", "results"):
        shutil.copytree(home / part, tmp_path / part)
    for name, label, cells in (("base", "spsa", 6), ("own", "striding", 21)):
        folder = tmp_path / "results" / name / "tuning"
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"task": "bowl", "method": label, "cell": range(cells)}).to_csv(folder / "grid.csv", index=False)
    with chdir(tmp_path):
        suite = load_suite(extension(tmp_path))
        fresh = pd.read_parquet(suite.folder / "tables" / "runs.parquet").query("source == 'fresh'")
        stored = read_stored(suite, pd.read_csv(suite.folder / "tables" / "tasks.csv"), fresh)
        stored.reference.to_csv(suite.folder / "tables" / "reference.csv", index=False)
        assert "unequal: tuned over up to 21 cells here, 6 to 6 in what is stored" in board(suite.folder / "tables")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 3}, "unknown key 'seeds'"),
        ({"extends": "config/bse.yaml"}, "config/bse.yaml"),
        ({"reference": "results/nothing"}, "results/nothing/tables"),
        ({"methods": {"spsa": {"params": {"pairs": 2}}}}, "methods.spsa: means something else in config/base.yaml"),
        ({"tasks": {"bowl": {"problem": "analytic.quadratic"}}}, "tasks.bowl: means something else"),
    ],
)
def test_what_the_other_suite_decides_cannot_be_changed(home, changes, message):
    with chdir(home), pytest.raises(UsageError, match=message.replace(".", r"\.")):
        load_suite(extension(home, **changes))


def test_a_task_that_nobody_has_is_named(home, tmp_path):
    shutil.copytree(home / "config", tmp_path / "config")
    with chdir(tmp_path), pytest.raises(UsageError, match="'bowls'.*'bowl'"):
        compare(["--file", str(home / "mine" / "striding.py"), "--task", "bowls", "--with", str(home / "results/base")])


def test_all_fast_methods_meet_a_task_of_ones_own(home, tmp_path):
    shutil.copytree(home / "config", tmp_path / "config")
    (tmp_path / "mine").mkdir()
    shutil.copy(home / "mine" / "beam.py", tmp_path / "mine")
    given = parser().parse_args(["--task-file", "mine/beam.py", "--with", str(home / "results" / "base")])
    with chdir(tmp_path):
        suite = run_suite(write_suite(given))
    assert {(cell.task, cell.method) for cell in suite.cells} == {("beam", method) for method in BASE["methods"]}
    ranked = pd.read_csv(tmp_path / suite.folder / "tables" / "leaderboard.csv")
    assert set(ranked.method) == set(BASE["methods"]) - {"adam"}  # the task has no gradient
    assert (ranked.source == "fresh").all()
    assert "place" in board(tmp_path / suite.folder / "tables")
