"""Every figure is drawn from tables in which anything may be missing, and says what is."""

import hashlib
import json
import shutil

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from damaged_tables import COMMITTED, REASON, empty, lose, lose_learners, lose_tasks, make_whole, read
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words

from benchmarks.contract.errors import UsageError
from benchmarks.harness.kept import read_json
from workflow.figures import __main__ as command
from workflow.figures import figure, names
from workflow.figures.style import use_style
from workflow.figures.tables import Tables

mpl.use("agg")
STATUSES = ["missing", "unsupported", "timeout", "diverged", "crashed", "out_of_memory"]
METHODS = ["adam", "adam_prb", "cma_es", "prdpt", "prdpt_diff", "prdpt_exact", "random_search", "spsa", "zerograds"]
LEARNERS = ["fomaml", "general", "learned_schedule", "maml", "overfit"]


def rest(case):
    """Return the case as one of those that the gate leaves out."""
    return pytest.param(case, marks=pytest.mark.exhaustive)


def of(method):
    return lambda runs: runs.method == method


LIBRARIES = {  # what needs an optional library: every gradient of Mitsuba's, pycma's and nevergrad's methods
    "mitsuba's gradients": lambda runs: runs.algorithm.isin(["adam", "prdpt_diff"]),
    "cma": lambda runs: runs.method.isin(["cma_es", "nelder_mead"]),
    "everything": lambda runs: runs.task.notna(),
}
PARTS = {  # what a reader still sees most of
    "prdpt crashed": lambda at: lose(at, "crashed", of("prdpt")),
    "no gradient of mitsuba": lambda at: lose(at, "unsupported", LIBRARIES["mitsuba's gradients"]),
    "one task not calibrated": lambda at: lose_tasks(at, lambda tasks: tasks.task.isin(["sphere_apart", "square"])),
    "learned_schedule crashed": lambda at: lose_learners(at, "crashed", lambda t: t.learner == "learned_schedule"),
}
WHOLES = {
    "no method": lambda at: lose(at, "unsupported", LIBRARIES["everything"]),
    "no task calibrated": lambda at: lose_tasks(at, lambda tasks: tasks.task.notna()),
    "no learner": lambda at: lose_learners(at, "crashed", lambda table: table.learner.notna()),
    "empty tables": lambda at: [empty(path) for path in at.iterdir()],
    "no tables": lambda at: [path.unlink() for path in at.iterdir()],
}
PRODUCT = {
    "no scene calibrated": lambda at: lose_tasks(at, lambda tasks: tasks.problem.str.startswith("rendering")),
    "no learner on brdf": lambda at: lose_learners(at, "crashed", lambda table: table.family == "brdf"),
    **{f"{m} {s}": lambda at, m=m, s=s: lose(at, s, of(m)) for m in METHODS for s in STATUSES},
    **{f"{name} {s}": lambda at, c=c, s=s: lose(at, s, c) for name, c in LIBRARIES.items() for s in STATUSES},
    **{
        f"{who} {s}": lambda at, w=who, s=s: lose_learners(at, s, lambda table: table.learner == w)
        for who in LEARNERS
        for s in ("missing", "diverged", "crashed")
    },
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of tables of which nothing is missing."""
    folder = tmp_path_factory.mktemp("whole")
    make_whole(folder)
    use_style()
    return folder


def altered(whole, target, alter):
    shutil.copytree(whole, target)
    alter(target)
    return target


class Noted(Tables):
    """Tables that note which of them a figure reads."""

    def __init__(self, folder):
        self.names = set()
        super().__init__(folder)

    def _path(self, name):
        self.names.add(name)
        return super()._path(name)


@pytest.fixture(scope="module")
def concerned(whole):
    """A function of a folder: the figures that read a table which differs there."""
    reads = {}
    for name in names():
        tables = Noted(whole)
        plt.close(figure(name).draw(tables, figure(name).Options()))
        reads[name] = tables.names

    def of_folder(folder):
        same = {p.name for p in whole.iterdir() if (folder / p.name).is_file() and digest(p) == digest(folder / p.name)}
        return [name for name in names() if reads[name] - same]

    return of_folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def draw(folder, name):
    """Return the figure, or the panel that stands in for it, and whether it is the figure."""
    try:
        return figure(name).draw(Tables(folder), figure(name).Options()), True
    except UsageError as error:
        return command.excuse({"figure": name, "status": command.MISSING, "reason": str(error)}), False


def judge(name, shown):
    """The parts of every panel lie on the page and none is silently empty."""
    try:
        assert_every_panel_shows_something(shown)
        assert_nothing_is_cut_off(shown)
        assert "nan" not in words(shown).lower().split()
    except AssertionError as error:
        raise AssertionError(f"{name}: {error}") from error
    plt.close("all")  # what was begun before it was given up as well


def test_what_nothing_is_missing_of_is_drawn(whole):
    for name in names():
        shown, is_figure = draw(whole, name)
        assert is_figure, (name, words(shown))
        judge(name, shown)


@pytest.mark.parametrize("case", PARTS)
def test_what_is_left_is_drawn(whole, concerned, tmp_path, case):
    folder = altered(whole, tmp_path / "tables", PARTS[case])
    assert concerned(folder)
    for name in concerned(folder):
        shown, is_figure = draw(folder, name)
        assert is_figure, (name, words(shown))
        judge(name, shown)


@pytest.mark.parametrize("case", WHOLES)
def test_where_nothing_is_left_a_panel_says_why(whole, concerned, tmp_path, case):
    folder = altered(whole, tmp_path / "tables", WHOLES[case])
    for name in concerned(folder):
        shown, _ = draw(folder, name)
        judge(name, shown)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case if n % 9 == 0 else rest(case) for n, case in enumerate(PRODUCT)])
def test_any_method_or_learner_may_be_lost_in_any_way(whole, concerned, tmp_path, case):
    folder = altered(whole, tmp_path / "tables", PRODUCT[case])
    for name in concerned(folder):
        shown, _ = draw(folder, name)
        judge(name, shown)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name if n % 3 == 0 else rest(name) for n, name in enumerate(names())])
def test_any_table_may_be_missing_or_empty(whole, concerned, tmp_path, name):
    for path in sorted(whole.iterdir()):
        for alter in (lambda at, n=path.name: (at / n).unlink(), lambda at, n=path.name: empty(at / n)):
            folder = altered(whole, tmp_path / f"{path.name}-{len(list(tmp_path.iterdir()))}", alter)
            if name in concerned(folder):
                judge(name, draw(folder, name)[0])
            shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("suite", "name", "status", "chosen"),
    [
        ("rendering", "rendering", "unsupported", LIBRARIES["mitsuba's gradients"]),
        ("desk", "time", "crashed", lambda runs: runs.algorithm == "zerograds"),
    ],
)
def test_committed_tables_with_lost_runs(whole, tmp_path, suite, name, status, chosen):
    shutil.copytree(COMMITTED / suite / "tables", tmp_path / "tables")
    runs, curves = (read(tmp_path / "tables" / f"{table}.parquet") for table in ("runs", "curves"))
    lost = chosen(runs).to_numpy(bool)
    keys = [list(zip(t.task, t.method, t.seed, strict=True)) for t in (runs[lost], curves)]
    curves[~np.isin([hash(key) for key in keys[1]], [hash(key) for key in keys[0]])].to_parquet(
        tmp_path / "tables" / "curves.parquet", index=False
    )
    runs.loc[lost, ["status", "reason", "loss_final"]] = [status, REASON, np.nan]
    runs.to_parquet(tmp_path / "tables" / "runs.parquet", index=False)
    tasks = {"rendering": ["cup", "shadows"], "time": ["bowl_10", "caustic"]}[name]
    shown = figure(name).draw(Tables(tmp_path / "tables"), figure(name).Options(tasks=tasks))
    assert REASON.split(":")[0] in words(shown)
    judge(name, shown)


def test_the_reason_stands_where_the_curve_would(whole, tmp_path):
    folder = altered(whole, tmp_path / "tables", WHOLES["no method"])
    for name in ("time", "rendering", "scenes", "landscape", "gallery"):
        assert "libatomic" in words(draw(folder, name)[0]), name


def test_a_label_that_failed_is_shown_and_an_unknown_one_is_an_error(whole, tmp_path):
    folder = altered(whole, tmp_path / "tables", PARTS["prdpt crashed"])
    options = figure("time").Options(methods=["prdpt", "cma_es"])
    said = words(figure("time").draw(Tables(folder), options))
    assert "crashed in ask: libatomic" in said
    with pytest.raises(UsageError, match="'prdtp'"):
        figure("time").draw(Tables(folder), figure("time").Options(methods=["prdtp"]))


def broken(*_):
    raise ZeroDivisionError("a bug\nof ours")


@pytest.mark.parametrize(("options", "code"), [({}, 0), ({"taks": []}, 1)])
def test_the_last_resort_is_a_panel_with_a_record(whole, tmp_path, monkeypatch, capfd, options, code):
    monkeypatch.setattr(figure("time"), "draw", broken)
    out, record = tmp_path / "time.pdf", tmp_path / "time.json"
    arguments = ["figures", "time", "--tables", str(whole), "--options", json.dumps(options), "--out", str(out)]
    monkeypatch.setattr("sys.argv", [*arguments, "--record", str(record)])
    if code:
        with pytest.raises(UsageError, match="'taks'.*'tasks'"):
            command.main()
        assert not record.exists()
        return
    command.main()
    assert out.is_file()
    assert out.with_suffix(".png").is_file()
    assert read_json(record) == {"figure": "time", "status": "crashed", "reason": "ZeroDivisionError: a bug of ours"}
    assert "Traceback" in capfd.readouterr().err
    first = out.read_bytes()
    command.main()
    assert out.read_bytes() == first


def test_without_a_record_an_error_stays_one(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["figures", "time", "--tables", str(tmp_path), "--out", str(tmp_path / "a.pdf")])
    with pytest.raises(UsageError, match="is missing"):
        command.main()
    assert not (tmp_path / "a.pdf").exists()


def test_a_full_disk_is_not_the_figures_fault(whole, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        command.make_or_say_why("time", whole, {}, tmp_path / "file" / "time.pdf")
