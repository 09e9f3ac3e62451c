import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from selector.tables.layout import RunLayout, part_name
from selector.tables.query import query
from selector.tables.read import (
    damage_of,
    dataset,
    open_filesystem,
    read,
    read_table_list,
    table_parts,
)
from selector.tables.schema import scores_schema
from selector.tables.write import write_part, write_table_list
from shards import storage
from shards.errors import StorageError, UsageError
from tests.support.runs import SyntheticRun, write_run
from tests.support.servers import s3_bucket


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=2, per_shard=30)


def test_a_table_comes_back_in_order_with_its_metadata(run: SyntheticRun) -> None:
    table = read(run.layout, "scores")
    assert table.to_pylist() == run.scores.to_pylist()
    assert table.schema.equals(scores_schema(), check_metadata=True)


def test_some_columns(run: SyntheticRun) -> None:
    table = read(run.layout, "members", ["name", "row_id"])
    assert table.column_names == ["name", "row_id"]
    with pytest.raises(UsageError, match="no column 'sharpness'; it has row_id"):
        read(run.layout, "members", ["sharpness"])


def test_a_moved_run_still_reads(run: SyntheticRun, tmp_path: Path) -> None:
    shutil.move(run.root, tmp_path / "moved")
    assert read(RunLayout(str(tmp_path / "moved")), "scores").num_rows == 60


def test_the_part_that_rotted_is_found(run: SyntheticRun) -> None:
    whole = dataset(run.layout, "scores")
    assert damage_of("scores", whole) is None
    part = Path(run.layout.scores_part(part_name(1, 0)))
    data = bytearray(part.read_bytes())
    data[10:1500:3] = bytes(byte ^ 0x5A for byte in data[10:1500:3])
    part.write_bytes(data)
    damage = damage_of("scores", dataset(run.layout, "scores"))
    assert damage is not None
    assert str(part) in str(damage)


def test_files_that_no_list_names_are_not_read(run: SyntheticRun) -> None:
    write_part(run.layout.scores_part("stray"), run.scores)
    Path(run.layout.scores_dir, "rubbish.parquet").write_bytes(b"rubbish")
    assert read(run.layout, "scores").num_rows == 60


def test_an_old_version_stays_readable(run: SyntheticRun) -> None:
    first = table_parts(run.layout, "scores")[:1]
    assert write_table_list(run.layout, "scores", first) == 2
    assert read(run.layout, "scores").num_rows == 30
    assert dataset(run.layout, "scores", version=1).count_rows() == 60


def test_a_missing_part_is_named_with_the_cure(run: SyntheticRun) -> None:
    part = run.layout.scores_part(part_name(1, 0))
    Path(part).unlink()
    with pytest.raises(StorageError, match="same score command again") as caught:
        read(run.layout, "scores")
    assert part in str(caught.value)
    assert not caught.value.retriable


def test_a_damaged_part_is_named(run: SyntheticRun) -> None:
    part = Path(run.layout.scores_part(part_name(1, 0)))
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(StorageError, match="cannot be read as Parquet") as caught:
        read(run.layout, "scores")
    assert str(part) in str(caught.value)


def test_any_part_of_an_unknown_schema_is_refused_by_name(run: SyntheticRun) -> None:
    last = table_parts(run.layout, "scores")[-1]
    table = read(run.layout, "scores")
    strange = table.append_column(pa.field("sharpness", pa.int64()), table["row_id"])
    write_part(last, strange)
    with pytest.raises(UsageError, match="column sharpness is unknown") as caught:
        read(run.layout, "scores")
    assert last in str(caught.value)


def test_a_list_of_an_unknown_version_is_refused(run: SyntheticRun) -> None:
    path = Path(run.layout.table_list("scores", 1))
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 9}))
    with pytest.raises(UsageError, match="schema version 9, this coursepack reads version 1"):
        read_table_list(run.layout, "scores")


def test_unknown_tables_and_places_say_what_there_is(run: SyntheticRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no table 'pu'; it has members, scores"):
        read(run.layout, "pu")
    with pytest.raises(UsageError, match="expected a run directory made by"):
        read(RunLayout(str(tmp_path / "nowhere")), "scores")
    write_table_list(run.layout, "pu", [])
    with pytest.raises(UsageError, match="has no parts yet"):
        read(run.layout, "pu")


def test_a_run_over_http_is_refused() -> None:
    with pytest.raises(UsageError, match="copy it there"):
        open_filesystem("https://example.org/run/scores/a.parquet")


def test_a_run_on_s3_reads_like_a_local_one() -> None:
    with s3_bucket() as bucket:
        run = write_run(f"{bucket}/some/run", num_shards=2, per_shard=30)
        assert read(run.layout, "scores").to_pylist() == run.scores.to_pylist()
        answer = query(run.root, "SELECT count(*) AS n FROM members JOIN scores USING (row_id)")
        assert answer.to_pylist() == [{"n": 80}]
        storage.remove(run.layout.scores_part(part_name(1, 0)))
        with pytest.raises(StorageError, match=f"{bucket}/some/run/scores/00000001-00000000"):
            read(run.layout, "scores")
