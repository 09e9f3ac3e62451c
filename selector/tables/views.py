"""The tables of a run as views of a DuckDB connection.

Parts on a local disk are read by DuckDB itself: all its threads decompress, a WHERE skips row
groups by their statistics, and what it holds counts against its memory limit. To that end exactly
these files, by their full names, are left open to the connection when access to files is switched
off. Everything else (object stores, tables in memory) reaches it as Arrow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from selector.tables.read import damage_of
from shards.errors import CoursepackError

Rows: TypeAlias = ds.Dataset | pa.Table

_GLOB = re.compile(r"[*?\[\]{}]")


def add_views(connection: duckdb.DuckDBPyConnection, views: Mapping[str, Rows]) -> None:
    """Make the views and leave only their own files open to the connection.

    The connection must not be locked yet; access to files is off afterwards.
    """
    files: set[str] = set()
    for name, rows in views.items():
        parts = _local_parts(rows)
        if parts is None:
            connection.register(name, rows)
            continue
        connection.execute(
            f"CREATE VIEW {quoted(name)} AS SELECT * FROM "
            f"read_parquet([{_texts(parts)}], hive_partitioning = false, union_by_name = false)"
        )
        files.update(parts)
    connection.execute(f"SET allowed_paths = [{_texts(sorted(files))}]")
    connection.execute("SET enable_external_access = false")


def quoted(name: str) -> str:
    """A name as SQL takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def is_of_a_part(error: duckdb.Error) -> bool:
    """Whether an error speaks of a table's file or its reading, so that the file is to blame."""
    if not isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
        return False
    signs = ("parquet", "reading the stream", "zstd", "decompress", "thrift")
    return any(sign in str(error).lower() for sign in signs)


def damage(views: Mapping[str, Rows], error: duckdb.Error) -> CoursepackError:
    """What to tell of an error `is_of_a_part`: which file is to blame, and how to mend it.

    Files that the error names are looked at, else those of a view that it names, else all.
    """
    message = str(error)
    stream = re.search(r"reading the stream registered as '([^']+)' failed", message)
    stored = {
        name: rows
        for name, rows in views.items()
        if isinstance(rows, ds.FileSystemDataset) and (stream is None or name == stream[1])
    }
    named = [
        (name, rows, [part for part in rows.files if part in message])
        for name, rows in stored.items()
    ]
    every = [(name, rows, rows.files) for name, rows in stored.items()]
    for name, rows, parts in [*named, *every]:
        found = damage_of(name, rows, parts)
        if found is not None:
            return found
    return CoursepackError(f"a table could not be read: {' '.join(message.split())}")


def _local_parts(rows: Rows) -> list[str] | None:
    """Files that DuckDB can read by name; None if there are none, or a name is a pattern to it."""
    if not isinstance(rows, ds.FileSystemDataset):
        return None
    if not isinstance(rows.filesystem, pafs.LocalFileSystem) or any(
        _GLOB.search(part) for part in rows.files
    ):
        return None
    return list(rows.files)


def _texts(values: list[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
