from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from selector.tables.run_files import read_json, read_parquet
from shards.errors import StorageError


@pytest.mark.parametrize("content", [b"", b"{torn", b"[1]", b"null", b"\xff\xfe"])
def test_what_is_no_json_object_is_named_with_the_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.json is damaged \(.*\); score again"):
        read_json(str(path), cure="score again")


def test_json_and_parquet_come_back_as_written(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1]}')
    assert read_json(str(tmp_path / "a.json"), cure="") == {"a": [1]}
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_parquet(str(tmp_path / "a.parquet"), cure="") == table
    assert read_parquet(str(tmp_path / "a.parquet"), ["b"], cure="").column_names == ["b"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_named_with_the_cure(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"a\.parquet is damaged \(.*score again"):
        read_parquet(str(path), cure="score again")


def test_a_missing_file_is_told_as_missing(tmp_path: Path) -> None:
    for read in (read_json, read_parquet):
        with pytest.raises(StorageError, match="does not exist"):
            read(str(tmp_path / "none"), cure="")
