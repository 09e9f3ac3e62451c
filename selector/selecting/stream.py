"""Candidate rows of a stored run, read from its files: no SQL join, the memory of a few row groups.

What a row alone can tell is computed from its row group: plain columns as they are, conditions by
SQL over the row group. Fact tables are read beside the scores (`selector.tables.scan`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from selector.selecting.plan import Plan, SourceColumn
from selector.selecting.source import NO_GROUP, Chunk, hash_halves
from selector.tables.connection import RunTables
from selector.tables.scan import Columns, Piece, scan

_PIECE = "piece_of_scores"


@dataclass
class Scanned:
    """How far a pass is.

    Attributes:
        rows: of the scores table so far, also those that are no candidates.
        share: of the table's parts that is read, 1.0 at the end.
    """

    rows: int = 0
    share: float = 0.0

    @property
    def total_rows(self) -> int:
        """Rows of the table: known at the end, until then as if all its parts were alike."""
        return round(self.rows / self.share) if self.share else 0


OnScanned = Callable[[Scanned], None]


def can_stream(plan: Plan, tables: RunTables) -> bool:
    """Whether a row alone, with its facts, tells all that the plan asks of it."""
    views = {"scores", *(column.fact for column in plan.columns if column.fact is not None)}
    return (
        plan.where_reads is not None
        and all(column.reads is not None for column in plan.columns)
        and all(isinstance(tables.views[view], ds.FileSystemDataset) for view in views)
    )


def stream(
    connection: duckdb.DuckDBPyConnection,
    tables: RunTables,
    plan: Plan,
    *,
    with_hash: bool = True,
    on_scanned: OnScanned | None = None,
) -> Iterator[Chunk]:
    """The rows that pass the plan's source, in order of row_id, for a plan that `can_stream`.

    Args:
        with_hash: chunks carry tie_high and tie_low; needed to rank rows, not to count them.
        on_scanned: called after every row group that was read.

    Raises:
        StorageError: a part that cannot be read.
    """
    facts = {column.fact for column in plan.columns if column.fact is not None}
    wanted: dict[str, dict[str, None]] = {"scores": {}, **{fact: {} for fact in sorted(facts)}}
    if plan.status_ok:
        wanted["scores"]["status"] = None
    if with_hash:
        wanted["scores"]["content_hash"] = None
    wanted["scores"] |= dict.fromkeys(plan.where_reads or ())
    for column in plan.columns:
        wanted[column.fact or "scores"] |= dict.fromkeys(column.reads or ())

    def columns(view: str) -> Columns:
        source = tables.views[view]
        assert isinstance(source, ds.FileSystemDataset)  # `can_stream` lets nothing else in
        return Columns(view, source, tuple(wanted[view]))

    pieces = scan(
        columns("scores"),
        {fact: columns(fact) for fact in sorted(facts)},
        keep=_is_ok if plan.status_ok else None,
    )
    scanned = Scanned()
    for piece in pieces:
        chunk = _chunk(connection, plan, piece.rows, with_hash=with_hash)
        if chunk is not None:
            yield chunk
        _advance(scanned, piece)
        if on_scanned is not None:
            on_scanned(scanned)


def _advance(scanned: Scanned, piece: Piece) -> None:
    scanned.rows += piece.rows_read
    scanned.share = piece.share


def _is_ok(rows: pa.Table) -> pa.Array | None:
    """Mask of the rows with the status ok, None if all have it."""
    status = rows.column("status")
    mask = pc.fill_null(pc.equal(status, "ok"), False)
    return None if pc.all(mask, min_count=0).as_py() else mask


def _chunk(
    connection: duckdb.DuckDBPyConnection, plan: Plan, rows: pa.Table, *, with_hash: bool
) -> Chunk | None:
    """What the plan needs of some rows; None if none of them passes its source."""
    if plan.where is not None and len(rows):
        rows = rows.filter(_conditions(connection, rows, [plan.where]).column(0))
    if not len(rows):
        return None
    chunk: Chunk = {"row_id": rows.column("row_id").to_numpy()}
    if with_hash:
        chunk["tie_high"], chunk["tie_low"] = hash_halves(_one_array(rows.column("content_hash")))
    flags = [column for column in plan.columns if column.kind == "flag"]
    if flags:
        told = _conditions(connection, rows, [column.sql for column in flags])
        for at, column in enumerate(flags):
            chunk[column.name] = told.column(at).to_numpy()
    for column in plan.columns:
        if column.kind != "flag":
            chunk[column.name] = _values(column, rows)
    return chunk


def _conditions(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, conditions: list[str]
) -> pa.Table:
    """Conditions over `scores`, answered for some of its rows; null counts as false."""
    connection.register(_PIECE, rows)
    try:
        told = ", ".join(f"coalesce({sql}, false) AS c{at}" for at, sql in enumerate(conditions))
        return connection.sql(f"SELECT {told} FROM {_PIECE} AS scores").to_arrow_table()
    finally:
        connection.unregister(_PIECE)


def _values(column: SourceColumn, rows: pa.Table) -> np.ndarray:
    assert column.reads is not None  # as in `can_stream`
    (name,) = column.reads
    values = rows.column(name if column.fact is None else f"{column.fact}.{name}")
    match column.kind:
        case "number":
            return values.to_numpy().astype(np.float64, copy=False)  # null becomes NaN
        case "integer":
            return pc.fill_null(values.cast(pa.int64()), NO_GROUP).to_numpy()
        case _:
            return pc.is_valid(values).to_numpy()


def _one_array(values: pa.ChunkedArray) -> pa.Array:
    return values.chunk(0) if values.num_chunks == 1 else pa.concat_arrays(values.chunks)
