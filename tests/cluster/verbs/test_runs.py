"""`runs list` and `runs gc` on folders of real runs: nothing alive is touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cluster.run_lock import RunLock
from cluster.runs import open_run
from selector.tables.layout import RunLayout
from shards import storage
from tests.support.command import coursepack
from tests.support.servers import s3_bucket


def make_run(root: Path, *, teacher: str = "he/resnet8") -> Path:
    with RunLock(RunLayout(str(root)).lock):
        open_run(str(root), semantic={"teacher": teacher}, execution={}, facts={})
    (root / "scores").mkdir()
    leftover = root / "scores" / ".part.1-a.tmp"
    leftover.write_bytes(b"12345")
    os.utime(leftover, (time.time() - 7200,) * 2)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b/deep/er", "c"):
        make_run(tmp_path / name)
    (tmp_path / "no run" / "lock").mkdir(parents=True)
    (tmp_path / "c" / "pool.parquet").write_bytes(b"nonsense")
    return tmp_path


def test_every_run_is_listed_also_a_damaged_one(folder: Path) -> None:
    answer = coursepack("runs", "list", folder, "--json")
    assert [Path(one["run"]).name for one in answer.json["runs"]] == ["a", "er", "c"]
    a, _, c = answer.json["runs"]
    assert a["status"]["teacher"] == "he/resnet8"
    assert a["num_bytes"] > 5
    assert c["status"] is None
    assert "pool.parquet is damaged" in c["error"]
    text = coursepack("runs", "list", folder).output
    assert "he/resnet8" in text
    assert "empty" in text


def test_gc_lists_first_and_removes_when_told(folder: Path) -> None:
    dry = coursepack("runs", "gc", folder, "--json").json
    assert [Path(one["uri"]).parts[-3] for one in dry["garbage"]] == ["a", "er", "c"]
    assert not dry["removed"]
    assert len(list(folder.rglob("*.tmp"))) == 3
    with RunLock(RunLayout(str(folder / "a")).lock):
        answer = coursepack("runs", "gc", folder, "--yes")
    assert "left alone" in answer.errors
    assert "2 files, 10 B, removed" in answer.output
    assert [path.parts[-3] for path in folder.rglob("*.tmp")] == ["a"]


def test_nothing_there_is_wrong_use(tmp_path: Path) -> None:
    assert coursepack("runs", "list", tmp_path / "gone").exit_code == 2
    assert "no run in" in coursepack("runs", "list", tmp_path).output


def test_runs_on_an_object_store(folder: Path) -> None:
    with s3_bucket() as bucket:
        for path in (folder / "a").rglob("*"):
            if path.is_file():
                uri = f"{bucket}/runs/{path.relative_to(folder)}"
                storage.put(uri, path.read_bytes())
        storage.put(f"{bucket}/runs/a/.plan-ab/scores/x.parquet", b"cut off")
        (one,) = coursepack("runs", "list", f"{bucket}/runs", "--json").json["runs"]
        assert one["run"] == f"{bucket}/runs/a"
        assert one["status"]["state"] == "empty"
        dry = coursepack("runs", "gc", f"{bucket}/runs", "--older-than", 0, "--json").json
        assert [item["uri"] for item in dry["garbage"]] == [
            f"{bucket}/runs/a/.plan-ab/scores/x.parquet"
        ]


def test_watching_a_run_that_does_not_go_ends_at_once(folder: Path) -> None:
    answer = coursepack("status", folder / "a", "--watch")
    assert answer.exit_code == 0
    assert "state        empty" in answer.output
