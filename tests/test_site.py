"""The pages as a site: built as users build it, warnings are errors, every link leads somewhere."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Links(HTMLParser):
    """What a page links to or shows, and its anchors."""

    def __init__(self, page):
        super().__init__()
        self.targets, self.anchors = [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.targets += [found[key] for key in ("href", "src") if found.get(key)]
        self.anchors.add(found.get("id"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_page_of_the_repository_is_there(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} | {"index", "contributing"}
    assert {path.stem for path in site.glob("*.html")} - {"404"} == pages
    assert "Two commands" in (site / "index.html").read_text(encoding="utf-8")


def test_every_link_leads_somewhere_in_the_site_and_nothing_is_loaded_from_elsewhere(site):
    pages = {path.name: Links(path) for path in site.glob("*.html") if path.name != "404.html"}
    assert sum(len(page.targets) for page in pages.values()) > 500
    for name, page in pages.items():
        for target in page.targets:
            if target.startswith(("http:", "https:", "data:", "mailto:")):
                assert not target.endswith((".js", ".css", ".woff2")), (name, target)
                continue
            path, _, anchor = target.partition("#")
            assert (site / path).exists() or path in ("", "."), (name, target)
            if anchor and (path or name) in pages:
                assert anchor in pages[path or name].anchors, (name, target)


def test_the_contracts_are_told_with_their_members(site):
    anchors = Links(site / "api.html").anchors
    assert {
        *("methods.base.Method.ask", "methods.base.Descent", "methods.base.Space", "workflow.compare.write_suite"),
        *("benchmarks.contract.problem.Problem.observe", "benchmarks.contract.family.Family.loss"),
        *("methods.meta.base.Learner.adapt", "benchmarks.harness.runner.run"),
    } <= anchors
