"""The small files of a run, read with care: a damaged one is told by name, with the cure."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shards import storage
from shards.errors import StorageError


def read_json(uri: str, *, cure: str) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        cure: what to do if the file holds anything else; ends the message.

    Raises:
        StorageError: missing, unreadable, or no JSON object.
    """
    try:
        content = json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise StorageError(f"{uri} is damaged ({error}); {cure}") from error
    if not isinstance(content, dict):
        raise StorageError(f"{uri} is damaged (found {type(content).__name__}); {cure}")
    return content


def read_parquet(uri: str, columns: Sequence[str] | None = None, *, cure: str) -> pa.Table:
    """A Parquet file in memory; all columns unless some are named.

    Raises:
        StorageError: missing, unreadable, or no such Parquet file.
    """
    data = storage.read_bytes(uri)
    try:
        return pq.read_table(io.BytesIO(data), columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise StorageError(f"{uri} is damaged ({reason}); {cure}") from error
