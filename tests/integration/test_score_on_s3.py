"""A whole run on a server that speaks S3: pool, tables, ledger, lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import simplejpeg

from cluster.execution import ExecutionConfig
from cluster.run_lock import RunLock, RunLocked
from cluster.score_report import ScoreReport
from cluster.verbs.score import score
from selector.scoring.spec import ScoreSpec
from selector.tables.layout import RunLayout
from selector.tables.read import read
from selector.teachers.spec import TeacherSpec
from shards import storage
from tests.support.pools import write_pool, write_teacher
from tests.support.servers import s3_bucket

pytestmark = pytest.mark.xdist_group("s3")

SHARDS, IMAGES = 3, 20


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of each test's own: the server keeps what it has for as long as the process lives."""
    with s3_bucket(request.node.name.replace("_", "-")[:60]) as uri:
        yield uri


@pytest.fixture
def scored(tmp_path: Path, bucket: str) -> Callable[..., ScoreReport]:
    write_pool(tmp_path / "pool", shards=SHARDS, images=IMAGES)
    for shard in (tmp_path / "pool").iterdir():
        storage.put(f"{bucket}/pool/{shard.name}", shard.read_bytes())
    weights = write_teacher(tmp_path / "t.safetensors", name="lenet/5")

    def run(pool: str | Path, out: str | Path, **options: Any) -> ScoreReport:
        execution = ExecutionConfig(
            executor="inline", threads=1, batch_size=8, split_bytes=options.pop("split_bytes", 0)
        )
        return score(
            [str(pool)],
            spec=ScoreSpec(teacher=TeacherSpec(name="lenet/5", weights=str(weights))),
            out=str(out),
            execution=execution,
            max_bad="100%",
            **options,
        )

    return run


def rows(run: object) -> list[dict[str, object]]:
    return read(RunLayout(str(run)), "scores").to_pylist()


def test_a_run_on_s3_is_the_run_on_a_disk(
    tmp_path: Path, bucket: str, scored: Callable[..., ScoreReport]
) -> None:
    scored(tmp_path / "pool", tmp_path / "run")
    report = scored(f"{bucket}/pool", f"{bucket}/run", split_bytes=12_000)
    assert (report.rows, report.exit_code) == (SHARDS * IMAGES, 0)
    assert report.parts_done > SHARDS
    assert rows(f"{bucket}/run") == rows(tmp_path / "run")
    again = scored(f"{bucket}/pool", f"{bucket}/run", split_bytes=12_000)
    assert (again.parts_done, again.parts_kept) == (0, report.parts_done)
    names = {storage.name(info.uri) for info in storage.list_files(f"{bucket}/run", recursive=True)}
    assert not [name for name in names if name.endswith(".tmp")]


def test_failed_rows_are_done_again_on_s3(
    bucket: str, scored: Callable[..., ScoreReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> object:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(simplejpeg, "decode_jpeg", no_memory)
        first = scored(f"{bucket}/pool", f"{bucket}/run")
    assert first.statuses == {"undecodable": SHARDS * IMAGES}
    second = scored(f"{bucket}/pool", f"{bucket}/run", retry_failed=True)
    assert second.statuses == {"ok": SHARDS * IMAGES}


def test_a_second_driver_is_kept_out_and_an_old_one_is_harmless(
    bucket: str, scored: Callable[..., ScoreReport]
) -> None:
    folder = f"{bucket}/run/lock"
    with RunLock(folder) as old:
        with pytest.raises(RunLocked, match="locked by process"):
            scored(f"{bucket}/pool", f"{bucket}/run")
        # Another machine judged this one dead, and took over.
        holder = storage.read_bytes(f"{folder}/00000001.json").replace(b'"epoch": 1', b'"epoch": 2')
        storage.put(f"{folder}/00000002.json", holder)
        with pytest.raises(RunLocked, match="took over"):
            old.check()
        with pytest.raises(RunLocked, match="took over"):
            old.check_lost()
