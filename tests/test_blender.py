"""Tasks in Blender, without it: the protocol, workers that fail in every way, and what is said where it is missing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from blender_worker import HANGS, NAN, NONSENSE, SORRY

from benchmarks.blender import _environment, _protocol, _wicker_scene
from benchmarks.blender._environment import FOLDER, PACKAGES, way_out
from benchmarks.blender._rendered import blurred, environment, shown
from benchmarks.blender._workers import Pool, Program, Worker
from benchmarks.blender.led_display import LINES, SEGMENTS
from benchmarks.blender.wicker import Wicker
from benchmarks.contract.errors import Unsupported
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class, task_class
from benchmarks.harness.rooms import task_names
from benchmarks.harness.runner import run
from benchmarks.harness.sources import ROOT, cell_sources
from benchmarks.programs._execution import Failed

WORKER = str(Path(__file__).with_name("blender_worker.py"))
TASKS = [name.removeprefix("blender.") for name in task_names() if name.startswith("blender.")]
GOOD, GREY = np.array([0.25, 0.75]), 1 / 32  # values, and what is painted of them


def program(*manner, start_s=60.0, timeout=60.0):
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return Program((sys.executable, WORKER, *manner), variables, start_s, timeout)


def gone(process):
    return not psutil.pid_exists(process.pid) or psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE


def test_a_picture_comes_back_as_it_was_painted():
    pool = Pool(program())
    picture = pool.render(GOOD)
    assert picture.shape == (2, 4, 3)
    assert picture.dtype == np.float32
    assert (picture == GREY).all()
    pool.render(GOOD)
    assert pool.started == 1
    pool.end()


FAILURES = [
    (-1, "crashed: the worker's end: died of SIGABRT; it said: .*no such stone"),
    (HANGS, "timeout: there was no picture within 1 s"),
    (SORRY, "crashed: ValueError: of that I know nothing"),
    (NONSENSE, "crashed: an answer begins with"),
    (NAN, "invalid_loss: the picture has values that are not finite"),
    (float("nan"), "invalid_loss: values are not finite"),
    (float("inf"), "invalid_loss: values are not finite"),
]


@pytest.mark.parametrize(("value", "told"), FAILURES)
def test_every_failure_costs_one_evaluation_and_the_next_one_has_its_picture(value, told):
    pool = Pool(program(timeout=1.0 if value == HANGS else 60.0))
    found = pool.try_all([GOOD, np.array([value, 1.0]), GOOD], 1)
    assert isinstance(found[1], str)
    with pytest.raises(Failed, match=told):
        raise Failed(*found[1].split(": ", 1))
    assert (found[0] == GREY).all()
    assert (found[2] == GREY).all()
    assert pool.started == (1 if value != value or value == float("inf") else 2)
    pool.end()


def test_a_worker_killed_while_it_rests_costs_one_evaluation():
    pool = Pool(program())
    pool.render(GOOD)
    worker = pool.idle.get_nowait()
    worker.process.kill()
    worker.process.wait()
    pool.idle.put(worker)
    first, second = pool.try_all([GOOD, GOOD], 1)
    assert first.startswith("crashed: the worker's end: died of SIGKILL")
    assert (second == GREY).all()
    pool.end()


@pytest.mark.parametrize(
    ("manner", "told"),
    [("late", "timeout: it was not ready within 1 s"), ("dead", "exit code 1; it said: libXi.so.6: cannot open")],
)
def test_a_worker_that_does_not_start_is_a_status_too(manner, told):
    with pytest.raises(Failed, match=told):
        Worker(program(manner, start_s=1.0 if manner == "late" else 60.0))


def test_a_program_that_is_not_there_is_a_status_too():
    with pytest.raises(Failed, match="crashed: no-such-blender cannot be started"):
        Pool(Program(("no-such-blender",), {})).render(GOOD)


def test_pictures_do_not_depend_on_the_size_of_the_pool_and_come_in_order():
    asked = [np.array([index / 16, 1.0]) for index in range(12)]
    found = []
    for size in (1, 3):
        pool = Pool(program())
        found.append(pool.try_all(asked, size))
        assert pool.started <= size
        pool.end()
    assert all((one == other).all() for one, other in zip(*found, strict=True))
    assert [float(picture[0, 0, 0]) for picture in found[0]] == [float(values.mean() / 16) for values in asked]


def test_workers_end_with_their_pool():
    pool = Pool(program())
    pool.render(GOOD)
    worker = pool.idle.get_nowait()
    pool.idle.put(worker)
    del pool
    gc.collect()
    assert gone(worker.process)


def test_workers_end_when_nobody_asks_any_more():
    code = (
        "import sys;sys.path[:0]=[{!r},{!r}];import numpy as np;from test_blender import *;"
        "pool=Pool(program());pool.render(GOOD);print(pool.idle.get_nowait().process.pid,flush=True);os._exit(1)"
    ).format(str(ROOT), str(ROOT / "tests"))
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    number = int(told.stdout)
    for _ in range(200):
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    raise AssertionError("the worker lives on")


@pytest.mark.parametrize("head", [(9, 0, 0, 0), (1, 0, 4, 3), (1, 2, 4, 4), (1, 10**9, 2, 3), (2, 10**9, 0, 0)])
def test_heads_that_no_worker_of_ours_sends_are_refused(head):
    with pytest.raises(ValueError, match="an answer begins with"):
        _protocol.length(_protocol.ANSWER.pack(*head))


@pytest.mark.parametrize("name", TASKS)
def test_without_blender_a_task_is_unsupported_and_names_the_command(name, tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(
        Unsupported, match=f"^blender.{name}: Blender is not installed: python -m benchmarks.blender install$"
    ):
        task_class(f"blender.{name}")()


def test_an_environment_of_another_version_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "installed.txt").write_text("bpy==4.2.0\nnumpy==1.26.4", encoding="utf-8")
    assert not _environment.installed()
    (tmp_path / "installed.txt").write_text("\n".join(PACKAGES), encoding="utf-8")
    assert _environment.installed()


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """An environment whose Python is ours and whose worker paints without Blender."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    (tmp_path / "installed.txt").write_text("\n".join(PACKAGES), encoding="utf-8")
    (tmp_path / "bin").mkdir()
    starter = tmp_path / "bin" / "python"

    def tell(*manner):
        starter.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{WORKER}" {" ".join(manner)}\n', encoding="utf-8")
        starter.chmod(0o755)

    tell()
    return tell


def test_a_task_runs_on_a_worker_and_counts_what_failed(pretended, monkeypatch):
    monkeypatch.setattr(Wicker, "parameters", {**Wicker.parameters, "stakes": {"integers": [4, 8], "start": 5}})
    monkeypatch.setattr(Wicker, "found", {**Wicker.found, "stakes": 4})
    task, kind = Wicker(), method_class("random_search")
    result = run(task, kind, {"sigma": 1.0, "batch": 4}, Limits(40, 600), task="t", label="m", replicate=0)
    assert result.status == "finished", result.reason
    assert 0 < result.row["n_failed"] < 40
    assert result.row["failure"].startswith(("crashed", "invalid_loss"))
    assert result.row["loss_final"] < result.row["loss_start"]


def test_a_worker_without_its_libraries_makes_a_row(pretended, monkeypatch):
    pretended("dead")
    with pytest.raises(
        Unsupported, match="does not render the target .*libXi.*try python -m benchmarks.blender install"
    ):
        Wicker()
    monkeypatch.setattr("benchmarks.blender._rendered.missing_libraries", lambda: ["libXi.so.6"])
    with pytest.raises(
        Unsupported, match="Blender needs libXi.so.6: apt-get install -y --no-install-recommends libxi6"
    ):
        Wicker()


def test_the_way_out_names_what_it_knows():
    told = way_out(["libGL.so.1", "libX11.so.6", "libstone.so.3"])
    assert told == "apt-get install -y --no-install-recommends libgl1 libx11-6; install what has libstone.so.3"


@pytest.mark.parametrize(("words", "code", "told"), [(["instal"], 2, "there is one: install"), ([], 0, "install")])
def test_the_command_line(words, code, told):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.blender", *words], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == code
    assert told in done.stdout + done.stderr


def test_a_failed_download_has_an_exit_code_of_its_own_and_leaves_nothing(tmp_path):
    place = tmp_path / "environment"
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull, FOLDER: str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.blender", "install"],
        **{"capture_output": True, "text": True, "cwd": ROOT, "check": False},
        env={**os.environ, **nowhere},
    )
    assert done.returncode == 3, done.stderr
    assert "the packages did not come" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_worker_gets_nothing_of_our_python(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/somewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    found = environment()
    assert "PYTHONHOME" not in found
    assert "VIRTUAL_ENV" not in found
    assert found["PYTHONPATH"] == str(ROOT)


@pytest.mark.parametrize("name", TASKS)
def test_a_run_is_stale_when_its_scene_changes(name):
    files = set(cell_sources(f"blender.{name}"))
    world = "benchmarks/blender/"
    assert {f"{world}{name}.py", f"{world}_worker.py", f"{world}_stage.py"} <= files
    assert len([file for file in files if file.startswith(world) and file.endswith("_scene.py")]) == 1


def test_what_is_shown_is_the_curve_of_a_display():
    light = torch.tensor([-1.0, 0.0, 0.002, 0.2140, 1.0, 7.0])
    assert shown(light).tolist() == pytest.approx([0, 0, 0.02584, 0.5, 1, 1], abs=1e-3)


def test_a_blurred_picture_keeps_its_mean_and_spreads_a_point():
    flat = torch.full((1, 8, 12, 3), 0.3)
    torch.testing.assert_close(blurred(flat), flat)
    point = torch.zeros(1, 65, 65, 3)
    point[0, 32, 32] = 1.0
    spread = blurred(point)[0, :, :, 0]
    assert float(spread.sum()) == pytest.approx(1, abs=1e-3)
    # Variance along an axis: (1/16 of the width)², a little less for the cut at three standard deviations.
    place = torch.arange(65.0) - 32
    assert float((spread.sum(0) * place.square()).sum()) == pytest.approx((65 / 16) ** 2, rel=0.05)


def test_a_basket_has_its_stakes_and_rows_and_weaves_over_and_under():
    values = np.array([9, 5, 1, 0.7, 1.0, 1.2, 0.04, 0.3, 0.1])
    stakes, weavers = _wicker_scene.strands(values)
    assert (len(stakes), len(weavers)) == (9, 5)
    for stake in stakes:
        assert np.hypot(*stake[0, :2]) == pytest.approx(0.7)
        assert np.hypot(*stake[-1, :2]) == pytest.approx(1.0)
        assert stake[-1, 2] == pytest.approx(1.06 * 1.2)
    radii = np.hypot(weavers[0][:, 0], weavers[0][:, 1])
    assert radii[0] - radii[2] == pytest.approx(2 * 1.3 * 0.04)


def test_the_displays_say_what_is_written_there():
    assert len(LINES) == 12
    assert {len(line) for line in LINES} == {4}
    assert {len(code) for code in SEGMENTS.values()} == {7}
