"""One SQL question to a run, answered as a table or with one line that says what to change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from selector.tables.answer import OnShare, batches
from selector.tables.connection import DEFAULT_MEMORY_LIMIT, connect
from selector.tables.views import is_of_a_part
from shards.errors import CoursepackError, UsageError


def query(
    run: str,
    sql: str,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
    on_share: OnShare | None = None,
) -> pa.Table:
    """Answer one SELECT over the views of a run (see `connect`), in memory.

    Raises:
        UsageError: the SQL is wrong, is no single SELECT, or reaches for a file, the network or
            the configuration.
        CoursepackError: the answer needs more memory or disk than there is.
    """
    with open_answer(
        run, sql, memory_limit=memory_limit, threads=threads, on_share=on_share
    ) as answer:
        return pa.Table.from_batches(answer.batches, schema=answer.schema)


@dataclass(frozen=True)
class Answer:
    """The answer to a query, to be read once, while it is open.

    Attributes:
        schema: of the batches; no two columns have the same name.
        batches: its rows, about 100,000 at a time.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def open_answer(
    run: str,
    sql: str,
    *,
    memory_limit: str = DEFAULT_MEMORY_LIMIT,
    threads: int | None = None,
    on_share: OnShare | None = None,
) -> Iterator[Answer]:
    """As `query`, for an answer that need not fit into memory: its batches come one by one.

    Args:
        memory_limit, threads: of DuckDB, see `connect`.
        on_share: called now and then with the share of the work that is done.
    """
    with (
        connect(run, memory_limit=memory_limit, threads=threads) as connection,
        sql_errors(connection, sql),
    ):
        check_single_select(connection, sql)
        with batches(connection, sql, on_share=on_share) as (schema, found):
            names = distinct_names(schema.names)
            renamed = (batch.rename_columns(names) for batch in found)
            fields = [field.with_name(name) for field, name in zip(schema, names, strict=True)]
            yield Answer(pa.schema(fields), renamed)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Names of columns, a repeated one numbered: rows as mappings would lose all but the last.

    >>> distinct_names(["a", "a", "a_1"])
    ['a', 'a_2', 'a_1']
    """
    distinct: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in distinct or (number > 1 and candidate in names):
            candidate = f"{name}_{number}"
            number += 1
        distinct.append(candidate)
    return distinct


def check_single_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse everything but one SELECT (also WITH, VALUES, FROM, DESCRIBE, SUMMARIZE, SHOW).

    The lock already bars files, network and settings; this bars what stays inside the
    connection, such as dropping a view, so that an answer always comes from the run.

    Raises:
        UsageError: something else; duckdb.ParserException: no SQL at all.
    """
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise UsageError(f"expected one SQL statement, found {len(statements)}; ask one at a time")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise UsageError(
            f"found a {kind.name} statement, expected a SELECT: a run is read-only for SQL "
            "(use --format and --out to write the answer to a file)"
        )


@contextmanager
def sql_errors(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[None]:
    """Turn DuckDB's errors into one line with a hint: the known tables or columns."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise KeyboardInterrupt from error
    except RuntimeError as error:
        # What DuckDB makes of Ctrl-C while it plans a query in the caller's thread.
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise
    except duckdb.PermissionException as error:
        raise UsageError(
            f"SQL: {_first_line(error)}; only the tables of the run can be read: "
            f"{', '.join(_tables(connection))}"
        ) from error
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        if is_of_a_part(error):
            raise  # a damaged table, which the connection tells
        raise CoursepackError(
            f"SQL: {_first_line(error)}; raise the memory limit, free space in the temporary "
            "directory, or ask for less"
        ) from error
    except (duckdb.CatalogException, duckdb.ParserException) as error:
        raise UsageError(
            f"SQL: {_first_line(error)}; the tables are {', '.join(_tables(connection))}"
        ) from error
    except duckdb.BinderException as error:
        raise UsageError(f"SQL: {_first_line(error)}; {_columns(connection, sql)}") from error
    except duckdb.InternalException:
        raise  # a bug of DuckDB's, not the user's
    except duckdb.InvalidInputException as error:
        if is_of_a_part(error):
            raise  # a damaged table, which the connection tells
        raise UsageError(f"SQL: {_first_line(error)}") from error
    except duckdb.Error as error:
        raise UsageError(f"SQL: {_first_line(error)}") from error


def _first_line(error: duckdb.Error) -> str:
    """The message without the drawing of the query and the signatures below it."""
    message = str(error).split("\n\nLINE ")[0].split("Candidate functions:")[0]
    return " ".join(message.split())


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Views of the run, those that are no plain words in the quotes that SQL wants."""
    rows = connection.execute(
        "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1"
    ).fetchall()
    return [name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"' for (name,) in rows]


def _columns(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Columns of the views that the query names."""
    rows = connection.execute(
        "SELECT table_name, string_agg(column_name, ', ' ORDER BY column_index) "
        "FROM duckdb_columns() WHERE NOT internal GROUP BY 1 ORDER BY 1"
    ).fetchall()
    used = [f"{table} has {columns}" for table, columns in rows if table in sql]
    return "; ".join(used) or f"the tables are {', '.join(_tables(connection))}"
