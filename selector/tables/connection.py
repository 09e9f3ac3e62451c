"""A locked DuckDB connection: SQL over a run's tables and over nothing else.

Access to files and network is switched off, but for the very files of the tables (see
`selector.tables.views`); extensions cannot be loaded, and the configuration is locked. That nothing
is written is the business of who passes SQL on: one SELECT, see `selector.tables.query`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from selector.tables.facts import fact_tables
from selector.tables.layout import RunLayout
from selector.tables.read import (
    dataset,
    newest_versions,
    open_parts,
    open_table,
    read_table_list,
    table_with_rows,
)
from selector.tables.run_files import read_json, read_parquet
from selector.tables.selections import selection_names, selection_part
from selector.tables.views import Rows, add_views, damage, is_of_a_part
from shards import storage
from shards.errors import UsageError
from shards.manifest import PoolManifest

DEFAULT_MEMORY_LIMIT = "4GB"
"""Of DuckDB's own work; what does not fit goes to the temporary directory."""

_REWRITE = "remove it and run the same score command, which writes it anew"


@dataclass(frozen=True)
class RunTables:
    """Everything SQL can see of a run, and which version of it.

    Attributes:
        views: view name -> its rows.
        versions: view of a table -> version of its rows (`TableList.rows_version`), which
            compaction does not change.
    """

    views: Mapping[str, Rows]
    versions: Mapping[str, int]


def run_tables(layout: RunLayout, *, versions: Mapping[str, int] | None = None) -> RunTables:
    """The views of a run: scores, members, shards, classes, facts, selection_<name>.

    A fact table is seen as its kind (the newest), `<kind>_<name>` and `<kind>_<id>`.

    Args:
        versions: view of a table -> version of its rows to open instead of the newest.

    Raises:
        UsageError: not a run, or tables of an unknown schema.
        StorageError: a listed part is missing.
    """
    listed = {view: fact.table for fact in fact_tables(layout) for view in fact.views}
    for kind, version in newest_versions(layout).items():
        listed[kind] = read_table_list(layout, kind, version)
    for view, rows_version in (versions or {}).items():
        kind = listed[view].kind if view in listed else view
        listed[view] = table_with_rows(layout, kind, rows_version)
    views: dict[str, Rows] = {}
    shared: dict[tuple[str, int], ds.Dataset] = {}  # a fact table has several names
    for view, table in listed.items():
        which = (table.kind, table.version)
        if which not in shared:
            shared[which] = open_table(layout, table)
        views[view] = shared[which]
    if "scores" not in views:
        views["scores"] = dataset(layout, "scores")  # tells what a run without it lacks
    views["shards"] = read_pool(layout)
    views["classes"] = _classes(layout)
    for name in selection_names(layout):
        views[f"selection_{name}"] = open_parts("selection", [selection_part(layout, name)])
    return RunTables(views, {view: table.rows_version for view, table in listed.items()})


def read_pool(layout: RunLayout) -> pa.Table:
    """The pool manifest as a table: shard_id, uri, num_bytes, etag.

    Raises:
        StorageError: the run has none.
        UsageError: it is of another version.
    """
    table = read_parquet(layout.pool, cure="restore it, or score into a new run")
    PoolManifest.from_table(table.slice(0, 0))  # refuses what it does not know
    return table


def class_names(layout: RunLayout) -> list[str] | None:
    """Names of the teacher's classes in order, None if they were not given when scoring."""
    if not storage.exists(layout.provenance):
        return None
    names: list[str] | None = read_json(layout.provenance, cure=_REWRITE).get("class_names")
    return names


def _classes(layout: RunLayout) -> pa.Table:
    names = class_names(layout) or []
    return pa.table(
        {
            "pseudo_label": pa.array(range(len(names)), pa.int32()),
            "name": pa.array(names, pa.string()),
        }
    )


def check_memory_limit(text: str) -> str:
    """`text` itself, if it is an amount of memory.

    Raises:
        UsageError: it is not.
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?\s*[KMGT]i?B", text, re.IGNORECASE):
        raise UsageError(f"memory {text!r}: expected an amount such as 4GB or 500MB")
    return text


@contextmanager
def connect(
    run: str, *, memory_limit: str = DEFAULT_MEMORY_LIMIT, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A locked connection to the newest tables of the run directory `run`.

    Views: scores, members, shards (the pool manifest), classes (pseudo_label, name), one per fact
    kind and table (`pu`, `pu_<name>`, `pu_<id>`), and selection_<name> for each selection (in
    double quotes if the name is no plain word).

    Args:
        memory_limit: as DuckDB writes it, such as "4GB"; beyond it results spill to a temporary
            directory that goes with the connection.
        threads: of DuckDB; as many as there are cores unless given.

    Raises:
        UsageError, StorageError: as `run_tables`.
    """
    tables = run_tables(RunLayout(run))
    with connect_tables(tables, memory_limit=memory_limit, threads=threads) as connection:
        yield connection


@contextmanager
def connect_tables(
    tables: RunTables, *, memory_limit: str = DEFAULT_MEMORY_LIMIT, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `connect`, for tables that are open already."""
    check_memory_limit(memory_limit)
    with tempfile.TemporaryDirectory(prefix="coursepack-sql-") as spill:
        config: dict[str, str | int | bool] = {
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_persistent_secrets": False,
        }
        if threads is not None:
            config["threads"] = threads
        with duckdb.connect(":memory:", config=config) as connection:
            # How far a query is can be asked for, but nothing may be drawn: standard output is the
            # answer's.
            connection.execute("SET enable_progress_bar = true")
            connection.execute("SET enable_progress_bar_print = false")
            # Python variables of the caller must not become tables.
            connection.execute("SET python_enable_replacements = false")
            try:
                add_views(connection, tables.views)
                connection.execute("SET lock_configuration = true")
                yield connection
            except duckdb.Error as error:
                if is_of_a_part(error):
                    raise damage(tables.views, error) from error
                raise
