from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selector.scoring.rows import RowBatch, members_table, scores_table
from selector.scoring.task import ScoreTask
from selector.scoring.writing import PartWriter
from selector.tables.write import write_part
from shards.errors import StorageError
from shards.manifest import ShardEntry
from shards.sample import Member, SampleEntry


def make_task(run: Path) -> ScoreTask:
    return ScoreTask(ShardEntry(3, "/pool/s.tar", 1, "e"), start=64, run=str(run))


def make_batch(first: int, count: int) -> RowBatch:
    rows = RowBatch()
    for index in range(first, first + count):
        rows.extend([SampleEntry(index, f"k{index}", (Member(f"k{index}.jpg", "jpg", index, 1),))])
    rows.set_scores(None)
    return rows


def test_both_files_appear_at_the_end_and_only_then(tmp_path: Path) -> None:
    with PartWriter(make_task(tmp_path)) as writer:
        writer.put(make_batch(64, 10))
        assert not any(Path(path).exists() for path in writer.paths)
    assert [Path(path).relative_to(tmp_path).as_posix() for path in writer.paths] == [
        "scores/00000003-00000064.parquet",
        "members/00000003-00000064.parquet",
    ]
    assert pq.read_table(writer.paths[0])["index"].to_pylist() == list(range(64, 74))
    assert pq.read_table(writer.paths[1])["offset"].to_pylist() == list(range(64, 74))


def test_the_bytes_are_those_of_the_whole_table_written_at_once(tmp_path: Path) -> None:
    sizes = [3000, 1, 4000, 2500, 800]  # across the size at which tables are made
    batches, first = [], 64
    for size in sizes:
        batches.append(make_batch(first, size))
        first += size
    with PartWriter(make_task(tmp_path)) as writer:
        for batch in batches:
            writer.put(batch)
    scores = scores_table(batches, shard_id=3, shard_name="s.tar")
    write_part(str(tmp_path / "whole.parquet"), scores)
    write_part(str(tmp_path / "members.parquet"), members_table(batches, shard_id=3))
    assert Path(writer.paths[0]).read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert Path(writer.paths[1]).read_bytes() == (tmp_path / "members.parquet").read_bytes()


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with PartWriter(make_task(tmp_path)) as writer:
            writer.put(make_batch(0, 9000))
            raise RuntimeError("elsewhere")

    with pytest.raises(RuntimeError, match="elsewhere"):
        fail_half_way()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "scores").write_text("a file where a folder should be")

    def write_much() -> None:
        with PartWriter(make_task(tmp_path)) as writer:
            for first in range(0, 100_000, 1000):
                writer.put(make_batch(first, 1000))

    with pytest.raises(StorageError):
        write_much()


def test_a_part_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    with PartWriter(make_task(tmp_path)) as writer:
        pass
    table = pq.read_table(writer.paths[0])
    assert len(table) == 0
    assert table.schema.field("noise_value").type == pa.float32()


def write_all(task: ScoreTask, batches: list[RowBatch]) -> None:
    with PartWriter(task) as writer:
        for rows in batches:
            writer.put(rows)


def test_rows_that_are_missing_or_doubled_are_never_written(tmp_path: Path) -> None:
    one, two = make_batch(64, 4), make_batch(68, 4)
    task = make_task(tmp_path)
    for wrong in ([two], [one, one], [one, make_batch(69, 3)]):
        with pytest.raises(RuntimeError, match="out of order"):
            write_all(task, wrong)
        assert not list(tmp_path.rglob("*.parquet"))
