"""The tables of a run for Python: pyarrow datasets and DuckDB relations, read-only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from selector.tables.connection import (
    DEFAULT_MEMORY_LIMIT,
    RunTables,
    connect_tables,
    run_tables,
)
from selector.tables.layout import RunLayout
from selector.tables.query import check_single_select, sql_errors
from shards.errors import UsageError


@dataclass(frozen=True)
class OpenTables:
    """The views of a run, while they are open. Nothing is read before it is asked for."""

    _tables: RunTables
    _connection: duckdb.DuckDBPyConnection

    @property
    def names(self) -> list[str]:
        """Names of the views, sorted."""
        return sorted(self._tables.views)

    def dataset(self, name: str) -> ds.Dataset:
        """A view as a pyarrow dataset, which also serves when the tables are closed again.

        Raises:
            UsageError: the run has no such view.
        """
        if name not in self._tables.views:
            raise UsageError(f"the run has no view {name!r}; it has {', '.join(self.names)}")
        rows = self._tables.views[name]
        return ds.dataset(rows) if isinstance(rows, pa.Table) else rows

    def sql(self, sql: str) -> duckdb.DuckDBPyRelation:
        """The answer to one SELECT as a DuckDB relation: lazy, to be refined, joined or fetched.

        Raises:
            UsageError: wrong SQL, or no single SELECT.
        """
        with sql_errors(self._connection, sql):
            check_single_select(self._connection, sql)
            return self._connection.sql(sql)


@contextmanager
def open_tables(
    run: str, *, memory: str = DEFAULT_MEMORY_LIMIT, threads: int | None = None
) -> Iterator[OpenTables]:
    """Open the newest tables of a run.

    Views: scores, members, shards, classes, one per fact table, selection_<name>.

    Args:
        memory: What SQL may hold, such as "4GB"; beyond it, the temporary directory is used.
        threads: Of DuckDB; as many as there are cores unless given.

    Raises:
        UsageError: not a run, or tables of an unknown schema.
        StorageError: a listed part is missing.
    """
    tables = run_tables(RunLayout(run))
    with connect_tables(tables, memory_limit=memory, threads=threads) as connection:
        yield OpenTables(tables, connection)
