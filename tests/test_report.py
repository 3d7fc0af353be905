"""The report from stored tables: what it opens with, what is on it, and what one failing part costs."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.harness.kept import write_json
from workflow.report import board_diffusion, board_learners, board_runs
from workflow.report.__main__ import caption, report
from workflow.report.scoreboard import HOLDS, NOT, OPEN, PART, UNTESTED, scoreboard, totals

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "results"
TASKS, METHODS = ("bowl_10", "caustic"), ("adam", "prdpt", "snes")
UPLOT = {  # of uplot-1.6.32.tgz in the npm registry
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return three methods on two tasks of the stored results, nothing drawn."""
    results = tmp_path_factory.mktemp("report") / "small"
    (results / "tables").mkdir(parents=True)
    for path in (STORED / "desk" / "tables").glob("*.*"):
        target = results / "tables" / path.name
        if path.suffix == ".npz":
            shutil.copy(path, target)
            continue
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        for column, wanted in (("task", TASKS), ("method", METHODS)):
            if column in frame:
                frame = frame[frame[column].isin(wanted)]
        frame.to_parquet(target) if path.suffix == ".parquet" else frame.to_csv(target, index=False)
    return results


@pytest.fixture
def results(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "small")
    return tmp_path / "small"


def boards_in(text):
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)[1])


def claims(*rows):
    return pd.DataFrame([{"id": name, "source": "here", "verdict": verdict} for name, verdict in rows])


@pytest.mark.parametrize(
    ("verdicts", "whole_claim"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, UNTESTED], HOLDS),
        ([HOLDS, OPEN], PART),
        ([HOLDS, NOT], PART),
        ([NOT, OPEN], NOT),
        ([OPEN, UNTESTED], OPEN),
        ([UNTESTED], UNTESTED),
    ],
)
def test_a_claim_is_judged_by_all_of_its_rows(verdicts, whole_claim):
    rows = [(f"one/{i}", verdict) for i, verdict in enumerate(verdicts)]
    found = scoreboard(claims(*rows, ("other", HOLDS)))
    assert [(claim.id, claim.verdict) for claim in found] == [("one", whole_claim), ("other", HOLDS)]
    assert sum(found[0].rows.values()) == len(verdicts)
    assert sum(totals(found).values()) == 2


def test_a_first_part_that_all_rows_share_says_nothing():
    found = scoreboard(claims(("a/one/x", HOLDS), ("a/one/y", NOT), ("a/two", OPEN)))
    assert [(claim.id, claim.verdict) for claim in found] == [("a/one", PART), ("a/two", OPEN)]


def test_it_opens_with_a_sentence_and_has_every_part(results):
    text = report(results)
    opening = re.search(r'<div id="opening"><p>(.*?)</p>', text)[1]
    assert re.search(r"ahead of \d+ rivals", opening)
    assert re.search(r"Of \d+ claims: \d+ ", opening)
    for part in ("board", "curves", "gallery", "ranking", "claims", "hardware", "tables"):
        assert f'<section id="{part}"' in text
    assert "https://" not in re.sub(r"/\*!.*?\*/", "", text.partition("<main>")[0])
    assert 'class="fault"' not in text.partition("<noscript>")[0]


def test_boards_say_what_the_tables_say():
    scores = pd.read_csv(STORED / "desk/tables/scores.csv").set_index(["method", "task"])
    (board,) = boards_in(report(STORED / "desk", figures=[]))
    assert len(board["cells"]) == len(scores)
    for name, cell in board["cells"].items():
        score = scores.loc[tuple(name.split("|"))]
        assert cell["facts"]["status"] == score["status"]
        if pd.notna(score["gap_median"]) and cell["curves"]:
            ends = [line[-1] for line in cell["curves"]["cost"][1:]]
            assert ends[0] == pytest.approx(max(1e-4, score["gap_median"]), rel=2e-3)
    relative = [float(row["score"].split(" · ")[0]) for row in board["rows"] if row["score"].endswith("· 17")
                and row["kind"] != "oracle"]  # fmt: skip
    assert relative == sorted(relative)


def test_pictures_on_the_way_are_frames(results):
    kept = np.zeros((4, 5, 3), dtype=np.uint8)
    names = ("caustic/snes/100", "caustic/snes/2000", "nowhere/snes/100")
    np.savez(results / "tables" / "worlds.npz", **dict.fromkeys(names, kept))
    (board,) = boards_in(report(results))
    assert list(board["frames"]) == ["caustic"]
    assert board["frames"]["caustic"]["steps"] == [100, 2000]
    assert set(board["frames"]["caustic"]["rows"]["snes"]) == {"100", "2000"}


def test_every_kind_of_suite_has_a_board():
    found = {
        suite: [board["id"] for board in boards_in(report(STORED / suite, figures=[]))]
        for suite in ("appearance", "future", "rendering")
    }
    assert found == {"appearance": ["learners"], "future": ["diffusion"], "rendering": ["runs"]}
    assert {board_runs.TABLE, board_learners.TABLE, board_diffusion.TABLE} == {
        "scores.csv", "quality_at.csv", "diffusion.csv",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["scores.csv", "claims.csv", "environment.csv", "curves.parquet", "qc.csv"])
def test_a_table_that_is_missing_or_damaged_costs_its_part(results, name):
    path = results / "tables" / name
    for spoil in (lambda: path.write_bytes(b"\x00"), path.unlink):
        spoil()
        text = report(results)
        assert "<h1>beyond-gd" in text
        faults = "".join(re.findall(r'class="fault">(.*?)</p>', text))
        assert path.stem in faults or f'id="table-{path.stem}"' not in text  # what is not there has no line
        assert "could not be made" not in faults
        assert 'id="ranking"' in text


def test_a_board_that_crashes_is_a_panel(results, monkeypatch, capfd):
    def broken(_tables):
        raise ZeroDivisionError("none left")

    monkeypatch.setattr(board_runs, "board", broken)
    text = report(results)
    assert "The live plots of scores.csv could not be made (ZeroDivisionError: none left)" in text
    assert [board["id"] for board in boards_in(text)] != ["runs"]
    assert "Traceback" in capfd.readouterr().err


def test_a_figure_that_is_not_there_is_a_panel(results):
    text = report(results, ["gallery"])
    assert re.search(r'<figure id="figure-gallery"><p class="fault">.*gallery\.png is missing', text)
    assert "Start, what each method shows" in text


@pytest.mark.parametrize("path", sorted((ROOT / "workflow" / "figures").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_figure_has_a_caption(path):
    if path.stem not in ("style", "tables"):
        assert "<b>" in caption(path.stem)


@pytest.mark.parametrize("name", UPLOT)
def test_the_library_of_the_plots_is_what_its_authors_released(name):
    folder = ROOT / "workflow" / "report" / "page" / "uplot"
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == UPLOT[name]
    assert "MIT" in (folder / "LICENSE").read_text()


@pytest.mark.parametrize("lost", ["missing", "a folder in its place"])
def test_a_table_that_was_written_and_is_lost_is_told(results, lost):
    tables = results / "tables"
    written = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tables.glob("*.csv")}
    write_json(tables / "checksums.json", written)
    (tables / "scores.csv").unlink()
    if lost != "missing":
        (tables / "scores.csv").mkdir()
    told = re.findall(r'<p class="fault">(.*?)</p>', report(results), re.S)
    assert any("scores" in text and ("is missing" in text or "cannot be read" in text) for text in told), told
