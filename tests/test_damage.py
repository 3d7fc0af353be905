"""Nothing damaged is believed, nothing half is kept: readers, leftovers, a full disk, other people's files."""

from __future__ import annotations

import gzip
import math
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks.appearance import _environments, _images, _merl_binary
from benchmarks.contract.errors import UsageError
from benchmarks.harness import kept, store
from benchmarks.harness.kept import Damaged
from benchmarks.networks import digit_mlp
from tests.campaign import faults

WRITTEN = {
    "a.json": (lambda path: kept.write_json(path, {"row": {"x": 1.5}, "nan": math.nan}), kept.load_json),
    "a.npz": (lambda path: kept.write_pictures(path, {"p": np.arange(30, dtype=np.uint8)[None]}), kept.load_pictures),
    "a.parquet": (
        lambda path: kept.write_table(path, pd.DataFrame({"a": [1.5, None], "b": ["x", None]})),
        kept.load_table,
    ),
    "a.state": (
        lambda path: kept.write_state(path, {"card": {"n": 1}, "state": torch.arange(9.0)}),
        lambda path: kept.load_state(path, ("card", "state")),
    ),
}


@pytest.fixture(params=WRITTEN)
def written(request, tmp_path):
    """A file of each kind, and its reader."""
    write, load = WRITTEN[request.param]
    write(tmp_path / request.param)
    load(tmp_path / request.param)
    return tmp_path / request.param, load


def test_every_flipped_bit_is_found(written):
    path, load = written
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 300)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(Damaged, match=path.name):
            load(path)


def test_every_cut_and_every_other_structure_is_found(written, capsys):
    path, load = written
    whole = path.read_bytes()
    kinds = {**faults.DAMAGES}
    kinds.pop("missing")
    for kind in ("sealed, lacking", "one bit at 3%"):
        kinds.pop(kind)  # whether something lacks is the caller's to know; bits are tried one by one above
    for spoil in kinds.values():
        path.write_bytes(spoil(path, whole))
        with pytest.raises(Damaged, match=path.name) as caught:
            load(path)
        assert "weights_only" not in str(caught.value)
        assert kept.unless_damaged(load, path) is None
        assert f"{path} is damaged" in capsys.readouterr().out
    path.write_bytes(whole + b"\0")
    with pytest.raises(Damaged):
        load(path)


def test_a_folder_in_the_place_of_a_file_is_named(written):
    path, load = written
    path.unlink()
    assert kept.unless_damaged(load, path) is None
    path.mkdir()
    with pytest.raises(UsageError, match=f"{path.name} cannot be read"):
        load(path)


def test_leftovers_of_dead_processes_go_and_of_living_ones_stay(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    old = time.time() - 2 * store.DAY
    names = {
        f".a.{dead.pid}@{store.HOST}.part": False,
        f".a.{os.getpid()}@{store.HOST}.part": True,
        f".a.{dead.pid}@another.host.part": True,
        f".b.{dead.pid}@another.host.part": False,
        f".c.{dead.pid}.part": False,
        "mine.part": True,
    }
    for name in names:
        (tmp_path / name).write_text("half")
        if name[:2] in (".b", ".c"):
            os.utime(tmp_path / name, (old, old))
    store.require_writable(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {name for name, stays in names.items() if stays}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
@pytest.mark.parametrize("name", ["a.json", "a.npz", "a.parquet", "a.state"])
def test_a_really_full_disk_is_one_line(tmp_path, name):
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(tmp_path)], capture_output=True)
    if mount.returncode:
        pytest.skip("this machine does not let us mount a small disk")
    noise = np.random.default_rng(0).integers(0, 255, (700, 700)).astype(np.uint8)
    write = {
        "a.json": lambda path: kept.write_json(path, {"x": noise.tolist()}),
        "a.npz": lambda path: kept.write_pictures(path, {"p": noise}),
        "a.parquet": lambda path: kept.write_table(path, pd.DataFrame(noise.astype(float) ** 0.5)),
        "a.state": lambda path: kept.write_state(path, {"x": torch.from_numpy(noise)}),
    }[name]
    try:
        WRITTEN[name][0](tmp_path / name)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(UsageError, match=rf"cannot write .*{name}: No space left.*free some space"):
            write(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == [name]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.exhaustive
def test_a_small_campaign_of_faults(tmp_path):
    outcomes = faults.run(tmp_path, small=True)
    assert len(outcomes.rows) >= 40
    assert not outcomes.wrong, "\n".join(faults.table(outcomes))


# What others wrote


def measured(path, change):
    values = np.full((3, *_merl_binary.SHAPE), 100.0)
    change(values)
    path.write_bytes(np.array(_merl_binary.SHAPE, "<i4").tobytes() + values.astype("<f8").tobytes())


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_a_measurement_that_is_not_finite_is_named(tmp_path, bad):
    measured(tmp_path / "steel.binary", lambda values: values.__setitem__((1, 2, 3, 4), bad))
    with pytest.raises(UsageError, match=r"steel\.binary: 1 of its values are not finite"):
        _merl_binary.read(tmp_path / "steel.binary")


def test_a_measurement_of_another_size_or_without_light_is_named(tmp_path):
    path = tmp_path / "steel.binary"
    measured(path, lambda values: values.fill(-1))
    with pytest.raises(UsageError, match=r"steel\.binary: reflects no light"):
        _merl_binary.read(path)
    path.write_bytes(np.array([-90, 90, 180], "<i4").tobytes() + path.read_bytes()[12:])
    with pytest.raises(UsageError, match=r"steel\.binary: is no measured BRDF"):
        _merl_binary.read(path)


def test_two_files_of_one_name_are_named(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with pytest.raises(UsageError, match=r"a\.jpg and .*a\.png would both be 'a'"):
        _images.read_folder(tmp_path, 8, 8, "texture")
    for name in ("sky.exr", "sky.hdr"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=r"sky\.exr and .*sky\.hdr would both be 'sky'"):
        _environments.read_folder(tmp_path, 8, 16)


def test_every_cut_of_a_picture_is_named(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(path)
        whole = path.read_bytes()
        for tenth in range(10):
            path.write_bytes(whole[: tenth * len(whole) // 10])
            with pytest.raises(UsageError, match=f"{name} cannot be read as a picture"):
                _images.read(path, 8, 8, "texture")


@pytest.mark.parametrize(
    "change", [lambda c: b"\0\0\x08\x01" + c[4:], lambda c: c[:-1], lambda c: c[:4] + struct.pack(">i", -1) + c[8:]]
)
def test_digits_with_a_wrong_header_are_named(tmp_path, change):
    content = struct.pack(">4i", 2051, 10_000, 28, 28) + bytes(10_000 * 28 * 28)
    path = tmp_path / "digits.gz"
    path.write_bytes(gzip.compress(content, 1))
    assert digit_mlp.read_idx(path).shape == (10_000, 28, 28)
    path.write_bytes(gzip.compress(change(content), 1))
    with pytest.raises(UsageError, match=r"digits\.gz does not hold MNIST's"):
        digit_mlp.read_idx(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match=r"digits\.gz cannot be decompressed"):
        digit_mlp.read_idx(path)
