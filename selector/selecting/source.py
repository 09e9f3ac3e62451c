"""The stream of candidate rows: what a plan needs of the run's tables, chunk by chunk, as numpy.

By SQL, which can answer every plan. `selector.selecting.stream` reads the files of a stored run
itself, in less memory, wherever a row alone tells what the plan asks of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa

from selector.selecting.plan import Plan, SourceColumn

Chunk = dict[str, np.ndarray]
"""Columns by name, each (N,): row_id int64, tie_high and tie_low uint64 (the content hash), and
those of the plan; a float64 column has NaN, an int64 column the least int64, for null."""

CHUNK_ROWS = 131_072
NO_GROUP = np.iinfo(np.int64).min
STATUS_FLAG = "source.status"
WHERE_FLAG = "source.where"


def candidates(
    connection: duckdb.DuckDBPyConnection, plan: Plan, *, chunk_rows: int = CHUNK_ROWS
) -> Iterator[Chunk]:
    """The rows that pass the plan's source, in any order, about `chunk_rows` at a time."""
    conditions = ["status = 'ok'"] if plan.status_ok else []
    if plan.where is not None:
        conditions.append(f"({plan.where})")
    sql = _select(plan.columns, " AND ".join(conditions) or "true")
    for batch in connection.sql(sql).to_arrow_reader(chunk_rows):
        if batch.num_rows:
            yield _chunk(batch, plan.columns)


def single_rows(
    connection: duckdb.DuckDBPyConnection, plan: Plan, row_ids: list[int]
) -> tuple[Chunk, pa.Table]:
    """Some rows whether or not they pass the source, for `explain`, sorted by row_id.

    Returns:
        The chunk, with two more flags `source.status` and `source.where`; and the rows of scores.
    """
    source = [
        SourceColumn(
            STATUS_FLAG, "flag", "status = 'ok'" if plan.status_ok else "true", None, None
        ),
        SourceColumn(WHERE_FLAG, "flag", plan.where or "true", None, None),
    ]
    columns = (*plan.columns, *source)
    wanted = f"row_id IN ({', '.join(str(int(row_id)) for row_id in row_ids)})"
    table = connection.sql(_select(columns, wanted) + " ORDER BY row_id").to_arrow_table()
    scores = connection.sql(f"SELECT * FROM scores WHERE {wanted} ORDER BY row_id")
    batches = table.combine_chunks().to_batches()
    batch = batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
    return _chunk(batch, columns), scores.to_arrow_table()


def _select(columns: tuple[SourceColumn, ...], condition: str) -> str:
    """Expressions over scores are computed below the joins, where no name is ambiguous."""
    inner = ["row_id", "content_hash"]
    outer = ["s.row_id", "s.content_hash"]
    facts = sorted({column.fact for column in columns if column.fact is not None})
    for column in columns:
        alias = _quoted(column.name)
        if column.fact is None:
            inner.append(f"{_typed(column, column.sql)} AS {alias}")
            outer.append(f"s.{alias}")
        else:
            sql = f"{_quoted(column.fact)}.{column.sql}"
            outer.append(f"{_typed(column, sql)} AS {alias}")
    joins = "".join(
        f" LEFT JOIN {_quoted(fact)} ON {_quoted(fact)}.row_id = s.row_id" for fact in facts
    )
    return (
        f"SELECT {', '.join(outer)} FROM "
        f"(SELECT {', '.join(inner)} FROM scores WHERE {condition}) s{joins}"
    )


def _typed(column: SourceColumn, sql: str) -> str:
    match column.kind:
        case "number":
            return f"CAST({sql} AS DOUBLE)"
        case "integer":
            return f"coalesce(CAST({sql} AS BIGINT), {NO_GROUP + 1} - 1)"
        case "flag":
            return f"coalesce({sql}, false)"
        case "present":
            return f"{sql} IS NOT NULL"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _chunk(batch: pa.RecordBatch, columns: tuple[SourceColumn, ...]) -> Chunk:
    high, low = hash_halves(batch.column("content_hash"))
    chunk = {"row_id": batch.column("row_id").to_numpy(), "tie_high": high, "tie_low": low}
    for column in columns:
        # zero_copy_only=False: flags are stored as bits, and nulls of numbers become NaN.
        chunk[column.name] = batch.column(column.name).to_numpy(zero_copy_only=False)
    return chunk


def hash_halves(hashes: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The two halves of 16-byte values as big-endian numbers; a row without a hash sorts last."""
    fixed = hashes.cast(pa.binary(16)).fill_null(b"\xff" * 16)
    bytes_16 = np.frombuffer(fixed.buffers()[1], dtype=">u8")
    halves = bytes_16[fixed.offset * 2 : (fixed.offset + len(fixed)) * 2].reshape(-1, 2)
    return halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64)
