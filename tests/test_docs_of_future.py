"""Every number in the tables of docs/rays.md and docs/posterior.md is what the committed tables give."""

import math
import re

import pandas as pd
import pytest

from benchmarks.harness.sources import ROOT

TABLES = ROOT / "results" / "future" / "tables"
NUMBER = re.compile(r"\d*\.?\d+")
ARMS = ["even", "by_primal", "by_gradient", "few_pairs", "many_pairs"]  # columns of the descents' table
EQUAL_COST = ["budget_few_pairs", "budget_some_pairs", "budget_many_pairs", "joint"]
GUIDES = {  # first words of a row → label
    "no guide": "unguided",
    "loss gradient": "loss",
    "likelihood gradient": "likelihood",
    "picture gradient": "picture",
    "picture gradient, memory": "picture_memory",
    "**picture gradient, shared (ours)**": "picture_shared",
    "EnKG": "enkg",
    "DPS, softened (oracle)": "dps",
}


def rows_of(page, heading):
    """Return the rows, lists of cells, of the table of a page whose heading begins so."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (table,) = re.findall(rf"^\| {re.escape(heading)}.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def numbers(cells):
    return [found for cell in cells for found in NUMBER.findall(cell)]


def assert_rounded(said, known):
    """Every number that is said is the one that is known, to the digits that are said."""
    assert len(said) == len(known)
    for text, value in zip(said, known, strict=True):
        decimals = len(text.partition(".")[2])
        assert math.isclose(float(text), value, abs_tol=0.5001 * 10**-decimals), (text, value)


@pytest.mark.parametrize("row", rows_of("rays.md", "scene (dim)"), ids=lambda row: row[0].split()[0])
def test_variances_of_rays_are_medians_of_their_table(row):
    table = pd.read_csv(TABLES / "rays.csv")
    medians = table.groupby(["task", "metric", "allocation", "samples"]).value.median()[row[0].split()[0]]
    known = [medians["active", "uniform", 0.0], medians["common", "uniform", 0.0]]
    known += [medians["share", "uniform", samples] for samples in (0.125, 1, 16)]
    known += [medians["ray_gain", allocation, 0.0] for allocation in ("primal", "gradient")]
    known += [medians["total_gain", "gradient", samples] for samples in (0.125, 1, 16)]
    assert_rounded(numbers(row[1:]), [*known, medians["fewer", "uniform", 0.0]])


@pytest.mark.parametrize("row", rows_of("rays.md", "rays a step"), ids=lambda row: row[0])
def test_errors_of_descents_are_medians_of_their_table(row):
    medians = pd.read_csv(TABLES / "rays_descents.csv").groupby(["task", "arm"]).error.median()[row[0]]
    assert_rounded(numbers(row[1:]), [medians[arm] for arm in ARMS])


@pytest.mark.parametrize("row", rows_of("rays.md", "cost"), ids=lambda row: row[0])
def test_errors_of_descents_of_equal_cost_are_medians_of_their_table(row):
    medians = pd.read_csv(TABLES / "rays_descents.csv").groupby(["task", "arm"]).error.median()[row[0]]
    assert_rounded(numbers(row[1:]), [medians[arm] for arm in EQUAL_COST])


@pytest.mark.parametrize("row", rows_of("rays.md", "scene | overhead"), ids=lambda row: row[0])
def test_overheads_and_gains_of_prb_are_medians_of_their_table(row):
    table = pd.read_csv(TABLES / "rays.csv")
    medians = table.groupby(["task", "metric", "allocation"]).value.median()[row[0]]
    gains = [medians["prb_ray_gain", how] for how in ("primal", "gradient") if "prb_ray_gain" in medians]
    assert_rounded(numbers(row[1:]), [medians["overhead", "uniform"], *gains])


@pytest.mark.parametrize("row", rows_of("posterior.md", "guide | `polar`"), ids=lambda row: row[0])
def test_distances_to_posteriors_are_medians_of_their_table(row):
    table = pd.read_csv(TABLES / "posterior.csv")
    table = table[table.metric == "sliced_w2"]
    for task, cell in zip(("polar", "thresholds", "caustic"), row[1:], strict=True):
        part = table[table.task == task]
        if row[0].startswith("floor"):
            known = [part.floor.median()]
        else:
            known = part[part.guide == GUIDES[row[0]]].groupby("budget").value.median().tolist()
        assert_rounded(numbers([cell]), known)
