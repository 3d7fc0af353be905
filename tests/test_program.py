"""`programs.command`: descriptions, real commands, and every way in which they fail."""

from __future__ import annotations

import re
import shutil
import sys
import time

import psutil
import pytest
import torch
import yaml

from benchmarks.contract.errors import Unsupported, UsageError
from benchmarks.contract.parameters import check
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.runner import run
from benchmarks.harness.sources import ROOT, named_files
from benchmarks.programs._execution import Failed, picture_of
from benchmarks.programs.command import Command

PYTHON = [sys.executable, "-S", "-E", "-c"]
# A picture of 4×2 pixels, grey of the first argument.
DRAW = "import sys;sys.stdout.buffer.write(b'P5 4 2 255 '+bytes([int(float(sys.argv[1]))])*8)"
SHIPPED = {"drawing": "rsvg-convert", "photograph": "convert", "temple": "povray"}


def described(folder, **changed):
    content = {
        "command": [*PYTHON, DRAW, "{grey}", "{word}"],
        "parameters": {
            "grey": {"range": [0, 255], "start": 40},
            "word": {"choices": ["a", "b"], "start": "a"},
        },
        "target": {"grey": 200, "word": "b"},
        "timeout": 20,
        **changed,
    }
    path = folder / "program.yaml"
    path.write_text(
        yaml.safe_dump({key: item for key, item in content.items() if item is not None}, sort_keys=False),
        encoding="utf-8",
    )
    return str(path)


def picture(code, name="stdout", timeout=20.0):
    return picture_of([*PYTHON, code], name, None, timeout, {})


def test_it_is_searched_and_told_decoded(tmp_path):
    task, kind = Command(file=described(tmp_path)), method_class("cma_es")
    assert task.dim == 3
    assert task.floor() == 0
    result = run(task, kind, check(kind.setup, {}, "cma_es"), Limits(60, 60), task="t", label="m", replicate=0)
    assert result.status == "finished", result.reason
    assert result.row["loss_final"] < result.row["loss_start"]
    assert result.row["n_failed"] == 0
    assert set(task.decoded(result.incumbent)) == {"grey", "word"}


# It ends when three of its kind have come; start and target, drawn once before, do not wait.
TOGETHER = """
import os,sys,time
folder, mine = sys.argv[1], sys.argv[2]
if min(abs(float(mine) - 40), abs(float(mine) - 200)) > .1:
    open(os.path.join(folder, mine), "w").close()
    while len(os.listdir(folder)) < 3: time.sleep(.02)
sys.stdout.buffer.write(b'P5 4 2 255 '+bytes([int(float(mine))])*8)
"""


@pytest.mark.parametrize("at_once", [3, 1])
def test_a_command_that_waits_runs_several_times_at_once(tmp_path, at_once):
    met = tmp_path / "met"
    met.mkdir()
    file = described(
        tmp_path,
        command=[*PYTHON, TOGETHER, str(met), "{grey}"],
        parameters={"grey": {"range": [0, 255], "start": 40}},
        target={"grey": 200},
        timeout=20 if at_once == 3 else 1,
        at_once=at_once,
    )
    task, threads = Command(file=file), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        task.observe(torch.tensor([[2.0], [3.0], [4.0]]), 0)
    finally:
        torch.set_num_threads(threads)
    assert len(task.take_failures()) == (0 if at_once == 3 else 2)  # alone, the last of three finds two who gave up


FAILURES = [
    ("import sys;print('first');sys.stderr.write('no such stone');sys.exit(3)", "crashed: exit code 3.*no such stone"),
    ("import os;os.kill(os.getpid(),11)", "crashed: died of SIGSEGV"),
    ("pass", "crashed: the picture is empty"),
    ("print('hello')", "crashed: the picture cannot be read"),
    (
        "import sys,struct;sys.stdout.buffer.write(b'Pf\\n1 1\\n-1.0\\n'+struct.pack('<f',float('nan')))",
        "invalid_loss: .*not finite",
    ),
]


@pytest.mark.parametrize(("code", "told"), FAILURES)
def test_what_becomes_of_a_command_that_fails(code, told):
    with pytest.raises(Failed, match=told):
        picture(code)


def test_a_missing_file_is_told_and_one_that_is_there_is_read():
    with pytest.raises(Failed, match=r"crashed: it left no file out\.pgm; it said: done"):
        picture("print('done')", "out.pgm")
    assert picture("open('out.pgm','wb').write(b'P5 4 2 255 '+bytes(8))", "out.pgm").shape == (2, 4, 3)


def test_a_hang_is_ended_with_its_children(tmp_path):
    noted = tmp_path / "child"
    code = (
        "import subprocess,sys,time;"
        "child=subprocess.Popen([sys.executable,'-S','-c','import time;time.sleep(600)'],start_new_session=True);"
        f"open({str(noted)!r},'w').write(str(child.pid));time.sleep(600)"
    )
    with pytest.raises(Failed, match="timeout: no end within 2 s"):
        picture(code, timeout=2.0)
    child = int(noted.read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    raise AssertionError("the child lives on")


def test_a_failed_evaluation_is_the_worst_picture_and_the_run_goes_on(tmp_path):
    code = DRAW.replace("import sys;", "import sys;assert float(sys.argv[1])<150,'too bright';")
    size = DRAW.replace("import sys;", "import sys;n=8 if float(sys.argv[1])<150 else 16;").replace(
        "4 2 255", "4 %d 255"
    )
    size = size.replace("b'P5 4 %d 255 '", "b'P5 4 %d 255 '%(n//4)").replace("*8)", "*n)")
    for script, told in ((code, "exit code 1.*too bright"), (size, "4×4 pixels, 4×2 expected")):
        changed = {"command": [*PYTHON, script, "{grey}", "{word}"], "target": {"grey": 120, "word": "b"}}
        task, kind = Command(file=described(tmp_path, **changed)), method_class("random_search")
        bad = task.reference.clone()
        bad[0] = 7.9
        assert float(task.loss(bad[None], 0)) == pytest.approx(float((task.worst - task.target).square().mean()))
        result = run(task, kind, check(kind.setup, {}, "x"), Limits(32, 60), task="t", label="m", replicate=0)
        assert result.status == "finished"
        assert 0 < result.row["n_failed"] < 32
        assert re.search(told, result.row["failure"])


@pytest.mark.parametrize("word", ["-rf", "--help", "$(touch x); rm *", "a b", "{here}", "`id`", "'\"\\", "ß"])
def test_a_value_is_one_argument_whatever_it_looks_like(tmp_path, word):
    code = f"import sys;assert sys.argv[2].encode().hex()=={word.encode().hex()!r};" + DRAW
    parameters = {"grey": {"range": [0, 255], "start": 40}, "word": {"choices": [word, "b"], "start": word}}
    changed = {"parameters": parameters, "target": {"grey": 9, "word": word}}
    Command(file=described(tmp_path, command=[*PYTHON, code, "{grey}", "{word}"], **changed))


def test_results_do_not_depend_on_the_size_of_the_pool(tmp_path):
    task = Command(file=described(tmp_path))
    z = task.space(0, 10).start + torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(task.loss(z, 0))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def test_every_kind_of_parameter_is_decoded(tmp_path):
    parameters = {
        "lin": {"range": [-1, 3], "start": 0},
        "log": {"range": [1, 256], "scale": "log", "start": 16},
        "n": {"integers": [3, 5], "start": 4},
        "many": {"integers": [0, 255], "start": 7},
        "on": {"switch": ["no sun", "sun"], "start": "sun"},
        "word": {"choices": [1, 2, 3], "start": 2},
    }
    target = {"lin": 3, "log": 1, "n": 5, "many": 255, "on": "no sun", "word": 3}
    names = [f"{{{name}}}" for name in parameters]
    task = Command(file=described(tmp_path, command=[*PYTHON, DRAW, "9", *names], parameters=parameters, target=target))
    assert task.dim == 8
    assert task.begin.tolist() == [2, 4, 1, pytest.approx(7 * 8 / 255), 0.5, 0, 1, 0]
    assert task.decoded(task.begin) == {key: item["start"] for key, item in parameters.items()}
    assert task.decoded(task.reference) == pytest.approx(target)
    for seed in range(5):
        start = task.decoded(task.start(seed))
        assert {key: start[key] for key in ("n", "many", "on", "word")} == {"n": 4, "many": 7, "on": "sun", "word": 2}


MISTAKES = [
    ({"comand": "x"}, "unknown key of"),
    ({"command": None}, "command: is missing"),
    ({"command": ["{grey}", "x", "{word}"]}, "placeholders belong into its arguments"),
    ({"command": [*PYTHON, DRAW, "{gray}"]}, "did you mean 'grey'"),
    ({"command": [*PYTHON, DRAW, "{grey}"]}, r"parameters\.word: the command never uses it"),
    ({"command": ["no-such-program-here", "{grey}", "{word}"], "install": "apt-get install it"}, "apt-get install it"),
    ({"parameters": {"grey": {"range": [3, 1], "start": 2}}}, r"parameters\.grey\.range: .*lower first"),
    ({"parameters": {"grey": {"range": [0, 1], "scale": "log", "start": 1}}}, "log scale needs a positive"),
    ({"parameters": {"grey": {"range": [0, 1]}}}, r"parameters\.grey\.start: is missing"),
    ({"parameters": {"grey": {"choices": ["a"], "start": "a"}}}, "two or more different"),
    ({"target": {"grey": 300, "word": "a"}}, r"target\.grey: is 300"),
    ({"target": {"grey": 30}}, r"target\.word: is missing"),
    ({"target": "nowhere.png"}, "no file beside this one"),
    ({"picture": "../x.png"}, "picture: is"),
    ({"timeout": 0}, "timeout: is 0"),
    ({"at_once": 1.5}, "at_once: is 1.5, must be a whole number"),
    ({"environment": {"N": 1}}, "numbers in quotes"),
    ({"command": [*PYTHON, "raise SystemExit('sorry')", "{grey}", "{word}"]}, "fails at the start: .*sorry"),
]


@pytest.mark.parametrize(("changed", "told"), MISTAKES)
def test_mistakes_are_told_with_file_key_and_way_out(tmp_path, changed, told):
    with pytest.raises((UsageError, Unsupported), match=told) as caught:
        Command(file=described(tmp_path, **changed))
    assert "program.yaml" in str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_programs_draw_the_same_twice_and_name_their_files(name):
    file = f"benchmarks/programs/{name}.yaml"
    assert len(named_files({"file": file})) == 2
    if shutil.which(SHIPPED[name]) is None:
        pytest.skip(f"needs {SHIPPED[name]}")
    task = Command(file=file)
    z = task.space(0, 10).start[None]
    assert torch.equal(task.observe(z, 0), task.observe(z, 1))
    assert task.floor() == 0 < float(task.loss(z, 0))


@pytest.mark.skipif(shutil.which("convert") is None, reason="needs convert: apt-get install -y imagemagick")
def test_the_example_of_the_page_runs_as_it_stands(tmp_path):
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    (tmp_path / "disc.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1], encoding="utf-8")
    task, kind = Command(file=str(tmp_path / "disc.yaml")), method_class("cat_cma")
    result = run(task, kind, check(kind.setup, {}, "x"), Limits(100, 100), task="t", label="m", replicate=0)
    assert result.row["loss_final"] < 0.5 * result.row["loss_start"]
    assert result.row["n_failed"] == 0
