"""The committed results agree with themselves: tables with their schemas, figures with what the tables draw."""

import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmarks.harness.sources import ROOT
from tests.test_packaging import lock_lines, pins
from workflow.figures.__main__ import make
from workflow.tables.claims_learners import learner_claims
from workflow.tables.schema import FOLDER, check

RESULTS = ROOT / "results"
# What somebody computed in this checkout, as the main job does, is beside what is committed and may be half done.
KEPT = re.findall(r"^!results/(\w+)$", (ROOT / ".gitignore").read_text(), re.MULTILINE)
TABLES = sorted(
    path
    for suite in KEPT
    for path in (RESULTS / suite).glob("tables/*")
    if path.suffix in (".csv", ".parquet") and (FOLDER / f"{path.stem}.yaml").is_file()
)
FIGURES = sorted(path for suite in KEPT for path in (RESULTS / suite).glob("figures/*.png"))
BLOCK = 8  # pixels: what is compared are means of squares of this size, as antialiasing differs between platforms
ALLOWED = 1.0  # of 255, mean over the picture


def read(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def test_what_is_committed_is_found():
    assert {"desk", "rendering", "appearance", "future"} <= {path.parts[-3] for path in FIGURES}
    assert "smoke" not in KEPT


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_committed_table_satisfies_its_schema(path):
    check(read(path), path.stem)


def blocks(path):
    """Return the mean brightness of squares, (rows, columns)."""
    picture = np.asarray(Image.open(path).convert("L"), dtype=float)
    rows, columns = (length // BLOCK for length in picture.shape)
    return picture[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).mean((1, 3))


@pytest.mark.slow
@pytest.mark.skipif(
    matplotlib.__version__ != str(pins(lock_lines())["matplotlib"]), reason="another matplotlib draws other pixels"
)
@pytest.mark.parametrize("path", FIGURES, ids=lambda path: f"{path.parts[-3]}/{path.stem}")
def test_a_committed_figure_is_what_is_drawn_from_the_committed_tables(path, tmp_path):
    suite = path.parts[-3]
    options = yaml.safe_load((ROOT / "config" / f"{suite}.yaml").read_text())["figures"][path.stem]
    _, drawn = make(path.stem, RESULTS / suite / "tables", options or {}, tmp_path / f"{path.stem}.pdf")
    stored, again = blocks(path), blocks(drawn)
    assert stored.shape == again.shape
    assert np.abs(stored - again).mean() < ALLOWED


def test_other_figures_are_told_apart():
    """The tolerance is no licence: two figures of one size differ by more."""
    one, other = (blocks(RESULTS / f"{suite}/figures/overview.png") for suite in ("desk", "rendering"))
    rows, columns = (min(sizes) for sizes in zip(one.shape, other.shape, strict=True))
    assert np.abs(one[:rows, :columns] - other[:rows, :columns]).mean() > 10 * ALLOWED


@pytest.mark.slow
def test_the_committed_claims_about_learners_follow_from_the_committed_tables():
    tables = RESULTS / "appearance" / "tables"
    stored = read(tables / "claims.csv").set_index("id")
    again = pd.DataFrame(learner_claims(read(tables / "models.parquet"), read(tables / "adaptation.parquet")))
    again = again.set_index("id")
    assert set(again.index) <= set(stored.index)
    stored = stored.loc[again.index]
    for column in ("claim", "measured", "verdict"):
        assert again[column].tolist() == stored[column].tolist()
    assert np.allclose(again[["effect", "low", "high"]], stored[["effect", "low", "high"]], equal_nan=True)
    assert not stored["measured"].str.contains(r"\binf\b|infinitely").any()
