"""The list of what did not run, and its summary."""

import shutil

import pandas as pd
import pytest
import yaml
from damaged_tables import REASON, lose, lose_learners, lose_tasks, make_whole

from benchmarks.harness.kept import write_json
from workflow.failures import causes, make_failures, summary
from workflow.report.__main__ import failed
from workflow.report.contents import Shelf
from workflow.suite import load_suite

FIGURES = ["time", "ecdf", "overview"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("suite")
    (home / "results" / "tables").mkdir(parents=True)
    make_whole(home / "results" / "tables")
    lose(home / "results" / "tables", "missing", lambda runs: runs.task == "cup")  # where one diverged
    return home / "results"


@pytest.fixture
def results(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "results")
    for name in FIGURES:
        write_json(
            tmp_path / "results/logs/figures" / f"{name}.json", {"figure": name, "status": "drawn", "reason": ""}
        )
    return tmp_path / "results"


@pytest.fixture
def suite(tmp_path):
    config = {
        "suite": "hand",
        "seeds": 2,
        "limits": {"evaluations": 1000, "minutes": 1},
        "tasks": {name: {"problem": "analytic.quadratic", "params": {"dim": 4}} for name in ("bowl_4", "bowl_60")},
        "methods": {name: {} for name in ("prdpt", "spsa", "cma_es")},
        "grid": [{"tasks": ["bowl_4", "bowl_60"], "methods": ["prdpt", "spsa", "cma_es"]}],
        "families": {"brdf": {"training": {"samples": 1000}}},
        "learners": {"maml": {}, "general": {}},
        "adaptations": [{"families": ["brdf"], "learners": ["maml", "general"], "steps": 10}],
        "figures": {name: {} for name in FIGURES},
        "results": str(tmp_path / "results"),
    }
    path = tmp_path / "hand.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_suite(path)


def listed(suite, results, kind):
    table = make_failures(suite, results)
    return table[table.kind == kind].drop(columns="suite").reset_index(drop=True)


def test_where_everything_ran_the_list_is_empty(suite, results):
    found = listed(suite, results, "cell")
    assert found.empty
    whole_list = make_failures(suite, results)
    whole_list = whole_list[whole_list.kind != "cell"]
    assert whole_list.empty, whole_list
    assert summary(whole_list, results) == "Everything ran."


@pytest.mark.parametrize("status", ["unsupported", "diverged", "timeout", "crashed"])
def test_a_cell_is_one_row_with_seeds_reason_and_log(suite, results, status):
    lose(results / "tables", status, lambda runs: (runs.method == "spsa") & (runs.task == "bowl_4"))
    (row,) = listed(suite, results, "cell").to_dict("records")
    phase = "ask" if status in ("crashed", "timeout") else ""
    assert row == {"kind": "cell", "name": "bowl_4/spsa", "status": status, "phase": phase, "runs": 2,
                   "reason": REASON, "log": "logs/run/bowl_4/spsa.log"}  # fmt: skip


def test_a_run_that_its_method_ended_is_no_failure(suite, results):
    runs = pd.read_parquet(results / "tables" / "runs.parquet")
    runs.assign(status="stopped").to_parquet(results / "tables" / "runs.parquet", index=False)
    assert listed(suite, results, "cell").empty


def test_tasks_learners_figures_and_what_has_no_row_are_listed(suite, results):
    lose_tasks(results / "tables", lambda tasks: tasks.task == "bowl_60")
    lose(results / "tables", "missing", lambda runs: (runs.task == "bowl_4") & (runs.method == "prdpt"))
    lose_learners(results / "tables", "crashed", lambda table: table.learner == "maml")
    write_json(results / "logs/figures/time.json", {"figure": "time", "status": "crashed", "reason": "ValueError: no"})
    (results / "logs/figures/ecdf.json").write_text("[]")
    table = make_failures(suite, results)
    found = {kind: part.set_index("name") for kind, part in table.groupby("kind")}
    assert found["task"].loc["bowl_60", ["status", "phase"]].tolist() == ["unsupported", "setup"]
    assert found["cell"].loc["bowl_4/prdpt", "status"] == "missing"
    assert found["learner"].loc["brdf/maml", "status"] == "crashed"
    assert found["figure"].status.to_dict() == {"time": "crashed", "ecdf": "missing"}
    said = summary(table, results / "tables" / "failures.csv")
    assert said.startswith(f"{len(table)} of the suite's parts")
    assert "apt-get install" in said
    assert said.index("crashed") < said.index("unsupported")  # what is broken comes first
    table.to_csv(results / "tables" / "failures.csv", index=False)
    shown = failed(Shelf(results / "tables"))
    assert "bowl_4/prdpt" in shown
    assert "apt-get install libatomic1" in shown


@pytest.mark.parametrize("name", ["tasks.csv", "runs.parquet", "models.parquet"])
def test_a_missing_or_damaged_table_is_a_row(suite, results, name):
    path = results / "tables" / name
    path.write_bytes(b"PAR1 no")
    (row,) = listed(suite, results, "table").to_dict("records") if name != "tasks.csv" else [{"name": name}]
    assert row["name"] == name
    path.unlink()
    (row,) = listed(suite, results, "table").to_dict("records")
    assert row["name"] == name
    assert "missing" in row["reason"]


def test_the_summary_is_short_and_groups_by_reason():
    rows = [{"kind": "cell", "name": f"task_{i}/adam", "status": "unsupported", "phase": "", "runs": 2,
             "reason": REASON, "log": ""} for i in range(40)]  # fmt: skip
    rows += [{**rows[0], "status": "crashed", "reason": f"ValueError: {i}", "name": f"a{i}/b"} for i in range(20)]
    table = pd.DataFrame(rows)
    assert len(causes(table)) == 21
    said = summary(table, "failures.csv").splitlines()
    assert len(said) <= 12
    assert "60 of the suite's parts" in said[0]
    assert said[-1] == "  and 13 other causes"
