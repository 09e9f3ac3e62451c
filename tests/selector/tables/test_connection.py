import json
import tempfile
from pathlib import Path

import duckdb
import pytest

from selector.tables.connection import class_names, connect, read_pool, run_tables
from selector.tables.layout import RunLayout
from selector.tables.read import table_parts
from selector.tables.write import write_table_list
from shards.errors import StorageError
from tests.support.runs import CLASS_NAMES, SyntheticRun, write_run


@pytest.fixture
def run(tmp_path: Path) -> SyntheticRun:
    return write_run(tmp_path / "run", num_shards=2, per_shard=30)


def test_views_and_versions(run: SyntheticRun) -> None:
    first = table_parts(run.layout, "scores")[:1]
    assert write_table_list(run.layout, "scores", first) == 2
    tables = run_tables(run.layout)
    assert set(tables.views) == {"scores", "members", "shards", "classes"}
    assert tables.versions == {"scores": 2, "members": 1}
    assert tables.views["scores"].count_rows() == 30
    older = run_tables(run.layout, versions={"scores": 1})
    assert older.views["scores"].count_rows() == 60


def test_the_lock_itself_holds_without_the_look_at_the_statement(run: SyntheticRun) -> None:
    with connect(run.root) as connection:
        for sql in (
            f"COPY (SELECT 1) TO '{run.root}/stolen.csv'",
            "SELECT * FROM read_text('/etc/passwd')",
            "ATTACH '/tmp/stolen.db'",
            "INSTALL httpfs",
            "SET enable_external_access = true",
            "SET allowed_directories = ['/']",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled|locked"):
                connection.execute(sql)


def test_the_temporary_directory_goes_with_the_connection(
    run: SyntheticRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    with connect(run.root) as connection:
        connection.execute("SELECT 1")
        assert len(list(spill.iterdir())) == 1
    assert list(spill.iterdir()) == []


def test_no_progress_bar_is_drawn_into_an_answer(run: SyntheticRun) -> None:
    with connect(run.root) as connection:
        shown = connection.execute("SELECT current_setting('enable_progress_bar_print')").fetchall()
    assert shown == [(False,)]


def test_class_names_are_those_of_the_provenance(run: SyntheticRun, tmp_path: Path) -> None:
    assert class_names(run.layout) == list(CLASS_NAMES)
    Path(run.layout.provenance).write_text(json.dumps({"code": "x"}))
    assert class_names(run.layout) is None
    assert class_names(RunLayout(str(tmp_path / "nowhere"))) is None
    assert run_tables(run.layout).views["classes"].num_rows == 0


def test_a_run_without_a_pool_manifest_says_so(run: SyntheticRun) -> None:
    assert read_pool(run.layout).num_rows == 2
    Path(run.layout.pool).unlink()
    with pytest.raises(StorageError, match=r"pool\.parquet"):
        read_pool(run.layout)
