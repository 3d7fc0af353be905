"""Stored results as one archive: `python -m benchmarks publish results/desk` writes desk.tar.gz.

It holds the tables, the tuning, the suite's config, the licence, and provenance.json: schema version, commits, machines
and versions of the runs, and the checksum of every file. Equal results give equal bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from benchmarks.contract.errors import UsageError
from benchmarks.harness.sources import ROOT
from benchmarks.harness.store import atomic
from workflow.extends import found_here
from workflow.tables.schema import VERSION
from workflow.tables.summary import ORIGIN
from workflow.tables.written import read_written

PROVENANCE, LICENCE, CONFIG = "provenance.json", "LICENSE", "suite.yaml"
FOLDERS = ("tables", "tuning")


def contents(results: Path) -> dict[str, bytes]:
    """Return name → bytes of everything that an archive of these results holds.

    Raises:
        UsageError: there are no tables.
    """
    files = {
        f"{folder}/{path.name}": path.read_bytes()
        for folder in FOLDERS
        for path in sorted((results / folder).glob("*"))
        if path.is_file()
    }
    if "tables/runs.parquet" not in files:
        raise UsageError(
            f"{results / 'tables' / 'runs.parquet'} is missing; name a folder of results, e.g. results/desk"
        )
    config = results / CONFIG if (results / CONFIG).is_file() else found_here(f"config/{results.name}.yaml")
    if config.is_file():
        files[CONFIG] = config.read_bytes()
    files[LICENCE] = (ROOT / LICENCE).read_bytes()
    files[PROVENANCE] = provenance(results, files).encode("utf-8")
    return files


def provenance(results: Path, files: dict[str, bytes]) -> str:
    """Return provenance.json."""
    runs = read_written(results / "tables" / "runs.parquet")
    facts = {name: sorted(runs[name].dropna().unique().tolist()) for name in ORIGIN}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    content = {"schema": VERSION, "name": results.name, "licence": "MIT", "runs": len(runs), **facts, "sha256": sums}
    return json.dumps(content, indent=1, sort_keys=True)


def publish(results: Path, out: Path) -> None:
    """Write the archive whole or not at all."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in sorted(contents(results).items()):
            member = tarfile.TarInfo(f"{results.name}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with atomic(out) as part:
        part.write_bytes(buffer.getvalue())


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and publish."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks publish", description=__doc__)
    parser.add_argument("results", type=Path, help="folder of stored results, e.g. results/desk")
    parser.add_argument("--out", type=Path, help="the archive; default: <name>.tar.gz here")
    given = parser.parse_args(arguments)
    out = given.out or Path(f"{given.results.resolve().name}.tar.gz")
    publish(given.results.resolve(), out)
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")
