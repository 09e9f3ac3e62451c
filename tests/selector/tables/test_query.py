import time
from pathlib import Path

import pyarrow as pa
import pytest

from selector.tables.layout import RunLayout
from selector.tables.query import query
from selector.tables.schema import selection_schema
from selector.tables.write import write_part
from shards import atomic, storage
from shards.errors import UsageError
from tests.support.runs import SyntheticRun, write_facts, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return write_run(tmp_path_factory.mktemp("runs") / "run")


def rows(run: SyntheticRun, sql: str) -> list[tuple]:
    return [tuple(row.values()) for row in query(run.root, sql).to_pylist()]


def test_a_question_is_answered(run: SyntheticRun) -> None:
    assert rows(run, "SELECT count(*), count(noise_value) FROM scores") == [(300, 285)]
    assert rows(run, "SELECT status, count(*) FROM scores GROUP BY 1 ORDER BY 1") == [
        ("ok", 285),
        ("undecodable", 15),
    ]


def test_views_join(run: SyntheticRun) -> None:
    found = rows(
        run,
        "SELECT DISTINCT c.name, s.uri FROM scores JOIN classes c USING (pseudo_label) "
        "JOIN shards s USING (shard_id) JOIN members m USING (row_id) "
        "WHERE m.name = 's00002/img000000.jpg'",
    )
    assert len(found) == 1
    assert found[0][1] == "/pool/shard-000002.tar"


def test_facts_and_selections_are_views(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    layout = run.layout
    write_facts(run, "pu", {"row_id": pa.array([0, 1]), "pu_prob": pa.array([0.5, 0.25])})
    for name in ("plain", "with-dash"):
        folder = layout.selection_dir(name)
        table = pa.table(
            {"row_id": [1], "weight": [1.0], "reason": pa.array(["x"]).dictionary_encode()}
        )
        write_part(storage.join(folder, "selection.parquet"), table.cast(selection_schema()))
        atomic.write_bytes(storage.join(folder, "stats.json"), b"{}")
    unfinished = storage.join(layout.selection_dir("unfinished"), "selection.parquet")
    atomic.write_bytes(unfinished, b"half")
    sql = "SELECT key, pu_prob, reason FROM scores JOIN pu USING (row_id) JOIN {} USING (row_id)"
    expected = [{"key": "s00000/img000001", "pu_prob": 0.25, "reason": "x"}]
    assert query(layout.root, sql.format("selection_plain")).to_pylist() == expected
    assert query(layout.root, sql.format('"selection_with-dash"')).to_pylist() == expected
    with pytest.raises(
        UsageError, match='pu, pu_0123abcd, scores, selection_plain, "selection_with-dash"'
    ):
        query(layout.root, "SELECT * FROM selection_unfinished")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_blob('{run}/provenance.json')",
        "SELECT * FROM read_parquet('{run}/pool.parquet')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM 'https://example.org/x.parquet'",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "COPY (SELECT 1) TO '{run}/stolen.csv'",
        "COPY scores TO '{run}/stolen.parquet'",
        "EXPORT DATABASE '{run}/stolen'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{run}/stolen.csv'",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{run}/stolen.csv''')",
        "ATTACH '{run}/stolen.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA memory_limit = '1TB'",
        "SET memory_limit = '1TB'",
        "SET enable_external_access = true",
        "RESET memory_limit",
        "CALL pragma_version()",
        "CREATE TABLE x (a int)",
        "CREATE MACRO scores() AS 1",
        "DROP VIEW scores",
        "INSERT INTO scores VALUES (1)",
        "DELETE FROM scores",
        "SELECT getenv('HOME')",
        "SELECT * FROM caller_variable",
        "SELECT 1; DROP VIEW scores",
    ],
)
def test_nothing_but_the_run_can_be_reached(run: SyntheticRun, sql: str) -> None:
    caller_variable = pa.table({"a": [1]})
    before = sorted(Path(run.root).rglob("*"))
    with pytest.raises(UsageError) as caught:
        query(run.root, sql.replace("{run}", run.root))
    assert "\n" not in str(caught.value)
    assert sorted(Path(run.root).rglob("*")) == before
    assert rows(run, "SELECT count(*) FROM scores") == [(300,)]
    assert caller_variable.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT noise FROM scores", '"noise".*scores has row_id, shard_id, index, key'),
        ("SELECT * FROM score", "the tables are classes, members, scores, shards"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1 WHERE", "syntax error"),
        ("", "found 0"),
        ("SELECT 1; SELECT 2", "found 2"),
        ("DROP VIEW scores", "found a DROP statement, expected a SELECT"),
        ("SELECT key + 1 FROM scores", "No function matches"),
        ("SELECT 'a'::INT", "Could not convert"),
    ],
)
def test_wrong_sql_ends_in_one_line_that_helps(run: SyntheticRun, sql: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        query(run.root, sql)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_what_exceeds_the_memory_limit_spills(run: SyntheticRun) -> None:
    # 2 M rows of about 100 bytes cannot be sorted within 100 MB of memory alone.
    sql = """
        SELECT count(*) AS rows, max(position) AS last FROM (
            SELECT row_number() OVER (ORDER BY text) AS position, text
            FROM (SELECT repeat(md5(range::VARCHAR), 3) AS text FROM range(2000000))
        )
    """
    table = query(run.root, sql, memory_limit="100MB", threads=1)
    assert table.to_pylist() == [{"rows": 2_000_000, "last": 2_000_000}]


def test_forty_thousand_rows_take_well_under_a_second(tmp_path: Path) -> None:
    root = write_run(tmp_path / "run", num_shards=4, per_shard=10_000).root
    query(root, "SELECT 1")
    start = time.perf_counter()
    table = query(root, "SELECT pseudo_label, avg(noise_value) FROM scores GROUP BY 1")
    assert time.perf_counter() - start < 1.0
    assert table.num_rows >= 10


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a run directory"):
        query(RunLayout(str(tmp_path)).root, "SELECT 1")
