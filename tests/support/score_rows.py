"""Score rows for tests that need no run directory: few distinct values, so that ties abound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import numpy as np
import pyarrow as pa

from selector.tables.connection import RunTables, connect_tables
from selector.tables.schema import scores_schema


def score_rows(size: int, *, seed: int = 0) -> pa.Table:
    """`size` rows in shuffled order: tied scores and hashes, nulls, NaN, every tenth failed."""
    rng = np.random.default_rng(seed)
    index = rng.permutation(size)
    failed = index % 10 == 9

    def some(values: list, data_type: pa.DataType) -> pa.Array:
        drawn = [values[i] for i in rng.integers(0, len(values), size)]
        return pa.array(
            [None if bad else v for v, bad in zip(drawn, failed, strict=True)], data_type
        )

    hashes = [bytes([value]) * 16 for value in (0, 1, 255)]
    columns = {
        "row_id": pa.array((index // 7 << 32) + index % 7),
        "shard_id": pa.array((index // 7).astype(np.int32)),
        "index": pa.array((index % 7).astype(np.int32)),
        "key": pa.array([f"k{i // 2}" for i in index]),
        "shard": pa.array([f"shard-{i // 7}.tar" for i in index]),
        "status": pa.array(["undecodable" if bad else "ok" for bad in failed]),
        "error": pa.nulls(size, pa.string()),
        "width": some([16, 200, 300], pa.int32()),
        "height": some([16, 200, 300], pa.int32()),
        "num_bytes": some([500, 600], pa.int64()),
        "content_hash": pa.array([hashes[i] for i in rng.integers(0, 3, size)], pa.binary(16)),
        "phash": some([0, 2**64 - 1], pa.uint64()),
        "pseudo_label": some([0, 0, 0, 1, 1, 4], pa.int32()),
        "max_prob": some([0.1, 0.5, 1.0], pa.float32()),
        "noise_value": some([0.0, 1e-8, 0.1, 0.25, 0.5, float("nan")], pa.float32()),
        "entropy": some([0.1, 0.2, 0.3], pa.float32()),
        "margin": some([0.1, 0.2, 0.3, 1.0], pa.float32()),
    }
    schema = scores_schema()
    return pa.table([columns[f.name].cast(f.type) for f in schema], schema=schema)


@contextmanager
def connected(
    scores: pa.Table, **facts: pa.Table
) -> Iterator[tuple[duckdb.DuckDBPyConnection, RunTables]]:
    """A locked connection to tables in memory, as if they were version 1 of a run's."""
    views = {"scores": scores, **facts}
    tables = RunTables(views, dict.fromkeys(views, 1))
    with connect_tables(tables, threads=1) as connection:
        yield connection, tables
