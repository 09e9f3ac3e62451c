"""The answer to a query, batch by batch, while somebody watches and may interrupt.

DuckDB works in a thread of its own: the caller's thread tells how far it is, and stays free to be
interrupted, which ends the query at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import duckdb
import pyarrow as pa

ROWS_PER_BATCH = 100_000
_LOOK_EVERY_S = 0.2
_INTERRUPT_EVERY_S = 0.05

T = TypeVar("T")

OnShare = Callable[[float], None]
"""Called with the share of the work that is done, 0.0 .. 1.0, as DuckDB estimates it."""


@contextmanager
def batches(
    connection: duckdb.DuckDBPyConnection, sql: str, *, on_share: OnShare | None = None
) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Schema and batches of the answer; of a sorted or grouped one, all the work is done first.

    Raises:
        duckdb.Error: also for what goes wrong between two batches.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sql") as pool:

        def watched(work: Callable[[], T]) -> T:
            return _watched(pool.submit(work), connection, on_share)

        def rest(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
            while (batch := watched(lambda: next(reader, None))) is not None:
                yield batch

        try:
            reader = watched(lambda: connection.sql(sql).to_arrow_reader(ROWS_PER_BATCH))
            try:
                yield reader.schema, rest(reader)
            finally:
                reader.close()  # an answer that is not read to its end keeps the connection busy
        except BaseException:
            # Or leaving the pool would wait for the end of the query. What is told before a query
            # has begun, DuckDB forgets: so again and again, until the one thread is through.
            through = pool.submit(bool)
            while not wait([through], timeout=_INTERRUPT_EVERY_S).done:
                connection.interrupt()
            raise


def _watched(
    future: Future[T], connection: duckdb.DuckDBPyConnection, on_share: OnShare | None
) -> T:
    while not wait([future], timeout=_LOOK_EVERY_S).done:
        percent = connection.query_progress()
        if on_share is not None and percent >= 0:  # -1: it cannot tell
            on_share(percent / 100)
    try:
        return future.result()
    except OSError as error:  # what Arrow makes of DuckDB's error between two batches
        raise _original(error) from error


def _original(error: OSError) -> Exception:
    """The error of DuckDB's that Arrow passed on as text: `Conversion Error: ...`."""
    kind, found, _ = str(error).partition(" Error: ")
    name = "".join(word[:1].upper() + word[1:] for word in kind.split()) + "Exception"
    made = getattr(duckdb, name, duckdb.Error) if found else None
    return made(str(error)) if made is not None else error
