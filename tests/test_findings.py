"""Every number and verdict of docs/findings.md and docs/limitations.md is the cell of a committed table."""

import math
import re

import pandas as pd
import pytest

from benchmarks.harness.sources import ROOT
from workflow.report.scoreboard import ORDER, scoreboard, totals

PAGE = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
PAGES = PAGE + (ROOT / "docs" / "limitations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CELL = re.compile(r"([^\s(<>`]+(?:\s+(?:not\s+hold|tested|hold))?)<!--(\w+)/(\w+) ([^>]*?) ?(\w+)-->")
FOUND = [match.groups() for match in CELL.finditer(PAGES)]


def stored(suite, name):
    return pd.read_csv(ROOT / "results" / suite / "tables" / f"{name}.csv")


def value(suite, name, keys, column):
    rows = stored(suite, name)
    for pair in keys.split():
        key, _, wanted = pair.partition("=")
        rows = rows[rows[key].astype(str) == wanted]
    assert len(rows) == 1, f"{suite}/{name} {keys}: {len(rows)} rows"
    return rows[column].iloc[0]


@pytest.mark.parametrize(("said", "suite", "name", "keys", "column"), FOUND, ids=lambda part: str(part)[:60])
def test_a_number_is_its_cell(said, suite, name, keys, column):
    known = value(suite, name, keys, column)
    if column == "verdict":
        assert " ".join(said.split()).endswith(known)
        return
    digits = said.replace("10^", "").replace("−", "-").replace(",", "")
    decimals = len(digits.partition(".")[2])
    assert math.isclose(float(digits), float(known), abs_tol=0.5001 * 10**-decimals)


def test_every_number_with_a_fraction_names_its_cell():
    """Versions of names, such as `0 the optimum`, are no measurements; fractions and powers of ten are."""
    bare = re.sub(r"[^\s(<>]+<!--.*?-->", "", PAGES)
    bare = re.sub(r"`[^`]*`|\]\([^)]*\)", "", bare)
    assert re.findall(r"(?<![\w.])(?:\d*\.\d+|10\^\S+)", bare) == []
    assert len(FOUND) > 60


def test_every_finding_has_a_figure_and_a_table_that_are_there():
    findings = re.findall(r"^\* .*?(?=^\* |^## |\Z)", PAGE, re.M | re.S)
    assert len(findings) > 15
    for finding in findings:
        figures = re.findall(r"\]\(\.\./(results/\S+\.png)\)", finding)
        assert figures
        assert all((ROOT / figure).is_file() for figure in figures)
        suite = figures[0].split("/")[1]
        tables = re.findall(r"`(\w+\.csv)`", finding.partition("Table")[2])
        assert tables
        assert all((ROOT / "results" / suite / "tables" / table).is_file() for table in tables)


@pytest.mark.parametrize("suite", ["desk", "pictures", "rendering", "appearance", "future"])
def test_the_scoreboard_of_the_readme_counts_the_claims(suite):
    (row,) = re.findall(rf"^\| \[{suite}\].*$", README, re.M)
    counts = totals(scoreboard(stored(suite, "claims")))
    assert [int(cell) for cell in re.findall(r"\| (\d+) (?=\|)", row)] == [counts[verdict] for verdict in ORDER]


def test_the_readme_is_short_and_its_commands_come_first():
    assert len(README.split()) < 900
    first, second = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)[:2]
    assert "snakemake --cores all --configfile config/smoke.yaml" in first
    assert second.rstrip().endswith("pytest")
