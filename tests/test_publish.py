"""Archives: the same bytes twice, refused where they are not what was published, conflicts named."""

import io
import json
import shutil
import tarfile

import pandas as pd
import pytest
from labels_by_hand import write_labels
from tables_by_hand import make_tables, make_tasks

from benchmarks.contract.errors import UsageError
from workflow.merge import main as merge
from workflow.publish import main as publish


def make_results(folder, finals):
    """Write the tables that an archive is about."""
    runs, curves = make_tables(finals)
    tables = folder / "tables"
    tables.mkdir(parents=True)
    make_tasks(*dict.fromkeys(task for task, _ in finals)).to_csv(tables / "tasks.csv", index=False)
    runs.to_parquet(tables / "runs.parquet", index=False)
    curves.to_parquet(tables / "curves.parquet", index=False)
    write_labels(tables)
    return folder


@pytest.fixture
def archives(tmp_path):
    """Two archives that share a row."""
    shared = {("a", "random_search"): [0.5, 0.6]}
    for name, method, losses in (("one", "spsa", [0.1, 0.2]), ("two", "snes", [0.3, 0.4])):
        publish(
            [
                str(make_results(tmp_path / name, {**shared, ("a", method): losses})),
                "--out",
                f"{tmp_path / name}.tar.gz",
            ]
        )
    return tmp_path / "one.tar.gz", tmp_path / "two.tar.gz"


def test_an_archive_knows_what_it_is(archives, tmp_path):
    publish([str(tmp_path / "one"), "--out", str(tmp_path / "again.tar.gz")])
    assert (tmp_path / "again.tar.gz").read_bytes() == archives[0].read_bytes()
    with tarfile.open(archives[0]) as archive:
        names = archive.getnames()
        facts = json.load(archive.extractfile("one/provenance.json"))
    assert {"one/LICENSE", "one/tables/runs.parquet"} <= set(names)
    assert facts["schema"] == 2
    assert facts["commit"] == ["0123456789ab"]
    assert facts["runs"] == 4


def test_merged_tables_are_those_of_all_rows(archives, tmp_path):
    merge([*map(str, archives), "--out", str(tmp_path / "both")])
    runs = pd.read_parquet(tmp_path / "both" / "tables" / "runs.parquet")
    assert sorted(runs.method) == ["random_search"] * 2 + ["snes"] * 2 + ["spsa"] * 2
    scores = pd.read_csv(tmp_path / "both" / "tables" / "scores.csv").set_index("method")
    assert scores["rank"].to_dict() == {"spsa": 1, "snes": 2, "random_search": 3}
    assert (scores.suite == "both").all()
    with pytest.raises(UsageError, match="is there already"):
        merge([str(archives[0]), "--out", str(tmp_path / "both")])


def test_conflicts_are_named_and_nothing_is_written(archives, tmp_path):
    other = make_results(tmp_path / "other", {("a", "random_search"): [0.5, 0.7]})
    with pytest.raises(
        UsageError, match=r"runs\.parquet a/random_search/1: loss_final 0\.6 in one\.tar\.gz, 0\.7 in other"
    ):
        merge([str(archives[0]), str(other), "--out", str(tmp_path / "both")])
    assert not (tmp_path / "both").exists()


def test_what_is_no_archive_of_ours_or_not_what_was_published_is_refused(archives, tmp_path):
    def repacked(change):
        with tarfile.open(archives[0]) as archive:
            files = {name: archive.extractfile(name).read() for name in archive.getnames()}
        change(files)
        with tarfile.open(tmp_path / "changed.tar.gz", "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return [str(tmp_path / "changed.tar.gz"), "--out", str(tmp_path / "out")]

    with pytest.raises(UsageError, match=r"tables/tasks\.csv is not what was published"):
        merge(repacked(lambda files: files.update({"one/tables/tasks.csv": b"task\nb\n"})))
    facts = {"schema": 1, "sha256": {}}
    with pytest.raises(UsageError, match="schema version 1, these are 2"):
        merge(repacked(lambda files: files.update({"one/provenance.json": json.dumps(facts).encode()})))
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(UsageError, match="no archive"):
        merge([str(tmp_path / "text.tar.gz"), "--out", str(tmp_path / "out")])
    shutil.rmtree(tmp_path / "one" / "tables")
    with pytest.raises(UsageError, match=r"runs\.parquet is missing"):
        publish([str(tmp_path / "one")])
