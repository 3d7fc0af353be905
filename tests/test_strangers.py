"""A method, a task, a family and a learner from files outside the repository: tables, claims and figures have them."""

from contextlib import chdir

import pandas as pd
import pytest
import yaml
from figure_checks import words
from strangers import write_strangers

from benchmarks.contract.errors import UsageError
from benchmarks.harness.adapt import adapt_all
from benchmarks.harness.calibrate import calibrate
from benchmarks.harness.cell import run_cell
from benchmarks.harness.meta_train import train_all
from benchmarks.harness.registry import method_class
from benchmarks.harness.sources import ROOT, sources
from workflow.figures import figure
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.suite import load_suite
from workflow.tables.__main__ import make_tables
from workflow.tables.written import write


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A suite of strangers and of some that everybody knows, run, with its tables."""
    home = tmp_path_factory.mktemp("outside")
    files = {name: str(path) for name, path in write_strangers(home / "mine").items()}
    content = {
        "suite": "strange",
        "results": str(home / "results"),
        "seeds": 2,
        "checkpoints": 4,
        "limits": {"evaluations": 120, "minutes": 1},
        "tasks": {"beam": {"problem": files["beam"]}, "bowl": {"problem": "analytic.quadratic"}},
        "methods": {"random_search": {}, "spsa": {}, "striding": {"algorithm": files["striding"]}},
        "grid": [{"tasks": ["beam", "bowl"], "methods": ["random_search", "spsa", "striding"]}],
        "families": {"lines_short": {"family": files["lines"], "training": {"samples": 64}, "pictured": 1}},
        "learners": {"random_init": {}, "halving": {"algorithm": files["halving"]}},
        "adaptations": [{"families": ["lines_short"], "learners": ["random_init", "halving"], "steps": 5}],
        "figures": {"overview": {}, "paradigms": {}, "adaptation": {}},
    }
    config = home / "strange.yaml"
    config.write_text(yaml.safe_dump(content))
    with chdir(home):
        found = load_suite(config)
        for task in found.tasks:
            calibrate(found.calibration(task), found.folder / "tasks" / task)
        for cell in found.cells:
            run_cell(cell, found.folder / "runs" / cell.task / cell.method)
        for cell in found.meta_cells:
            models = found.folder / "models" / cell.family / cell.learner
            train_all(cell, models)
            adapt_all(cell, models, found.folder / "adaptation" / cell.family / cell.learner)
        write(make_tables(found, found.folder), found.folder / "tables")
    return found


@pytest.mark.parametrize("name", ["overview", "paradigms", "adaptation"])
def test_figures_name_them(suite, name):
    use_style()
    said = words(figure(name).draw(Tables(suite.folder / "tables"), figure(name).Options()))
    own = ("Striding", "Beam") if name == "overview" else ("Halving", "Straight lines (short)")
    for word in own:
        assert word in said


def test_tables_have_them_and_no_folder_of_anybodys(suite):
    folder = suite.folder / "tables"
    runs = pd.read_parquet(folder / "runs.parquet")
    assert (runs[runs.method == "striding"].status == "finished").all()
    assert set(runs.algorithm) == {"random_search", "spsa", "striding"}
    assert pd.read_csv(folder / "tasks.csv").set_index("task").problem["beam"] == "beam"
    scores = pd.read_csv(folder / "scores.csv").set_index(["task", "method"])
    assert scores.gap_median["beam", "striding"] < 0.5
    labels = pd.read_csv(folder / "labels.csv").set_index("label")
    assert labels.kind["striding"] == "single point"
    assert labels.color.nunique() == len(labels) - 1  # families have none
    assert "striding" in set(pd.read_parquet(folder / "hits.parquet").method)


def test_jobs_depend_on_the_file_itself(suite):
    path = suite.config["methods"]["striding"]["algorithm"]
    found = sources(path)
    assert path in found
    assert "methods/base.py" in found
    cell = next(cell for cell in suite.cells if cell.method == "striding")
    before = cell.fingerprint()
    text = (ROOT / path).read_text()
    (ROOT / path).write_text(text + "\n# changed\n")
    assert cell.fingerprint() != before
    (ROOT / path).write_text(text)


def test_a_file_that_is_not_there_is_named(suite, tmp_path):
    content = {**suite.config, "methods": {**suite.config["methods"], "striding": {"algorithm": "no/mine.py"}}}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match=r"methods\.striding: method no/mine\.py: there is no such file"):
        load_suite(tmp_path / "a.yaml")
    with pytest.raises(UsageError, match="no such file"):
        method_class("no/mine.py")
    wrong = {**suite.config["methods"]["striding"], "params": {"stepp": 1.0}}
    content["methods"]["striding"] = wrong
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UsageError, match="did you mean 'step'"):
        load_suite(tmp_path / "a.yaml")
