"""Wrong configs by the thousand: each has to be refused in one line, or to be a suite after all.

`python -m tests.campaign.configs --count 1000` prints a table, kind → refused, accepted, faults, and ends with 1 if
there was a fault: a traceback, a message of more than one line or without the file's name, or a file written.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import random
import re
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.contract.errors import UsageError
from workflow import validate
from workflow.signature import setup_of
from workflow.suite import load_suite, to_json

ROOT = Path(__file__).resolve().parents[2]
BASES = sorted((ROOT / "config").glob("*.yaml"))
PARTS = ["Snakefile", "environment.yml", "profiles", "benchmarks", "methods", "workflow", "config"]
LONGEST_MESSAGE = 1000

DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
VALUES = [
    *(0, -1, 1, 2.0, 0.5, 10**9, 10**30, 1e30, -1e30, 1e-300, math.nan, math.inf, -math.inf, True, False, None),
    *(
        "",
        "x",
        "1e-3",
        "0x10",
        "01",
        "x" * 300,
        "a\nb",
        "a\0b",
        "é",
        "..",
        "-x",
        "{task}",
        "~",
        "null",
        "cpu",
        "cuda:x",
    ),
    *([], {}, [[]], [None], [1, "a"], {"a": {"b": []}}, ["a"] * 1000, DEEP, datetime.date(2026, 1, 2), b"\xff\0"),
]
KEYS = [
    5,
    None,
    True,
    2.5,
    datetime.date(2026, 1, 2),
    "",
    "x" * 300,
    "a b",
    "é",
    "Größe",
    "a\nb",
    "__use_yte__",
    "<<",
    "=",
]
PATHS = [
    *("..", "../x", "a/../../x", "/tmp/../x", "-x", "~nobody-here/x", "a\0b", "a\nb", "a{task}b", "{", "", ".", "/"),
    *(
        "x" * 300,
        "a/" * 600,
        " x",
        "x ",
        "tests",
        "benchmarks/x",
        ".git",
        "\ud800",
        "a\tb",
        "\x1b[0m",
        "'x'",
        '"',
        "$(x)",
    ),
]
NUMBERS = [
    "010",
    "1:30",
    "1:30.5",
    "1e-3",
    "1e3",
    "0x_",
    "0b",
    "1_0",
    "09",
    "2.0",
    ".nan",
    ".inf",
    "9" * 5000,
    "0o7",
    "+-1",
]
LINES = [
    *(
        "\tseeds: 2",
        "seeds: 2",
        "seeds: [",
        "}",
        "&a",
        "*a",
        "x: *nope",
        "x: &a [*a]",
        "!!python/object:os.system x",
        "? [a]",
    ),
    *("x: 2026-99-99", "---", "...", "%YAML 9.9", "x: !!int abc", "x: !!binary '*'", "- x", "x: 'y", "<<: 5", "<<: *b"),
]

Mutation = Callable[[random.Random, Any], bytes]


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _dumped(config: Any) -> bytes:
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True).encode("utf-8", "surrogatepass")


def _places(config: Any) -> list[tuple[Any, Any]]:
    """Return every container of a config with every one of its keys."""
    items = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    return [place for key, value in list(items) for place in [(config, key), *_places(value)]]


def wrong_value(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    container, key = pick.choice(_places(config))
    container[key] = pick.choice(VALUES)
    return _dumped(config)


def wrong_setting(pick: random.Random, base: Path) -> bytes:
    """A value at one of the suite's own keys, whether the base has it or not."""
    config = yaml.safe_load(_text(base))
    schema = yaml.safe_load(validate.SCHEMA.read_text(encoding="utf-8"))["properties"]
    key = pick.choice(list(schema))
    inner = schema[key].get("properties")
    if inner and pick.random() < 0.7:
        config.setdefault(key, {})[pick.choice(list(inner))] = pick.choice(VALUES)
    else:
        config[key] = pick.choice(VALUES)
    return _dumped(config)


def wrong_key(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    mappings = [config, *(container[key] for container, key in _places(config) if isinstance(container[key], dict))]
    chosen = pick.choice(mappings)
    if chosen and pick.random() < 0.5:
        chosen[pick.choice(KEYS)] = chosen.pop(pick.choice(list(chosen)))
    else:
        chosen[pick.choice(KEYS)] = pick.choice(VALUES)
    return _dumped(config)


def missing_key(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    container, key = pick.choice(_places(config))
    del container[key]
    return _dumped(config)


def wrong_parameter(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    rooms = [
        ("methods", "methods.", "algorithm"),
        ("learners", "methods.meta.", "algorithm"),
        ("families", "benchmarks.appearance.", "family"),
        ("tasks", "benchmarks.", "problem"),
    ]
    section, room, field = pick.choice([item for item in rooms if config.get(item[0])])
    label = pick.choice(list(config[section]))
    entry = config[section][label]
    known = list(setup_of(room + entry.get(field, label)).parameters)
    entry.setdefault("params", {})[pick.choice(known) if known else "x"] = pick.choice(VALUES)
    return _dumped(config)


def wrong_option(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    figure = pick.choice(list(config["figures"]))
    known = list(validate.options_of(f"workflow.figures.{figure}").parameters)
    config["figures"][figure] = {pick.choice(known or ["unknown"]): pick.choice(VALUES)}
    return _dumped(config)


def wrong_label(pick: random.Random, base: Path) -> bytes:
    """A label where another kind of label, or none, belongs."""
    config = yaml.safe_load(_text(base))
    labels = [name for kind in ("tasks", "methods", "families", "learners") for name in config.get(kind, {})]
    spots = [(entry, "tuned_as") for kind in ("methods", "learners") for entry in config.get(kind, {}).values()]
    spots += [(config[kind], pick.choice(list(config[kind]))) for kind in ("methods", "tasks") if kind in config]
    spots += [(config["sampling"], "family")] if "sampling" in config else []
    container, key = pick.choice(spots)
    container[key] = pick.choice([*labels, *VALUES])
    return _dumped(config)


def wrong_path(pick: random.Random, base: Path) -> bytes:
    config = yaml.safe_load(_text(base))
    config[pick.choice(["results", "tuned"])] = pick.choice(PATHS)
    return _dumped(config)


def wrong_number(pick: random.Random, base: Path) -> bytes:
    words = _text(base).split(" ")
    numbers = [index for index, word in enumerate(words) if word[:1].isdigit()]
    at = pick.choice(numbers or range(len(words)))  # a suite that extends another may have none
    words[at] = pick.choice(NUMBERS) + words[at].lstrip("0123456789._e+-")
    return " ".join(words).encode()


def wrong_line(pick: random.Random, base: Path) -> bytes:
    lines = _text(base).splitlines()
    at = pick.randrange(len(lines))
    if pick.random() < 0.5:
        lines.insert(pick.randrange(len(lines)), lines[at])  # a key that is there twice, or out of place
    else:
        lines.insert(at, pick.choice(LINES))
    return "\n".join(lines).encode()


def wrong_encoding(pick: random.Random, base: Path) -> bytes:
    text = _text(base)
    content = text.encode(pick.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037"]), "replace")
    latin = text.encode() + b"# caf\xe9\n"
    at = pick.randrange(len(text))
    stray = text.encode()[:at] + bytes([pick.choice([0, 7, 0x80, 0xFF, 0xE9, 0xA0])]) + text.encode()[at:]
    return pick.choice([content, latin, stray])


def wrong_structure(pick: random.Random, base: Path) -> bytes:
    content = _text(base).encode()
    at = pick.randrange(len(content))
    bomb = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n".encode()
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    return pick.choice(
        [
            content[:at],
            content[at:],
            content[:at] + content[at + pick.randrange(20) :],
            content + b"x: " + b"[" * 2000 + b"]" * pick.choice([0, 2000]),
            content + bomb,
            bomb,
            b"",
            b"null",
            b"x",
            b"[" + content + b"]",
            b'{"suite": 5, "suite": 6}',
            b"x: " + b"y" * 2**21,
        ]
    )


def wrong_bytes(pick: random.Random, base: Path) -> bytes:
    return bytes(pick.randrange(256) for _ in range(pick.randrange(200)))


def wrong_table(pick: random.Random, base: Path) -> bytes:
    """A sound suite with a damaged table of tuned parameters beside it: `TABLE` stands for its place."""
    config = yaml.safe_load(_text(base))
    return _dumped(config | {"tuned": "TABLE"})


MUTATIONS: dict[str, Mutation] = {
    function.__name__.replace("_", " "): function
    for function in (
        *(wrong_value, wrong_setting, wrong_key, missing_key, wrong_parameter, wrong_option, wrong_label, wrong_path),
        *(wrong_number, wrong_line, wrong_encoding, wrong_structure, wrong_bytes, wrong_table),
    )
}


# What a suite has to have for a kind of mistake to be made in it: a pattern of its text.
NEEDS = {"wrong table": "^tasks:", "wrong parameter": "^(methods|learners):", "wrong label": "^(methods|learners):"}


def bases_of(kind: str) -> list[Path]:
    """Return the suites in which this kind of mistake can be made."""
    return [base for base in BASES if re.search(NEEDS.get(kind, ""), _text(base), re.MULTILINE)]


def damaged_table(pick: random.Random) -> bytes:
    """Return a table of tuned parameters that is not one."""
    config = yaml.safe_load(_text(pick.choice(bases_of("wrong table"))))
    task, method = pick.choice(list(config["tasks"])), pick.choice(list(config["methods"]))
    value = json.dumps(pick.choice([value for value in VALUES if not isinstance(value, bytes | datetime.date)]))
    cell = value.replace('"', '""')
    return pick.choice(
        [
            f'task,method,parameter,value\n{task},{method},lr,"{cell}"\n'.encode("utf-8", "surrogatepass"),
            "task,method,parameter,value\nbowl,é,lr,1\n".encode("latin-1"),
            "task,method,parameter,value\n".encode("utf-16"),
            b'task,method,parameter,value\na,b,c,"' + b"9" * 200_000 + b'"\n',
            b"task,method,parameter,value\na,b,c," + b"[" * 100_000 + b"\n",
            b"task,method\na,b\n",
            b"task,method,parameter,value\na,b,c\n",
            b"task,method,parameter,value\na,b,c,fast\n",
            b"task,method,parameter,value\na,b,c," + b"9" * 5000 + b"\n",
            b"task,method,parameter,value\na,\0,c,1\n",
            b'"',
            b"",
            bytes(pick.randrange(256) for _ in range(100)),
        ]
    )


def write(folder: Path, kind: str, base: Path, pick: random.Random) -> Path:
    """Write one wrong config into an empty folder; return its path."""
    path = folder / "wrong.yaml"
    content = MUTATIONS[kind](pick, base)
    if kind == "wrong table":
        (folder / "best.csv").write_bytes(damaged_table(pick))
        content = content.replace(b"TABLE", str(folder / "best.csv").encode())
    path.write_bytes(content)
    return path


def outcome(path: Path) -> tuple[str, str]:
    """Load a config; return refused, accepted or fault, and what was said."""
    before = sorted(path.parent.rglob("*"))
    try:
        suite = load_suite(path)
        for cell in [*suite.cells, *suite.tuning_cells, *suite.meta_cells, *suite.meta_tuning_cells]:
            json.loads(to_json(cell))
        json.dumps([suite.sampling, suite.figures, [suite.calibration(task) for task in suite.tasks]], allow_nan=False)
        found = "accepted", ""
    except UsageError as error:
        found = judged(str(error), path)
    except Exception:  # noqa: BLE001  (any other is what is looked for)
        found = "fault", traceback.format_exc()
    if sorted(path.parent.rglob("*")) != before:
        return "fault", "something was written"
    return found


def judged(message: str, path: Path) -> tuple[str, str]:
    """Return refused for a message that helps, else fault."""
    good = str(path) in message or str(path.with_name("best.csv")) in message
    if not good or len(message.splitlines()) != 1 or not message.isprintable() or len(message) > LONGEST_MESSAGE:
        return "fault", f"no clear line: {message!r}"
    return "refused", message


def place(folder: Path) -> Path:
    """Make a folder in which the real command can be given; what it writes stays there."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        (folder / part).symlink_to(ROOT / part)
    return folder


def outcome_of_command(path: Path, here: Path) -> tuple[str, str]:
    """The same through `snakemake --configfile`, planning only."""
    before = sorted(here.iterdir())
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "-n", "--quiet", "all", "--configfile", str(path)]
    run = subprocess.run(command, cwd=here, capture_output=True, text=True, encoding="utf-8", timeout=300)
    said = run.stdout + run.stderr
    if "Traceback" in said:
        return "fault", said
    if run.returncode == 0:
        return "accepted", ""
    lines = [line for line in said.splitlines() if not line.startswith("Using workflow specific profile")]
    if sorted(here.iterdir()) != before:
        return "fault", "something was written"
    return judged("\n".join(lines), path)


def campaign(count: int, commands: int, seed: int) -> list[tuple[str, str, str]]:
    """Return kind, outcome and what was said of so many configs, the kinds in turn."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        here = place(Path(folder) / "here") if commands else ROOT
        for number in range(count + commands):
            pick = random.Random(f"{seed}/{number}")
            kind = list(MUTATIONS)[number % len(MUTATIONS)]
            own = Path(folder) / str(number)
            own.mkdir()
            path = write(own, kind, pick.choice(bases_of(kind)), pick)
            through = number >= count
            result, said = outcome_of_command(path, here) if through else outcome(path)
            found.append((f"{kind}, command" if through else kind, result, said))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="configs that are loaded")
    parser.add_argument("--commands", type=int, default=28, help="configs that are given to Snakemake")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = campaign(arguments.count, arguments.commands, arguments.seed)
    counted = Counter((kind.removesuffix(", command"), result) for kind, result, _ in found)
    results = ("refused", "accepted", "fault")
    print("".join(f"{word:>12}" for word in results) + "  kind")
    for kind in MUTATIONS:
        print("".join(f"{counted[kind, result]:>12}" for result in results) + f"  {kind}")
    print("".join(f"{sum(counted[kind, result] for kind in MUTATIONS):>12}" for result in results) + "  all")
    faults = [(kind, said) for kind, result, said in found if result == "fault"]
    for kind, said in faults:
        print(f"\n{kind}: {said}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
