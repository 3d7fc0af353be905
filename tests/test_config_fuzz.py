"""Configs that are wrong in every way we know: one line with the file, the key and the way out, or a sound suite."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.contract.errors import UsageError
from tests.campaign import configs
from workflow.preflight import check_command_line, config_files
from workflow.suite import load_suite

ROOT = Path(__file__).resolve().parent.parent
SMOKE = ROOT / "config" / "smoke.yaml"


@settings(
    derandomize=True,
    deadline=None,
    max_examples=20,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("kind", configs.MUTATIONS)
@given(pick=st.randoms(use_true_random=False), data=st.data())
def test_a_wrong_config_is_one_line(kind, pick, data):
    with tempfile.TemporaryDirectory() as folder:
        path = configs.write(Path(folder), kind, data.draw(st.sampled_from(configs.bases_of(kind))), pick)
        result, said = configs.outcome(path)
    assert result != "fault", said


def changed(tmp_path, old, new):
    """The smoke suite with one text for another, as a file."""
    text = SMOKE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "suite.yaml"
    content = text.replace(old, new, 1)
    path.write_bytes(content.encode("utf-8"))
    return path


TUNED = "prdpt_exact: {algorithm: prdpt, params: {estimator: exact}, tuned_as: prdpt}"
KINDS = {
    "key: number": ("checkpoints: 12", "5: 12", r"line \d+: the key 5 is not text.*quotes"),
    "key: null": ("checkpoints: 12", "null: 12", r"line \d+: the key null"),
    "key: yes": ("checkpoints: 12", "yes: 12", r"line \d+: the key yes"),
    "key: deep inside": ("params: {dim: 10}", "params: {5: 10}", r"line \d+: the key 5"),
    "key: twice": (
        "checkpoints: 12",
        "checkpoints: 12\nseeds: 3",
        r"line \d+: the key 'seeds' is there twice, first in line",
    ),
    "key: twice, deep inside": ("{dim: 10}", "{dim: 10, dim: 11}", r"line \d+: the key 'dim' is there twice"),
    "seeds: 2.0": ("seeds: 2", "seeds: 2.0", r"seeds: is 2.0, expected integer \(write 2\)"),
    "seeds: too many": ("seeds: 2", "seeds: 10000000", r"seeds: .*at most 1000"),
    "seeds: far too many": ("seeds: 2", f"seeds: {10**30}", r"seeds: .*at most 1000"),
    "seeds: no number at all": ("seeds: 2", f"seeds: {'9' * 5000}", r"line 5: .*is no number"),
    "seeds: hexadecimal": ("seeds: 2", f"seeds: 0x{'f' * 9000}", r"line 5: .*too large a number"),
    "minutes: nan": ("minutes: 3", "minutes: .nan", "limits.minutes: is nan, expected a finite number"),
    "minutes: inf": ("minutes: 3", "minutes: .inf", "limits.minutes: is inf, expected a finite number"),
    "minutes: 1e30": ("minutes: 3", "minutes: 1.0e+30", "limits.minutes: .*at most"),
    "fraction: nan": ("fraction: 0.25", "fraction: .nan", "tuning.fraction: is nan"),
    "memory: inf": ("memory_gib: 6", "memory_gib: .inf", "limits.memory_gib: is inf"),
    "memory: 1e30": ("memory_gib: 6", "memory_gib: 1.0e+30", "limits.memory_gib: .*at most"),
    "threads: 0": ("threads: 1", "threads: 0", "threads: is 0, must be at least 1"),
    "threads: 10**9": ("threads: 1", "threads: 1000000000", "threads: .*at most 1024"),
    "label: list": ("tuned_as: prdpt}", "tuned_as: [prdpt]}", "tuned_as: is .* expected string"),
    "label: list in a list": ("tasks: [bowl_10,", "tasks: [[bowl_10],", "grid.0.tasks.0: .* expected string"),
    "label: list in a figure": (
        "gallery: {tasks: [square_apart,",
        "gallery: {tasks: [[square_apart],",
        "figures.gallery.*tasks",
    ),
    "label: long": ("suite: smoke", f"suite: {'x' * 300}", "suite: .*at most 64 characters"),
    "label: line break": ("suite: smoke", 'suite: "smoke\\n"', "suite: .*lower-case"),
    "device": ("device: cpu", "device: mps", "device: is 'mps', must be cpu, cuda or cuda:N"),
    "number: octal": ("seeds: 2", "seeds: 010", "line 5: YAML takes 010 for an octal number; write 10"),
    "number: base 60": ("minutes: 3", "minutes: 1:30", "line .*base 60"),
    "number: text": ("minutes: 3", "minutes: 3e0", r"limits.minutes: is '3e0'.*write 3\)"),
    "number: text in a parameter": (
        "params: {dim: 10}",
        "params: {condition: 1e3}",
        r"'condition' is '1e3'.*write 1000\)",
    ),
    "number: no date": ("seeds: 2", "seeds: 2026-99-99", "line 5: .*no number, date"),
    "tuned_as: itself": (
        TUNED,
        TUNED.replace("tuned_as: prdpt", "tuned_as: prdpt_exact"),
        "tuned_as: 'prdpt_exact' is tuned as",
    ),
    "tuned_as: chain": (
        TUNED,
        TUNED.replace("tuned_as: prdpt", "tuned_as: prdpt_constant_sigma"),
        "tuned_as: 'prdpt_constant_sigma' is tuned as 'prdpt' itself; name 'prdpt'",
    ),
    "tuned_as: another algorithm": (TUNED, TUNED.replace("tuned_as: prdpt", "tuned_as: spsa"), "'spsa', not 'prdpt'"),
    "sampling.family": (
        "  family: brdf_small\n  params",
        "  family: anything\n  params",
        "sampling.family: unknown .*brdf_small",
    ),
    "sampling.methods": ("  warm_steps: 5", "  warm_steps: 5\n  methods: [randm]", "sampling.methods: .*'random'"),
    "sampling.params": ("train: 8", "model: pca, train: 8", "sampling.params.model: .*sampling.models"),
    "alias in a circle": ("seeds: 2", "seeds: &a [*a]", "line 5: .*circle"),
    "tag": ("seeds: 2", "seeds: !!python/object:os.system {}", "line 5: not valid YAML"),
    "tab": ("seeds: 2", "seeds:\n\t- 2", "line 6: not valid YAML.*spaces"),
    "control character": ("seeds: 2", "seeds: 2 # \x07", "line 5: .*U\\+0007"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_line(kind, tmp_path):
    old, new, words = KINDS[kind]
    path = changed(tmp_path, old, new)
    with pytest.raises(UsageError) as caught:
        load_suite(path)
    assert configs.judged(str(caught.value), path)[0] == "refused", str(caught.value)
    assert re.search(words, str(caught.value)), str(caught.value)


def test_numbers_that_are_meant_are_taken(tmp_path):
    suite = load_suite(changed(tmp_path, "{dim: 10}", "{dim: 1_0, condition: 1.0e+3}"))
    assert suite.tasks["bowl_10"].params == {"dim": 10, "condition": 1000.0}


@pytest.mark.parametrize("text", [path for path in configs.PATHS if path != "\ud800"])
def test_results_stay_where_they_belong(text, tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_bytes(configs.yaml.safe_dump(configs.yaml.safe_load(SMOKE.read_bytes()) | {"results": text}).encode())
    if text in ("'x'", '"', "$(x)"):  # odd, but a folder below this one like any other
        assert load_suite(path).folder == Path(text) / "smoke"
        return
    with pytest.raises(UsageError) as caught:
        load_suite(path)
    assert configs.judged(str(caught.value), path)[0] == "refused"
    assert ": results: " in str(caught.value)


def test_results_may_be_absolute_or_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_suite(changed(tmp_path, "seeds: 2", f"seeds: 2\nresults: {tmp_path}/x")).folder == tmp_path / "x/smoke"
    assert load_suite(changed(tmp_path, "seeds: 2", "seeds: 2\nresults: ~/y")).folder == tmp_path / "y" / "smoke"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("suite: x\n".encode("utf-16"), "not UTF-8 but UTF-16; save it as UTF-8"),
        (b"suite: x\n# caf\xe9\n", "not UTF-8 but Latin-1 .*line 2.*save it as UTF-8"),
        (b"", "is empty"),
        (b"- a\n", "expected a mapping"),
        (b"x: " + b"[" * 5000, "nested too deeply"),
        (b"#" * 2**21, "larger than"),
    ],
)
def test_files_that_hold_no_suite(content, words, tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        load_suite(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="is not a file"):
        load_suite(tmp_path)
    with pytest.raises(UsageError, match="not the name of a file"):
        load_suite("a\0b")


def test_a_mark_of_byte_order_does_no_harm(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMOKE.read_bytes())
    assert load_suite(path).name == "smoke"


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_text_is_utf8_whatever_the_locale(locale, tmp_path):
    path = changed(tmp_path, "# Every part", "# Größe — jede Zeile\n# Every part")
    code = "import sys; from workflow.suite import load_suite; load_suite(sys.argv[1])"
    environment = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, env=environment, check=True)


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("--cores all --configfile a.yaml -n", ["a.yaml"]),
        ("--configfile a.yaml b.yaml --cores 1 tables", ["a.yaml", "b.yaml"]),
        ("--cores 1 --configfile=a.yaml tables", ["a.yaml"]),
        ("--configfiles a.yaml -- x", ["a.yaml"]),
        ("--cores 1 tables", []),
    ],
)
def test_configs_are_found_on_a_command_line(line, files):
    assert config_files(line.split()) == files


def test_a_wrong_config_ends_a_command_before_snakemake_reads_it(tmp_path):
    with pytest.raises(SystemExit, match="absent.yaml: No such file"):
        check_command_line(["--configfile", str(tmp_path / "absent.yaml")])
    with pytest.raises(SystemExit, match="one config file, got 2.*before --configfile"):
        check_command_line(["--configfile", str(SMOKE), "tables"])
    check_command_line(["--configfile", str(SMOKE)])


@pytest.mark.parametrize(
    "content",
    [
        "suite: x\n".encode("utf-16"),
        pytest.param(b"suite: caf\xe9\n", marks=pytest.mark.slow),
        b"seeds: 2026-99-99\n",
        pytest.param(b"x: " + b"[" * 5000, marks=pytest.mark.slow),
        pytest.param(b"suite: [\n", marks=pytest.mark.slow),
        pytest.param(SMOKE.read_bytes() + b"seeds: 3\n", marks=pytest.mark.slow),
        pytest.param(SMOKE.read_bytes().replace(b"seeds: 2", b"seeds: 2.0"), marks=pytest.mark.slow),
    ],
)
def test_the_documented_command_says_one_line(content, tmp_path):
    """Snakemake by itself answers these with a traceback, or without the file's name."""
    here = configs.place(tmp_path / "here")
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    result, said = configs.outcome_of_command(path, here)
    assert result == "refused", said


@pytest.mark.exhaustive
def test_a_campaign_finds_no_fault():
    """The gate runs the campaign itself, with fewer."""
    found = configs.campaign(count=280, commands=28, seed=1)
    assert [said for _, result, said in found if result == "fault"] == []
    assert {result for _, result, _ in found} == {"refused", "accepted"}
