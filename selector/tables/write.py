"""Writing tables: the same rows give the same bytes, and a file is complete or not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from selector.tables.compaction import with_compacted, without_compacted
from selector.tables.layout import RunLayout
from selector.tables.read import TableList, newest_versions, read_table_list
from selector.tables.schema import SCHEMA_VERSION
from selector.tables.vectors import is_vector
from shards import atomic

ROWS_PER_GROUP = 131_072
"""Fixed, so that the bytes of a file do not depend on how its rows arrived."""

_VECTOR_BYTES_PER_GROUP = 16 * 2**20
"""Rows of wide vectors come in smaller groups: a group is held in memory, and read as a whole."""


def rows_per_group(schema: pa.Schema) -> int:
    """Rows of a row group of a table with this schema: a power of two that follows from it."""
    width = sum(field.type.byte_width for field in schema if is_vector(field))
    if not width:
        return ROWS_PER_GROUP
    fitting: int = 2 ** ((_VECTOR_BYTES_PER_GROUP // width).bit_length() - 1)
    return min(ROWS_PER_GROUP, max(1024, fitting))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """`table` with exactly the columns, order, types and metadata of `schema`.

    Raises:
        ValueError: a column of the schema is missing, or the table has one that it lacks.
    """
    missing = [name for name in schema.names if name not in table.column_names]
    unknown = [name for name in table.column_names if name not in schema.names]
    if missing or unknown:
        raise ValueError(f"columns missing: {missing or 'none'}, unknown: {unknown or 'none'}")
    columns = [table.column(field.name).cast(field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def write_part(uri: str, table: pa.Table) -> None:
    """Write one Parquet file atomically: zstd, and the same bytes for the same rows.

    Args:
        table: built with a schema of `selector.tables.schema`, which travels in the file.

    Raises:
        ValueError: the table's schema names no kind and version.
        StorageError: the place cannot be written; nothing is left under `uri`.
    """
    with open_part(uri, table.schema) as append:
        append(table)


@contextmanager
def open_part(uri: str, schema: pa.Schema) -> Iterator[Callable[[pa.Table], None]]:
    """Write one Parquet file from tables that come one by one, in the memory of one row group.

    The file appears when the block ends without an error. Its bytes do not depend on how the rows
    were divided into tables.

    Raises:
        ValueError: the schema names no kind and version.
        StorageError: the place cannot be written; nothing is left under `uri`.
    """
    if b"coursepack.table" not in (schema.metadata or {}):
        raise ValueError(f"{uri}: build the table with a schema of selector.tables.schema")
    # Keys, hashes and logit-like floats hardly repeat: a dictionary only costs time.
    repeating = [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type) or pa.types.is_int32(field.type)
    ]
    # Half-precision vectors hardly compress, and their least and greatest bytes tell nothing.
    vectors = {field.name for field in schema if is_vector(field)}
    group_rows = rows_per_group(schema)
    with (
        atomic.new_file(uri) as file,
        pq.ParquetWriter(
            file,
            schema,
            version="2.6",
            compression={
                field.name: "none" if field.name in vectors else "zstd" for field in schema
            },
            compression_level={field.name: 3 for field in schema if field.name not in vectors},
            use_dictionary=repeating,
            write_statistics=[field.name for field in schema if field.name not in vectors],
        ) as writer,
    ):
        waiting = schema.empty_table()
        num_groups = 0

        def append(table: pa.Table) -> None:
            nonlocal waiting, num_groups
            waiting = pa.concat_tables([waiting, table])
            while len(waiting) >= group_rows:
                write_group(waiting.slice(0, group_rows))
                waiting = waiting.slice(group_rows)

        def write_group(group: pa.Table) -> None:
            nonlocal num_groups
            writer.write_table(_canonical(group), row_group_size=group_rows)
            num_groups += 1

        yield append
        if len(waiting) or not num_groups:
            write_group(waiting)


def _by_first_appearance(values: pa.DictionaryArray) -> pa.DictionaryArray:
    distinct = values.dictionary.dictionary_encode()  # equal texts get one code
    codes = distinct.indices.take(values.indices).dictionary_encode()
    return pa.DictionaryArray.from_arrays(codes.indices, distinct.dictionary.take(codes.dictionary))


def write_table_list(
    layout: RunLayout,
    kind: str,
    parts: Iterable[str],
    *,
    inputs: str = "",
    fact: Mapping[str, Any] | None = None,
    statuses: Mapping[str, int] | None = None,
) -> int:
    """Declare which parts table `kind` consists of; readers look here and nowhere else.

    A new version is made only if the list differs from the newest one, so that a repeated run
    rewrites nothing. Compacted files take the place of the parts that they hold; a list that
    differs in that alone says so (`same_rows_as`), for its rows are those of an older version.

    Args:
        parts: URIs of complete parts inside the run; order and repetition do not matter.
        inputs: says what the parts were made from; another one makes a new version, so that who
            remembers a version learns that parts of the same names have other rows now.
        fact: of a fact table alone: which one of its kind this is (`selector.tables.facts`).
        statuses: of the scores table alone: how many rows of each status it has, if that is known.

    Returns:
        The version that now holds, counted from 1.
    """
    relative = tuple(with_compacted(layout, {layout.relative(part) for part in parts}))
    while True:
        version = newest_versions(layout).get(kind, 0)
        same_rows_as = None
        if version:
            newest = read_table_list(layout, kind, version)
            if (newest.inputs, newest.fact) == (inputs, fact):
                if newest.relative_parts == relative:
                    return version
                if _same_parts(layout, newest.relative_parts, relative):
                    same_rows_as = newest.rows_version
        wanted = TableList(kind, version + 1, relative, (), inputs, fact, statuses, same_rows_as)
        if _create(layout, wanted):
            return version + 1


def declare_same_rows(layout: RunLayout, table: TableList, parts: Iterable[str]) -> int:
    """Declare a table once more, with compacted files in place of its parts where there are any.

    Unlike `write_table_list`, always as the newest version of its kind.

    Args:
        parts: paths relative to the run, of the parts that make up the table.

    Returns:
        The new version.
    """
    relative = tuple(with_compacted(layout, parts))
    while True:
        version = newest_versions(layout)[table.kind] + 1
        wanted = replace(
            table, version=version, relative_parts=relative, same_rows_as=table.rows_version
        )
        if _create(layout, wanted):
            return version


def _create(layout: RunLayout, table: TableList) -> bool:
    """Write a table list; False if somebody else made this version meanwhile: look again."""
    content = {
        "kind": table.kind,
        "version": table.version,
        "schema_version": SCHEMA_VERSION,
        "inputs": table.inputs,
        **({} if table.fact is None else {"fact": dict(table.fact)}),
        **({} if table.statuses is None else {"statuses": dict(table.statuses)}),
        **({} if table.same_rows_as is None else {"same_rows_as": table.same_rows_as}),
        "parts": list(table.relative_parts),
    }
    data = (json.dumps(content, indent=1) + "\n").encode()
    return atomic.create_exclusive(layout.table_list(table.kind, table.version), data)


def _same_parts(layout: RunLayout, one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists differ in what is compacted alone."""
    return without_compacted(layout, one) == without_compacted(layout, other)


def _canonical(table: pa.Table) -> pa.Table:
    """One chunk per column, and dictionaries in order of first appearance.

    Both would otherwise tell in the bytes how a table was put together.
    """
    columns = []
    for field in table.schema:
        values = table.column(field.name).combine_chunks()
        if pa.types.is_dictionary(field.type):
            values = _by_first_appearance(values).cast(field.type)
        columns.append(values)
    return pa.Table.from_arrays(columns, schema=table.schema)
