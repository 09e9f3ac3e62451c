"""A run seen from outside: while a driver works on it, after it stopped, and when it is whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from cluster.run_lock import RunLock
from cluster.run_status import read_status
from selector.tables.layout import RunLayout
from shards import storage
from shards.errors import StorageError, UsageError
from tests.support.command import coursepack, score
from tests.support.pools import write_pool, write_teacher
from tests.support.servers import s3_bucket


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of three shards, its pool and its teacher."""
    folder = tmp_path_factory.mktemp("status")
    write_pool(folder / "pool", shards=3, images=4)
    weights = write_teacher(folder / "t.safetensors")
    assert score(folder / "pool", weights, folder / "run").exit_code == 0
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run to spoil."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def forget(run: Path, number: int) -> None:
    """Take back shard `number`, as if it were still to be done."""
    next((run / "ledger").glob(f"{number:08d}-*.json")).unlink()


def test_a_finished_run(made: Path) -> None:
    found = read_status(str(made / "run"))
    assert (found.state, found.shards_done, found.shards) == ("finished", 3, 3)
    assert found.bytes_done == found.num_bytes > 0
    assert found.teacher == "he/resnet8"
    assert found.driver is not None
    assert not found.driver.alive
    assert found.driver.pid == os.getpid()
    assert found.last_part_s == pytest.approx(time.time(), abs=300)
    assert found.left_s is None


def test_a_stopped_run_can_be_continued(run: Path) -> None:
    forget(run, 1)
    found = read_status(str(run))
    assert (found.state, found.shards_done) == ("stopped", 2)
    assert 0 < found.bytes_done < found.num_bytes
    answer = coursepack("status", run)
    assert "the same command continues it" in answer.output
    assert "2 of 3 shards" in answer.output


def test_a_driver_at_work_is_seen_with_what_it_has_in_flight(run: Path) -> None:
    forget(run, 0)
    for number, marker in enumerate(sorted((run / "ledger").iterdir())):
        os.utime(marker, (time.time() - 10 + number, time.time() - 10 + number))
    told = {
        "workers": 4, "starting": 1, "repeated": 2,
        "in_flight": [{"worker": 3, "part": "00000000-00000000", "seconds": 75.0, "images": 1}],
    }  # fmt: skip
    (run / "in_flight.json").write_text(json.dumps(told))
    with RunLock(RunLayout(str(run)).lock):
        found = read_status(str(run))
        text = coursepack("status", run).output
    assert found.state == "running"
    assert found.driver is not None
    assert found.driver.alive
    assert found.bytes_per_s is not None
    assert found.left_s is not None
    assert "4 workers, 1 starting, 2 parts repeated" in text
    assert "part 00000000-00000000 on worker 3 for 1:15" in text
    assert read_status(str(run)).state == "stopped", "the lock was given back"


def test_what_is_quarantined_is_told(run: Path) -> None:
    (run / "quarantine").mkdir()
    record = {"uri": "/pool/bad.tar", "part": "00000001-00000000", "reason": "not a tar\x1b[2J"}
    (run / "quarantine" / "00000001-00000000.json").write_text(json.dumps(record))
    (run / "quarantine" / "half.json").write_text("{")
    assert read_status(str(run)).quarantined == [record]
    answer = coursepack("status", run)
    assert "/pool/bad.tar: not a tar\\x1b[2J" in answer.output
    assert answer.exit_code == 0


def test_no_run_and_damaged_files_are_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        read_status(str(tmp_path))
    (run / "pool.parquet").write_bytes(b"PAR1")
    with pytest.raises(StorageError, match=r"pool\.parquet is damaged"):
        read_status(str(run))


def test_on_an_object_store(made: Path) -> None:
    with s3_bucket() as bucket:
        for path in (made / "run").rglob("*"):
            if path.is_file():
                uri = f"{bucket}/run/{path.relative_to(made / 'run')}"
                storage.put(uri, path.read_bytes())
        found = read_status(f"{bucket}/run")
        assert (found.state, found.shards_done) == ("finished", 3)
        assert found.last_part_s is not None
