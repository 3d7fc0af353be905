"""Data files: mirror, cache and network in this order, checksums always, and a way out in every error."""

from __future__ import annotations

import http.server
import threading
from functools import partial
from pathlib import Path

import pooch
import pytest
import torch

from benchmarks import _data
from benchmarks._data import FILES, fetch
from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT
from benchmarks.networks.digit_mlp import DigitMlp

NAME = "t10k-images-idx3-ubyte.gz"
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A web server with one small registered file, and an empty cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "data.bin").write_bytes(b"measured")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/data.bin"
    checksum = pooch.file_hash(str(folder / "data.bin"))
    monkeypatch.setattr(_data, "FILES", {"data.bin": (address, checksum)})
    monkeypatch.setenv(_data.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(_data.MIRROR, raising=False)
    yield folder
    server.shutdown()
    server.server_close()


def test_download_once(served):
    path = fetch("data.bin")
    assert path.read_bytes() == b"measured"
    (served / "data.bin").unlink()
    assert fetch("data.bin") == path


def test_wrong_checksum_is_refused_and_not_kept(served, tmp_path):
    (served / "data.bin").write_bytes(b"tampered")
    with pytest.raises(UsageError, match="another SHA-256"):
        fetch("data.bin")
    assert not [item for item in (tmp_path / "cache").glob("*") if item.is_file()]


def test_no_network(served):
    (served / "data.bin").unlink()
    with pytest.raises(UsageError, match=_data.MIRROR):
        fetch("data.bin")


def test_mirror(served, tmp_path, monkeypatch):
    mirror = tmp_path / "mirror"
    monkeypatch.setenv(_data.MIRROR, str(mirror))
    assert fetch("data.bin").parent == tmp_path / "cache", "what the mirror lacks is downloaded"
    mirror.mkdir()
    (mirror / "data.bin").write_bytes(b"half")
    with pytest.raises(UsageError, match="damaged"):
        fetch("data.bin")
    (mirror / "data.bin").write_bytes(b"measured")
    assert fetch("data.bin") == mirror / "data.bin"


def test_unknown_file():
    with pytest.raises(UsageError, match="did you mean"):
        fetch("t10k-image-idx3-ubyte.gz")


def test_addresses_are_public_and_encrypted():
    for address, checksum in FILES.values():
        assert address.startswith("https://")
        assert len(checksum) == 64


@pytest.mark.skipif(not (SHARED / NAME).is_file(), reason="no local mirror of the real data")
def test_mnist_from_a_mirror(monkeypatch):
    monkeypatch.setenv(_data.MIRROR, str(SHARED))
    problem = DigitMlp(digits="mnist", index=0)
    assert problem.target.shape == (28, 28)
    assert 0.05 < float(problem.target.mean()) < 0.5
    assert not torch.equal(problem.target, DigitMlp(digits="mnist", index=1).target)
    assert Path(fetch(NAME)) == SHARED / NAME
