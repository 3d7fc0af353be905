"""Archives of results as one folder: `python -m benchmarks merge desk.tar.gz theirs.tar.gz --out results/both`.

An archive is what `publish` writes; a folder of results will do as well. Rows with equal keys have to be equal in every
number, else nothing is written and each conflict is named. What follows from runs is computed anew.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.contract.errors import UsageError
from benchmarks.harness.store import atomic
from workflow.publish import CONFIG, LICENCE, PROVENANCE, contents
from workflow.tables.claims import run_claims
from workflow.tables.evidence import Evidence
from workflow.tables.labels import kinds
from workflow.tables.pictures import Pictures
from workflow.tables.schema import VERSION, check, schema
from workflow.tables.scores import make_scores
from workflow.tables.summary import ORIGIN, make_environment, make_summary
from workflow.tables.targets import make_hits, make_targets
from workflow.tables.written import write

KEYS = {  # table → what names a row
    "tasks.csv": ["task"],
    "runs.parquet": ["task", "method", "seed"],
    "curves.parquet": ["task", "method", "seed", "cost", "metric"],
    "labels.csv": ["what", "label"],
}
TUNING = {"grid.csv": ["task", "method", "cell"], "best.csv": ["task", "method", "parameter"]}
PICTURES = "pictures.npz"
MOST_NAMED = 8  # conflicts that the error lists
MOST_BYTES = 2**32  # of an archive, unpacked


def read_archive(path: Path) -> dict[str, bytes]:
    """Return name → bytes of an archive or of a folder of results; nothing in it is executed or written anywhere.

    Raises:
        UsageError: it is no archive of ours, damaged, or of another schema version.
    """
    if path.is_dir():
        return contents(path.resolve())
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            if sum(member.size for member in members) > MOST_BYTES:
                raise UsageError(f"{path}: more than {MOST_BYTES / 2**30:.0f} GiB unpacked; no archive of ours is")
            files = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in members}
        facts = json.loads(files[PROVENANCE])
        sums, version = facts["sha256"], facts["schema"]
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such archive") from None
    except (OSError, EOFError, tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: no archive that `python -m benchmarks publish` wrote ({error})") from error
    if version != VERSION:
        raise UsageError(f"{path}: its tables have schema version {version}, these are {VERSION}; publish them anew")
    for name, known in sums.items():
        if name not in files or hashlib.sha256(files[name]).hexdigest() != known:
            raise UsageError(f"{path}: {name} is not what was published; fetch the archive again")
    return files


def frame_of(files: dict[str, bytes], name: str) -> pd.DataFrame | None:
    """Return a table of an archive, if it has it."""
    if name not in files:
        return None
    read = pd.read_csv if name.endswith(".csv") else pd.read_parquet
    return read(io.BytesIO(files[name]))


def union(name: str, keys: list[str], parts: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of all parts, each once, and the conflicts in words."""
    table = pd.concat([part.assign(origin=origin) for origin, part in parts.items()], ignore_index=True)
    columns = [column for column in table.columns if column not in ("origin", "suite")]
    table = table.drop_duplicates(columns)
    conflicts = []
    for key, rows in table[table.duplicated(keys, keep=False)].groupby(keys, sort=False):
        if rows["origin"].nunique() > 1:
            first, second = rows.iloc[0], rows.iloc[-1]
            differ = [c for c in columns if first[c] != second[c] and not (pd.isna(first[c]) and pd.isna(second[c]))]
            what = f"{differ[0]} {first[differ[0]]} in {first['origin']}, {second[differ[0]]} in {second['origin']}"
            conflicts.append(f"{name} {'/'.join(map(str, key))}: {what}")
    return table.drop(columns="origin"), conflicts


def merge(paths: list[Path], out: Path) -> None:
    """Write the merged folder; raises UsageError where it is there already, or archives contradict each other."""
    if out.exists():
        raise UsageError(f"--out {out}: is there already; name a new folder")
    archives = {path.name: read_archive(path) for path in paths}
    tables: dict[str, pd.DataFrame] = {}
    conflicts: list[str] = []
    for folder, wanted in (("tables", KEYS), ("tuning", TUNING)):
        for name, keys in wanted.items():
            found = {origin: frame_of(files, f"{folder}/{name}") for origin, files in archives.items()}
            parts = {origin: frame for origin, frame in found.items() if frame is not None}
            if parts:
                tables[f"{folder}/{name}"], more = union(name, keys, parts)
                conflicts += more
    if conflicts:
        more = f"\nand {len(conflicts) - MOST_NAMED} more" * (len(conflicts) > MOST_NAMED)
        raise UsageError(
            "these archives contradict each other; nothing is written\n" + "\n".join(conflicts[:MOST_NAMED]) + more
        )
    ours = {name.removeprefix("tables/"): table for name, table in tables.items() if name.startswith("tables/")}
    write(derived(out.name, ours) | {PICTURES: pictures_of(archives.values())}, out / "tables")
    for name in (f"tuning/{table}" for table in TUNING):
        if name in tables:
            keep(out / name, tables[name].to_csv(index=False).encode("utf-8"))
    first = next(iter(archives.values()))
    for name in (LICENCE, CONFIG):
        if name in first:
            keep(out / name, first[name])


def pictures_of(archives: Iterable[dict[str, bytes]]) -> Pictures:
    """Return the pictures of all archives, the first one's where two have the same."""
    found: Pictures = {}
    for files in archives:
        if f"tables/{PICTURES}" in files:
            with np.load(io.BytesIO(files[f"tables/{PICTURES}"]), allow_pickle=False) as pictures:
                found = {key: pictures[key] for key in pictures.files if pictures[key].ndim >= 2} | found
    return found


def derived(suite: str, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the merged tables and all that follow from them."""
    tables = {name: table.assign(suite=suite) if "suite" in table else table for name, table in tables.items()}
    tasks, runs, curves = (tables[name] for name in ("tasks.csv", "runs.parquet", "curves.parquet"))
    measured = tasks[tasks["loss_start"].notna()]
    known = kinds(tables["labels.csv"])
    targets = make_targets(measured)
    hits = make_hits(runs, curves, targets)
    scores = make_scores(runs, tasks, hits, {label for label, kind in known.items() if kind == "oracle"})
    claims = pd.DataFrame(
        run_claims(Evidence(tasks, runs, curves, kinds=known)), columns=list(schema("claims")["columns"])
    )
    return tables | {
        "targets.csv": targets,
        "hits.parquet": hits,
        "scores.csv": scores,
        "summary.csv": make_summary(scores),
        "claims.csv": check(claims, "claims"),
        "environment.csv": make_environment(runs[ORIGIN]),
    }


def keep(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_bytes(content)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and merge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks merge", description=__doc__)
    parser.add_argument("archives", type=Path, nargs="+", help="archives that `publish` wrote, or folders of results")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, e.g. results/both")
    given = parser.parse_args(arguments)
    merge(given.archives, given.out)
    print(f"{given.out}: {len(given.archives)} archives")
