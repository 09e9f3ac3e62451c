import os
from pathlib import Path

import duckdb
import pytest

from selector.tables.connection import connect, connect_tables, run_tables
from selector.tables.layout import RunLayout
from selector.tables.query import query
from selector.tables.read import table_parts
from shards.errors import StorageError, UsageError
from tests.support.runs import SyntheticRun, write_run

COUNT = (
    "SELECT count(*) AS n, max(content_hash) AS h, max(key) AS k, max(noise_value) AS v FROM scores"
)


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=3, per_shard=2000)


def test_parts_on_a_disk_are_read_by_duckdb_itself(run: SyntheticRun) -> None:
    with connect(run.root) as connection:
        plan = connection.sql("EXPLAIN SELECT count(key) FROM scores").fetchall()
    assert "PARQUET" in str(plan).upper()


def test_the_files_of_the_tables_are_open_and_no_others(run: SyntheticRun) -> None:
    part = table_parts(run.layout, "scores")[0]
    with connect(run.root) as connection:
        for sql in (
            f"SELECT * FROM read_blob('{run.root}/provenance.json')",
            f"SELECT * FROM read_text('{run.root}/scores/../provenance.json')",
            f"SELECT * FROM glob('{run.root}/scores/../*')",
            f"SELECT * FROM read_parquet('{run.root}/pool.parquet')",
            f"COPY (SELECT 1) TO '{run.root}/scores/new.parquet'",
            f"COPY (SELECT 1) TO '{part}'",
            f"ATTACH '{run.root}/scores/new.db'",
        ):
            with pytest.raises(duckdb.Error, match="disabled by configuration"):
                connection.execute(sql)
    with pytest.raises(UsageError, match="found a COPY statement, expected a SELECT"):
        query(run.root, f"COPY (SELECT 1) TO '{part}' (USE_TMP_FILE false)")
    assert query(run.root, COUNT)["n"].to_pylist() == [6000]


@pytest.mark.parametrize("name", ["it's", "a=1", "glob[1]*", "sp ace"])
def test_folders_of_any_name(tmp_path: Path, name: str) -> None:
    root = write_run(tmp_path / name / "run", num_shards=2, per_shard=10).root
    table = query(root, "SELECT * FROM scores JOIN members USING (row_id)")
    assert table.num_rows > 20
    assert "a" not in table.column_names


@pytest.mark.parametrize("how", ["cut", "empty", "rotten", "gone"])
def test_the_damaged_part_is_named_with_the_cure(run: SyntheticRun, how: str) -> None:
    part = table_parts(run.layout, "scores")[1]
    tables = run_tables(run.layout)
    content = Path(part).read_bytes()
    match how:
        case "cut":
            Path(part).write_bytes(content[: len(content) // 2])
        case "empty":
            Path(part).write_bytes(b"")
        case "rotten":  # a page no longer decompresses
            at = content.index(bytes.fromhex("28b52ffd"))
            Path(part).write_bytes(content[:at] + os.urandom(4) + content[at + 4 :])
        case "gone":
            Path(part).unlink()
    with (
        pytest.raises(StorageError, match=rf"{part} cannot be read as Parquet"),
        connect_tables(tables) as connection,
    ):
        connection.sql("SELECT * FROM scores").fetchall()


def test_a_query_of_a_damaged_run_ends_in_one_line(run: SyntheticRun) -> None:
    part = table_parts(run.layout, "scores")[1]
    content = Path(part).read_bytes()
    at = content.index(bytes.fromhex("28b52ffd"))
    Path(part).write_bytes(content[:at] + bytes(4) + content[at + 4 :])
    with pytest.raises(StorageError, match=rf"{part} cannot be read") as caught:
        query(RunLayout(run.root).root, "SELECT * FROM scores")
    assert "\n" not in str(caught.value)
