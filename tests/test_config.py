"""Suite configs: the shipped ones are sound, a wrong one is refused in a line that names file, key and way out."""

import copy
import inspect
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from benchmarks.contract.errors import UsageError
from benchmarks.contract.parameters import check, defaults
from benchmarks.harness.registry import method_class, task_class
from benchmarks.harness.rooms import (
    method_names,
    task_names,
)
from benchmarks.harness.search import grid
from methods.base import GRID_CELLS
from workflow.figures import names as figure_names
from workflow.signature import setup_of
from workflow.suite import Suite, load_suite, to_json

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = sorted((ROOT / "config").glob("*.yaml"))
LARGEST = 248_832

MICRO = {
    "suite": "micro",
    "seeds": 2,
    "limits": {"evaluations": 100, "minutes": 1},
    "tasks": {"bowl": {"problem": "analytic.quadratic", "params": {"dim": 4}}},
    "methods": {
        "random_search": {},
        "es": {"algorithm": "evolution_strategy"},
        "es_one_sided": {
            "algorithm": "evolution_strategy",
            "params": {"sampling": "one_sided", "lr": 0.5},
            "tuned_as": "es",
        },
    },
    "grid": [{"tasks": ["bowl"], "methods": ["random_search", "es", "es_one_sided"]}],
    "figures": {"overview": {"tasks": ["bowl"]}},
}


@pytest.fixture
def micro(tmp_path):
    """A function that writes the micro suite, changed, and returns its path."""

    def write(change=None):
        config = copy.deepcopy(MICRO)
        if change:
            change(config)
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(config):
        for key in keys:
            config = config[key]
        config[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("sedes", 3), ["unknown key 'sedes'", "'seeds'"]),
        (put("tasks", "bowl", "evaluatons", 3), ["tasks.bowl", "'evaluatons'", "'evaluations'"]),
        (put("limits", "evaluations", -5), ["limits.evaluations", "-5", "at least 1"]),
        (put("limits", "evaluations", "many"), ["limits.evaluations", "'many'", "integer"]),
        (put("limits", "minutes", 0), ["limits.minutes", "more than 0"]),
        (put("seeds", 0), ["seeds", "at least 1"]),
        (put("first_seed", -1), ["first_seed", "at least 0"]),
        (put("device", "gpu"), ["device", "'gpu'"]),
        (put("tuning", {"fraction": 2}), ["tuning.fraction", "at most 1"]),
        (put("tuning", {"except": ["nowhere"]}), ["tuning.except", "nowhere"]),
        (put("tasks", {}), ["tasks", "empty"]),
        (put("tasks", "Big Bowl", {"problem": "analytic.quadratic"}), ["tasks", "'Big Bowl'"]),
        (put("tasks", "bowl", "problem", "analytic.quadratik"), ["tasks.bowl.problem", "'analytic.quadratic'"]),
        (put("tasks", "bowl", "params", {"dimm": 4}), ["tasks.bowl", "'dimm'", "'dim'"]),
        (put("tasks", "bowl", "params", {"dim": "four"}), ["tasks.bowl", "'dim'", "expected int"]),
        (put("methods", "prdtp", {}), ["methods.prdtp", "unknown method 'prdtp'", "'prdpt'"]),
        (put("methods", "es", "params", {"learning": 1}), ["methods.es", "'learning'"]),
        (put("methods", "es", "params", {"sampling": "two_sided"}), ["methods.es", "'two_sided'", "one_sided"]),
        (put("methods", "es", "tuned_as", "random_serch"), ["methods.es.tuned_as", "'random_search'"]),
        (put("grid", 0, "tasks", ["bowls"]), ["grid.0.tasks", "'bowls'", "'bowl'"]),
        (put("grid", 0, "methods", ["ess"]), ["grid.0.methods", "'ess'", "'es'"]),
        (put("figures", {"overvew": {}}), ["figures", "'overvew'", "'overview'"]),
        (put("figures", "overview", "tasks", ["bow"]), ["figures.overview.tasks", "'bow'", "'bowl'"]),
        (put("figures", "overview", {"taks": ["bowl"]}), ["figures.overview", "'taks'", "'tasks'"]),
        (lambda config: config.pop("grid"), ["'grid' is missing"]),
    ],
)
def test_wrong_config(micro, change, words):
    path = micro(change)
    with pytest.raises(UsageError) as caught:
        load_suite(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_not_yaml(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("suite: [micro\n")
    with pytest.raises(UsageError, match="not valid YAML"):
        load_suite(path)
    with pytest.raises(UsageError, match="No such file"):
        load_suite(tmp_path / "absent.yaml")


def test_cells(micro):
    suite = load_suite(micro(put("tasks", "bowl", "evaluations", 7)))
    assert [(cell.task, cell.method) for cell in suite.cells] == [
        ("bowl", "random_search"),
        ("bowl", "es"),
        ("bowl", "es_one_sided"),
    ]
    cell = suite.cells[2]
    assert (cell.algorithm, cell.evaluations, cell.minutes) == ("evolution_strategy", 7, 1)
    assert cell.replicates == [0, 1]
    assert to_json(cell) == to_json(load_suite(suite.path).cells[2])


def test_tuned_values_lie_between_defaults_and_explicit_ones(micro, tmp_path):
    best = tmp_path / "best.csv"
    best.write_text("task,method,parameter,value\nbowl,es,lr,0.25\nbowl,es,sigma,1.0e-05\n")
    suite = load_suite(micro(put("tuned", str(best))))
    params = {cell.method: cell.params for cell in suite.cells}
    assert params["random_search"] == {}
    assert params["es"] == {"lr": 0.25, "sigma": 1e-5}
    assert params["es_one_sided"] == {"lr": 0.5, "sigma": 1e-5, "sampling": "one_sided"}
    assert {cell.method: cell.params for cell in suite.tuning_cells} == {"random_search": {}, "es": {}}


@pytest.mark.parametrize("content", ["task,method\nbowl,es\n", "task,method,parameter,value\nbowl,es,lr,fast\n"])
def test_damaged_tuned_table(micro, tmp_path, content):
    best = tmp_path / "best.csv"
    best.write_text(content)
    with pytest.raises(UsageError, match=r"best.csv, line 2.*target `tune`"):
        load_suite(micro(put("tuned", str(best))))


def test_tuned_table_of_another_version(micro, tmp_path):
    best = tmp_path / "best.csv"
    best.write_text("task,method,parameter,value\nbowl,es,momentum,0.9\n")
    with pytest.raises(UsageError, match=r"best.csv \(bowl, es\).*'momentum'"):
        load_suite(micro(put("tuned", str(best))))


def test_a_missing_tuned_table_means_defaults(micro, tmp_path):
    assert all(not cell.params for cell in load_suite(micro(put("tuned", str(tmp_path / "no.csv")))).cells[:2])


def test_nobody_is_tuned_on_a_task_that_is_too_dear(micro):
    suite = load_suite(micro(put("tuning", {"except": ["bowl"]})))
    assert suite.cells
    assert suite.tuning_cells == []


def test_tuning_is_the_same_for_all(micro):
    suite = load_suite(micro(put("tuning", {"seeds": 3, "fraction": 0.1})))
    found = {(cell.evaluations, cell.fraction, cell.minutes, len(cell.replicates)) for cell in suite.tuning_cells}
    assert found == {(100, 0.1, 1, 3)}
    assert {cell.run({}, second).minutes for cell in suite.tuning_cells for second in (False, True)} == {0.1, 1}
    assert {cell.run({}, second).evaluations for cell in suite.tuning_cells for second in (False, True)} == {10, 100}


def test_replicates_begin_where_the_suite_says(micro):
    suite = load_suite(micro(put("first_seed", 5)))
    assert {tuple(cell.replicates) for cell in suite.cells} == {(5, 6)}
    assert suite.calibration("bowl")["replicates"] == [5, 6]
    assert {tuple(cell.replicates) for cell in suite.tuning_cells} == {(0,)}  # numbers of their own, far beyond


def test_reading_a_config_imports_nothing_heavy():
    code = (
        "import sys; from workflow.suite import load_suite; load_suite(sys.argv[1]); "
        "print([name for name in ('torch', 'numpy', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(SHIPPED[0])], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", [*(f"benchmarks.{n}" for n in task_names()), *(f"methods.{n}" for n in method_names())]
)
def test_the_signature_read_from_source_is_the_real_one(name):
    room, short = name.split(".", 1)
    kind = task_class(short) if room == "benchmarks" else method_class(short)
    stub = setup_of(name)
    assert stub is not None
    real = defaults(kind.setup)
    found = defaults(stub)
    assert list(found) == list(real)
    for key, value in real.items():
        assert found[key] == value or found[key] is None
    plain = {key: value for key, value in real.items() if value is not inspect.Parameter.empty}
    assert check(stub, plain, name) == check(kind.setup, plain, name)


def test_names_are_found_without_importing_what_they_name():
    code = (
        "import sys; from benchmarks.harness import rooms; "
        "print([len(getattr(rooms, name)()) for name in dir(rooms) if name.endswith('_names') and name[0] != '_'], "
        "[name for name in sys.modules if name in ('torch', 'numpy') or name.startswith('methods')])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    counts, loaded = run.stdout.rsplit("[", 1)
    assert len(json.loads(counts)) >= 8
    assert min(json.loads(counts)) >= 2
    assert loaded.strip() == "]"
    assert "harness.rooms" not in task_names()
    assert {"raster.square", "caustics.height_field"} <= {*task_names()}
    assert "base" not in method_names()


OF_SCENES = {"scenes", "landscape", "rendering", "reproduction"}  # figures that need rendered scenes
OF_LEARNERS = {"inner_loop", "quality_time", "adaptation", "paradigms", "sampling"}
OF_LENGTHS = {"training"}  # of one family, trained for different lengths
OF_DIFFUSION = {"diffusion", "diffusion_order", "posterior", "rays"}
OF_PICTURES = {"influence"}  # what a method that reads pictures learns
OF_WORLDS = {"worlds"}  # what becomes of pictures that programs and simulators make


def test_pictures_are_kept_of_the_tasks_that_figures_show():
    config = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    ball = {"problem": "rendering.sphere", "params": {"case": "apart"}}
    config["tasks"] = {"ball": ball, "mug": {"problem": "rendering.cup"}}

    def kept(figures):
        return Suite(Path("smoke.yaml"), {**config, "figures": figures}).pictured

    assert kept({}) == []
    assert kept({"gallery": {"tasks": ["mug"]}, "scenes": {}}) == ["mug", "ball"]
    assert kept({"rendering": {"tasks": ["mug"]}, "overview": {}}) == ["mug"]
    assert kept({"rendering": {}}) == ["ball", "mug"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
class TestShipped:
    def test_is_sound(self, path):
        suite = load_suite(path)
        assert suite.name == path.stem
        if suite.reference:
            assert suite.figures
        elif suite.name.startswith("worlds"):
            assert set(suite.figures) >= {"gallery", "ecdf", "overview"} | OF_WORLDS
        elif any(task.problem.startswith("rendering.") for task in suite.tasks.values()):
            assert set(suite.figures) >= OF_SCENES
        elif suite.name == "long":
            assert set(suite.figures) == {"gallery", "gradient", "ecdf", "time", "overview"}
        elif suite.name == "scaling":
            assert set(suite.figures) == {"scaling", "overview"}
        elif suite.name == "pictures":
            assert set(suite.figures) == {"gallery", "ecdf", "time", "ablation", "overview"} | OF_PICTURES
        elif suite.tasks:
            elsewhere = OF_SCENES | OF_LEARNERS | OF_LENGTHS | OF_DIFFUSION | OF_PICTURES | OF_WORLDS
            assert set(suite.figures) == set(figure_names()) - elsewhere
        if suite.name == "appearance_training":
            assert set(suite.figures) == OF_LENGTHS
        elif suite.meta_cells:
            assert set(suite.figures) >= OF_LEARNERS - (set() if "sampling" in suite.config else {"sampling"})
            assert {cell.family for cell in suite.meta_cells} == set(suite.config["families"])
            assert {cell.learner for cell in suite.meta_cells} == set(suite.config["learners"])
        if not suite.reference:
            assert {task for task, _ in suite.pairs} == set(suite.tasks)
            assert {method for _, method in suite.pairs} == set(suite.config.get("methods", {}))
        if suite.diffusion:
            assert set(suite.figures) >= OF_DIFFUSION
        first = [*suite.cells, *suite.meta_cells, *suite.diffusion.values()][0]
        assert json.loads(to_json(first))["suite"] == suite.name

    def test_random_search_is_everywhere(self, path):
        suite, met = load_suite(path), defaultdict(set)
        stored = suite.reference.scores if suite.reference else {}
        own = {label for label, _ in suite.pairs}
        for label, method in [*suite.pairs, *stored]:
            if label in own:
                task = suite.tasks[label]
                met[task.problem, str(task.params)].add(method)  # one at other evaluations is the same task
        assert all("random_search" in methods for methods in met.values())

    def test_same_tuning_effort(self, path):
        for cell in load_suite(path).tuning_cells:
            axes = method_class(cell.algorithm).grid
            assert 1 < len(grid(dict(axes))) <= GRID_CELLS, cell.method
            assert not set(axes) & set(cell.params), f"{cell.method}: tuned and fixed at once"

    def test_ablations_fix_what_they_are_about(self, path):
        config = load_suite(path).config
        for methods in (config.get("methods", {}), config.get("learners", {})):
            for label, entry in methods.items():
                if "tuned_as" in entry:
                    model = methods[entry["tuned_as"]]
                    assert entry["algorithm"] == model.get("algorithm", entry["tuned_as"]), label
                    assert entry["params"], label


def test_desk_reaches_the_largest_size():
    suite = load_suite(ROOT / "config" / "desk.yaml")
    sizes = {task_class(task.problem)(**task.params).dim for task in suite.tasks.values()}
    assert {1, 2, 1024, 35_152, 196_608, LARGEST} <= sizes
    assert suite.seeds >= 3


def test_what_is_too_dear_names_the_suite_that_has_it(micro, tmp_path):
    (tmp_path / "other.yaml").write_text("grid: [{tasks: [bowl], methods: [es]}]\n")
    suite = load_suite(micro(put("elsewhere", [str(tmp_path / "other.yaml")])))
    found = {(cell.task, cell.method): cell.elsewhere for cell in suite.cells}
    assert found.pop(("bowl", "es")) == str(tmp_path / "other.yaml")
    assert set(found.values()) == {""}
    with pytest.raises(UsageError, match=r"none\.yaml"):
        load_suite(micro(put("elsewhere", [str(tmp_path / "none.yaml")])))
