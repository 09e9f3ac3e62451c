import duckdb
import pytest

from selector.tables.answer import ROWS_PER_BATCH, batches


def test_batches_and_schema() -> None:
    with (
        duckdb.connect() as connection,
        batches(connection, "SELECT range AS a FROM range(250000)") as (schema, found),
    ):
        assert schema.names == ["a"]
        assert [len(batch) for batch in found] == [ROWS_PER_BATCH, ROWS_PER_BATCH, 50_000]


def test_an_answer_that_is_left_early_leaves_the_connection_usable() -> None:
    with duckdb.connect() as connection:
        with batches(connection, "SELECT range AS a FROM range(10000000)") as (_, found):
            assert len(next(found)) == ROWS_PER_BATCH
        assert connection.sql("SELECT 1").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT nope", duckdb.BinderException),
        (
            "SELECT CAST(CASE WHEN range > 500000 THEN 'x' ELSE '1' END AS INT) AS a "
            "FROM range(1000000)",
            duckdb.ConversionException,
        ),
    ],
)
def test_errors_are_those_of_duckdb_whenever_they_come(sql: str, error: type) -> None:
    with (
        duckdb.connect() as connection,
        pytest.raises(error),
        batches(connection, sql) as (_, found),
    ):
        list(found)


def test_progress_is_told_in_shares() -> None:
    told: list[float] = []
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = true; SET enable_progress_bar_print = false")
        connection.execute("CREATE TABLE x AS SELECT range AS a FROM range(3000)")
        sql = "SELECT count(*) AS n FROM x p, x q, range(3) r WHERE hash(p.a, q.a, r.range) % 7 = 1"
        with batches(connection, sql, on_share=told.append) as (_, found):
            assert len(next(found)) == 1
    assert told == sorted(told)
    assert all(0 <= share <= 1 for share in told)
