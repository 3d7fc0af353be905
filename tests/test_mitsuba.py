"""Mitsuba on good and bad days: LLVM missing or deadly, no Mitsuba, no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from agreement import assert_agree
from torch.nn.functional import avg_pool2d

from benchmarks.contract.errors import Unsupported
from benchmarks.harness.sources import ROOT
from benchmarks.rendering import _mitsuba as module
from benchmarks.rendering._mitsuba import backend, llvm_candidates, works
from benchmarks.rendering.cup import Cup

pytestmark = pytest.mark.llvm

COMMAND = "apt-get install libllvm19"
NOWHERE = "/nowhere/libLLVM.so"
LOOK = """
import json
from benchmarks.rendering._mitsuba import backend
found = backend()
print(json.dumps([found.variant, found.no_gradient]))
"""
PICTURES = """
import sys
import torch
torch.set_num_threads(1)
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.runner import run
from benchmarks.rendering.cup import Cup
problem = Cup()
rows = []
limits = Limits(64, 60)
for name, params in (("random_search", {}), ("adam", {}), ("adam", {"source": "prb_projective"})):
    result = run(problem, method_class(name), params, limits, task="cup", label=name, replicate=0, checkpoints=3)
    rows.append(result.row)
ends = torch.stack([problem.start(0), problem.reference])
pictures = torch.stack([problem._pictures(ends, 16, seed) for seed in range(24)])
found = {"variant": problem.mi.variant(), "rows": rows, "pictures": pictures, "floor": problem.floor()}
torch.save(found, sys.argv[1])
"""


def python(code, *arguments, **environment):
    """Run code in a child process; an empty string takes a variable away."""
    whole = {key: value for key, value in {**os.environ, **environment}.items() if value}
    done = subprocess.run([sys.executable, "-c", code, *arguments], env=whole, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(**environment):
    return json.loads(python(LOOK, **environment).splitlines()[-1])


def deadly_llvm():
    """Return an LLVM that aborts the process that renders with it, or skip."""
    files = [file for pattern in module.PLACES for file in Path("/").glob(f"{pattern.lstrip('/')}/libLLVM-1[56]*.so*")]
    if not files:
        pytest.skip("no LLVM 15 or 16 here")
    return str(files[0])


@pytest.fixture(scope="module")
def without_llvm(tmp_path_factory):
    """What a process sees that has no LLVM: variant, rows of three runs, two pictures of the mug."""
    file = tmp_path_factory.mktemp("scalar") / "found.pt"
    python(PICTURES, str(file), DRJIT_LIBLLVM_PATH=NOWHERE)
    return torch.load(file, weights_only=True)


@pytest.fixture(scope="module")
def with_gradient():
    """Skip where Mitsuba has no LLVM."""
    found = backend()
    if found.no_gradient:
        pytest.skip(found.no_gradient)
    return found


# LLVM


def test_a_missing_llvm_is_told_with_the_command_and_the_variable():
    variant, reason = look(DRJIT_LIBLLVM_PATH=NOWHERE)
    assert variant == "scalar_rgb"
    assert COMMAND in reason
    assert f"DRJIT_LIBLLVM_PATH={NOWHERE}" in reason


def test_no_candidate_at_all():
    nothing = "from benchmarks.rendering import _mitsuba\n_mitsuba.llvm_candidates = list\n" + LOOK
    variant, reason = json.loads(python(nothing, DRJIT_LIBLLVM_PATH="").splitlines()[-1])
    assert variant == "scalar_rgb"
    assert COMMAND in reason
    assert "DRJIT_LIBLLVM_PATH" not in reason


def test_an_llvm_that_kills_is_found_out_in_a_child():
    deadly = deadly_llvm()
    variant, reason = look(DRJIT_LIBLLVM_PATH=deadly)
    assert variant == "scalar_rgb"
    assert COMMAND in reason
    assert deadly in reason


def test_the_probe_compiles_instead_of_loading_what_was_compiled_before(with_gradient, tmp_path, monkeypatch):
    monkeypatch.setenv("DRJIT_CACHE_DIR", str(tmp_path))
    assert works("llvm_ad_rgb", os.environ["DRJIT_LIBLLVM_PATH"])
    assert not list(tmp_path.iterdir())


def test_candidates_are_the_newest_first_and_each_file_once(tmp_path, monkeypatch):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
        for name in ("libLLVM.so.18.1", "libLLVM-15.so.1", "libLLVM.so.21.1", "libLLVMCore.a"):
            (folder / name).write_text("")
        (folder / "libLLVM-21.so").symlink_to("libLLVM.so.21.1")
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    monkeypatch.setattr(module, "PLACES", (f"{tmp_path}/*",))
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(module.sys, "base_prefix", str(tmp_path))
    found = [Path(file).relative_to(tmp_path) for file in llvm_candidates()]
    assert [str(file) for file in found] == [
        "a/libLLVM.so.21.1",
        "b/libLLVM.so.21.1",
        "a/libLLVM.so.18.1",
        "b/libLLVM.so.18.1",
    ]
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", "/chosen/libLLVM.so")
    assert llvm_candidates() == ["/chosen/libLLVM.so"]


def test_a_broken_candidate_is_passed_over(with_gradient, tmp_path):
    good = Path(os.environ["DRJIT_LIBLLVM_PATH"]).resolve()
    for folder in "ab":
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "libLLVM.so.99.1").write_text("another processor's")
    (tmp_path / "b" / "libLLVM.so.99.1").symlink_to(good)
    code = f"from benchmarks.rendering import _mitsuba\n_mitsuba.PLACES = ({str(tmp_path / '*')!r},)\n" + LOOK
    code += "import os; print(os.environ['DRJIT_LIBLLVM_PATH'])"
    told, chosen = python(code, DRJIT_LIBLLVM_PATH="").splitlines()[-2:]
    assert json.loads(told) == ["llvm_ad_rgb", ""]
    assert chosen == str(tmp_path / "b" / "libLLVM.so.99.1")


# without LLVM


def test_forward_tasks_run_without_llvm(without_llvm):
    assert without_llvm["variant"] == "scalar_rgb"
    row = without_llvm["rows"][0]
    assert (row["status"], row["reason"], row["n_evals"]) == ("finished", "", 64)
    assert row["loss_start"] > 0.001
    assert row["loss_final"] > 0
    assert without_llvm["floor"] == 0


@pytest.mark.parametrize("number", [1, 2], ids=["the task's own choice", "by name"])
def test_gradients_without_llvm_are_a_row_that_says_what_to_install(without_llvm, number):
    row = without_llvm["rows"][number]
    assert row["status"] == "unsupported"
    assert COMMAND in row["reason"]
    assert row["cost"] == 0


def test_scalar_and_llvm_draw_the_same_picture(with_gradient, without_llvm):
    """By the spread over 24 seeds: the whole, and blocks of 4 × 4 pixels."""
    problem = Cup()
    assert problem.mi.variant() == "llvm_ad_rgb"
    ends = torch.stack([problem.start(0), problem.reference])
    pictures = torch.stack([problem._pictures(ends, 16, seed) for seed in range(24)])
    mine, theirs = (x.movedim(-1, -3) for x in (pictures, without_llvm["pictures"]))
    assert_agree(mine.mean((-2, -1)), others=theirs.mean((-2, -1)), resolution=0.012)
    mine, theirs = (avg_pool2d(x.flatten(0, 1), 4).unflatten(0, x.shape[:2]) for x in (mine, theirs))
    apart = float((mine[:, 0] - mine[:, 1]).mean(0).abs().max())
    assert_agree(mine, others=theirs, resolution=apart)


# no Mitsuba, no GPU


def test_a_missing_mitsuba_is_told_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(Unsupported, match=r"Mitsuba 3.*pip install 'mitsuba"):
        backend.__wrapped__()


def test_a_missing_gpu_is_told():
    if works("cuda_ad_rgb"):
        pytest.skip("Mitsuba finds a GPU here")
    with pytest.raises(Unsupported, match=r"device 'cuda'.*cuda_ad_rgb does not run here.*device: cpu"):
        Cup(device="cuda")
