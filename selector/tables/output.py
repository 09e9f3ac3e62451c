"""Answers as files for other tools: JSON, CSV, Parquet, Arrow; written batch by batch.

JSON and CSV have one rule for what SQL types become: binary values (content hashes) are lower-case
hex, dates and times ISO 8601, decimals numbers; NaN and infinity, which JSON lacks, become null.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


def to_json(table: pa.Table) -> str:
    """A JSON list with one object per row, columns in order."""
    out = io.BytesIO()
    write_json(out, table.schema, table.to_batches())
    return out.getvalue().decode().rstrip("\n")


def to_csv(table: pa.Table) -> str:
    """CSV with a header line and \\n line ends; null is empty, nested values are JSON."""
    out = io.BytesIO()
    write_csv(out, table.schema, table.to_batches())
    return out.getvalue().decode()


def write_json(file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """As `to_json`; returns the number of rows, as all writers here do."""
    num_rows = 0
    file.write(b"[")
    for batch in batches:
        rows = [
            json.dumps(_plain(row), ensure_ascii=False, allow_nan=False)
            for row in batch.to_pylist()
        ]
        if rows:
            file.write((", " if num_rows else "").encode() + ", ".join(rows).encode())
        num_rows += len(rows)
    file.write(b"]\n")
    return num_rows


def write_csv(file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """As `to_csv`."""
    num_rows = 0
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.names)
    for batch in batches:
        for row in batch.to_pylist():
            writer.writerow([_cell(_plain(value)) for value in row.values()])
        file.write(text.getvalue().encode())
        text.seek(0)
        text.truncate()
        num_rows += len(batch)
    file.write(text.getvalue().encode())
    return num_rows


def write_parquet(file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """One Parquet file, a row group a batch; `file` need not be seekable."""
    num_rows = 0
    with pq.ParquetWriter(_Counting(file), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)
            num_rows += len(batch)
    return num_rows


def write_arrow(
    file: BinaryIO, schema: pa.Schema, batches: Iterable[pa.RecordBatch], *, stream: bool = False
) -> int:
    """One Arrow IPC file (Feather version 2), or an IPC stream to be read while it is written."""
    num_rows = 0
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(_Counting(file), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            num_rows += len(batch)
    return num_rows


class _Counting(io.RawIOBase):
    """A file that is only written to, and knows how far, so that a pipe will do."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self._position += memoryview(data).nbytes
        return memoryview(data).nbytes

    def tell(self) -> int:
        return self._position


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _plain(value: Any) -> Any:
    """A value of Arrow as one that JSON knows."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case bytes():
            return value.hex()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime.date() | datetime.time():
            return value.isoformat()
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)
