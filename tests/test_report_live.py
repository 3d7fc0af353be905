"""The report in a real browser: clicks, toggles, keys, links to a state, both widths, light and dark, no error."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.browser import Browser, needs_chromium
from tests.test_report import STORED
from workflow.report.__main__ import report

pytestmark = [needs_chromium, pytest.mark.xdist_group("browser")]
WIDTHS = (390, 1440)
CELL = "prdpt|square_apart"
CHARTS = "document.querySelectorAll('#curves-here .uplot').length"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(STORED / "desk", figures=["overview"]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def learners(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(STORED / "appearance", figures=[]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    chromium.look(1440)
    chromium.errors.clear()
    yield chromium
    assert chromium.errors == []


def rows(browser):
    return browser.run("document.querySelectorAll('.matrix tbody tr').length")


def test_a_click_on_a_cell_opens_what_is_known_of_it(browser, page):
    browser.open(page)
    assert rows(browser) == 39
    browser.click(f'[data-cell="{CELL}"]')
    browser.until("!!document.querySelector('#detail .uplot')")
    said = browser.run("document.getElementById('detail').innerText")
    for words in ("PRDPT (released) on Square apart", "parameters", "antithetic", "rank", "success"):
        assert words in said
    assert "prdpt" in browser.run("location.hash")
    browser.click('[data-cell="adam|texture_64"]')
    assert browser.until("document.querySelectorAll('#detail img').length") == 3  # start, Adam's, target


def test_methods_and_tasks_are_toggled(browser, page):
    browser.open(page)
    browser.run("document.querySelectorAll('#boards details').forEach(box => { box.open = true; })")
    browser.click('.chips input[value="adam"]')
    assert rows(browser) == 38
    assert not browser.run("!!document.querySelector('[data-cell^=\"adam|\"]')")
    browser.run("document.querySelectorAll('#boards details').forEach(box => { box.open = true; })")
    browser.click('.chips input[value="caustic"]')
    assert not browser.run("!!document.querySelector('[data-plot=caustic]')")
    assert browser.run("document.activeElement.value") == "caustic"  # the focus stays where it was


def test_axes_change_what_the_plots_show(browser, page):
    browser.open(page)
    browser.middle("#curves")
    browser.until(CHARTS)
    chart = "document.querySelector('#curves-here .plot').chart"
    most = browser.run(f"{chart}.scales.x.max")
    browser.click('#curves-here [data-choice="over:seconds"]')
    browser.until(f"{chart} && {chart}.scales.x.max < {most} / 10")
    assert browser.run(f"{chart}.scales.y.distr") == 3  # logarithmic
    browser.click('#curves-here [data-choice="y:linear"]')
    browser.until(f"{chart} && {chart}.scales.y.distr === 1")
    assert "y-axis=linear" in browser.run("location.hash")


def test_pointing_at_a_curve_tells_its_numbers(browser, page):
    browser.open(page)
    browser.middle("#curves-here [data-plot=bowl_10]")
    browser.until("!!document.querySelector('#curves-here [data-plot=bowl_10]').chart")
    x, y = browser.run(
        "(() => {const chart = document.querySelector('#curves-here [data-plot=bowl_10]').chart;"
        "const line = state.board.cells['random_search|bowl_10'].curves.cost, r = chart.over.getBoundingClientRect();"
        "return [r.x + chart.valToPos(line[0][20], 'x'), r.y + chart.valToPos(line[1][20], 'y')]})()"
    )
    browser.move(x, y)
    browser.until("!document.getElementById('tip').hidden")
    said = browser.run("document.getElementById('tip').innerText")
    assert "evaluations" in said
    assert "finished" in said


def test_the_keyboard_walks_over_the_matrix(browser, page):
    browser.open(page)
    browser.run("document.querySelector('[data-at=\"0,0\"]').focus()")
    browser.key("ArrowDown", 40)
    browser.key("ArrowRight", 39)
    assert browser.run("document.activeElement.dataset.at") == "1,1"
    browser.run("document.activeElement.click()")
    assert browser.run("document.activeElement.closest('#detail') !== null")


def test_a_link_leads_to_a_state(browser, page):
    browser.open(page, "cell=adam|bowl_10&without=prdpt,snes&x=seconds&y-axis=linear")
    assert rows(browser) == 37
    assert browser.run("document.querySelector('#detail h3').innerText").startswith("Adam, true gradient on Bowl 10")
    assert (
        browser.run("document.querySelector('[data-choice=\"over:seconds\"]').getAttribute('aria-pressed')") == "true"
    )
    link = browser.run("document.getElementById('link').getAttribute('href')")
    browser.open(page, link[1:])
    assert browser.run("location.hash") == link
    assert rows(browser) == 37


def test_tables_sort_and_filter(browser, page):
    browser.open(page)
    browser.click('#claims a[href="#filter-claims=zerograds_wins"]')
    shown = "[...document.querySelectorAll('[data-table=claims] tbody tr')].filter(row => !row.hidden)"
    assert browser.run(f"{shown}.length") == 17
    assert browser.run(f"{shown}.every(row => row.innerText.includes('zerograds_wins'))")
    browser.click("[data-table=summary] th:nth-child(10) button")
    ranks = browser.run("[...document.querySelectorAll('[data-table=summary] td:nth-child(10)')].map(c => c.dataset.v)")
    found = [float(rank) for rank in ranks]
    known = [rank for rank in found if not np.isnan(rank)]
    assert known == sorted(known)
    assert known == found[: len(known)]  # missing ones last
    assert "sort-summary=9" in browser.run("location.hash")


def test_the_slider_moves_through_the_steps(browser, learners):
    browser.open(learners)
    assert rows(browser) == 11
    first = browser.run("document.querySelector('#picture-rows img').src")
    browser.click("#slider")
    assert browser.run("document.querySelector('#gallery-here output').innerText") != "0 gradient steps"
    assert browser.run("document.querySelector('#picture-rows img').src") != first


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_readable_at_any_width(browser, page, tmp_path, width, dark):
    browser.look(width, dark=dark)
    browser.open(page, f"cell={CELL}")
    assert browser.run("document.documentElement.scrollWidth") <= width
    verdict = "document.querySelector('#claims [data-table=claims] td.v').getBoundingClientRect()"
    x, right = browser.run(f"[{verdict}.left, {verdict}.right]")
    assert 0 <= x < right <= width  # the verdict, without scrolling
    browser.middle("#curves-here .plot")
    browser.until(CHARTS)
    picture = np.asarray(Image.open(io.BytesIO(browser.screenshot(tmp_path / "page.png"))).convert("L"), dtype=float)
    assert picture.shape[1] == width
    assert (picture[:, 2].mean() < 60) == dark  # the ground
    assert picture.std() > 10
