"""Bounds, lock and conda file describe one environment, and none of them is tied to one machine."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(text) for group in (PROJECT["dependencies"], *EXTRAS.values()) for text in group]
FILES = ["pyproject.toml", "requirements.lock", "environment.yml", "CITATION.cff", "LICENSE", ".gitignore"]


def pins(lines):
    """Name → version of `name==version` lines; any other form of requirement is an error."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        assert requirement.url is None, line
        assert requirement.marker is None, line
        name = canonicalize_name(requirement.name)
        assert name not in found, f"{name} is pinned twice"
        found[name] = Version(specifier.version)
    return found


def lock_lines():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def conda_environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


LOCK = pins(lock_lines())


def conda_pins():
    (section,) = [entry for entry in conda_environment()["dependencies"] if isinstance(entry, dict)]
    return pins(section["pip"])


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_lock_admits_bound(requirement):
    version = LOCK[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=False)


def test_every_bound_but_a_pin_has_a_floor():
    for requirement in DIRECT:
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators & {"==", ">="}, f"{requirement.name} has no lower bound"


def test_lock_is_sorted_and_plain():
    lines = lock_lines()
    assert lines == sorted(lines, key=str.lower)
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line), f"not a plain pin: {line}"


def test_conda_file_equals_the_lock():
    conda = conda_pins()
    assert set(conda) == {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert conda == {name: LOCK[name] for name in conda}


def test_conda_python_is_supported():
    (python,) = [entry for entry in conda_environment()["dependencies"] if str(entry).startswith("python=")]
    supported = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert supported.contains(python.removeprefix("python=") + ".0")


def test_numpy_stays_below_what_breaks_nevergrad():
    assert LOCK["numpy"] < Version("2.4")
    (numpy,) = [requirement for requirement in DIRECT if requirement.name == "numpy"]
    assert not numpy.specifier.contains("2.4.0")


def test_torch_is_one_version_everywhere():
    (torch,) = [requirement for requirement in DIRECT if requirement.name == "torch"]
    (specifier,) = torch.specifier
    assert specifier.operator == "=="
    assert Version(specifier.version) == LOCK["torch"] == conda_pins()["torch"]
    assert LOCK["torch"].local is None, "the build (CPU or CUDA) is the index's choice, not the lock's"


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]


@pytest.mark.parametrize("name", FILES)
def test_no_host_and_no_path_of_one_machine(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"[a-z+]+://", text), "a web or file address"
    assert not re.search(r"(?m)^\s*-[if]\b|--((extra-)?index-url|find-links|trusted-host)\b", text), "an index"
    assert not re.search(r"(?<![\w.])/(home|root|work|tmp|opt|usr|mnt|Users)/", text), "a path of one machine"
    assert not re.search(r"(?<![=<>.\d])(?:\d{1,3}\.){3}\d{1,3}\b", text), "a network address"
    assert not re.search(r"\b[\w-]+\.(?:org|com|net|io|local|internal)\b", text), "a host name"
