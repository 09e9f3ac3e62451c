"""Exclusion lists: which rows of the pool a takedown list means.

One entry per line. An entry is a key (matched exactly; all rows of that key), a content hash (32
hex digits; all rows with those bytes), or a row_id: a number that is the key of no image. `key:`,
`hash:` or `row_id:` in front of an entry settles which it is. Blank lines and lines that start
with `# ` do not count.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from selector.policies.columns import IntArray
from shards import storage
from shards.errors import UsageError

_HASH = re.compile(r"[0-9a-fA-F]{32}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_SHOWN = 5


@dataclass(frozen=True)
class Exclusion:
    """A list, resolved against a pool.

    Attributes:
        row_ids: (M,) int64, sorted, of the rows to leave out.
        num_entries: distinct entries.
        unmatched: entries that mean no row of the pool.
    """

    row_ids: IntArray
    num_entries: int
    unmatched: tuple[str, ...]

    def warning(self) -> str | None:
        """One line about entries that match nothing, None if all do."""
        if not self.unmatched:
            return None
        shown = ", ".join(self.unmatched[:_SHOWN]) + (", ..." if len(self.unmatched) > 5 else "")
        return (
            f"{len(self.unmatched)} of {self.num_entries} entries of the exclusion list match "
            f"nothing in the pool: {shown}"
        )


def read_list(uri: str) -> tuple[str, ...]:
    """The entries of a list file.

    Raises:
        UsageError: no text in UTF-8. StorageError: cannot be read.
    """
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{uri}: expected text in UTF-8, one entry per line") from error
    # Only line ends separate: str.splitlines would also cut keys at rarer characters.
    lines = (line.strip(" \t\r") for line in text.split("\n"))
    return tuple(line for line in lines if line and not line.startswith("# "))


def list_hash(entries: Sequence[str]) -> str:
    """Hash of what a list says, whatever the order of its lines."""
    text = "\n".join(sorted(set(entries)))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def resolve(connection: duckdb.DuckDBPyConnection, entries: Sequence[str]) -> Exclusion:
    """Find the rows that the entries mean, among the rows of the view `scores`."""
    distinct = sorted(set(entries))
    said = {entry: _split(entry) for entry in distinct}
    keys = {entry: text for entry, (kind, text) in said.items() if kind in ("key", "")}
    rows_by_key, are_keys = _match(
        connection, "key", list(keys), pa.array(keys.values(), pa.string())
    )
    hashes = {
        entry: bytes.fromhex(text)
        for entry, (kind, text) in said.items()
        if kind in ("hash", "") and _HASH.fullmatch(text)
    }
    rows_by_hash, are_hashes = _match(
        connection, "content_hash", list(hashes), pa.array(hashes.values(), pa.binary())
    )
    numbers = {
        entry: int(text)
        for entry, (kind, text) in said.items()
        if (kind == "row_id" or (kind == "" and entry not in are_keys))
        and _NUMBER.fullmatch(text)
        and int(text) < 2**63
    }
    rows_by_id, are_ids = _match(
        connection, "row_id", list(numbers), pa.array(numbers.values(), pa.int64())
    )
    matched = are_keys | are_hashes | are_ids
    return Exclusion(
        np.unique(np.concatenate([rows_by_key, rows_by_hash, rows_by_id])),
        len(distinct),
        tuple(entry for entry in distinct if entry not in matched),
    )


def _split(entry: str) -> tuple[str, str]:
    """`(kind, text)`; the kind of an entry that does not say it is empty."""
    kind, colon, text = entry.partition(":")
    return (kind, text) if colon and kind in ("key", "hash", "row_id") else ("", entry)


def _match(
    connection: duckdb.DuckDBPyConnection, column: str, entries: list[str], values: pa.Array
) -> tuple[IntArray, set[str]]:
    """row_ids of the rows whose `column` is among `values`, and the entries that matched."""
    if not entries:
        return np.empty(0, dtype=np.int64), set()
    connection.register("exclusion_list", pa.table({"entry": entries, "value": values}))
    found = connection.sql(
        f"SELECT e.entry, s.row_id FROM scores s JOIN exclusion_list e ON s.{column} = e.value"
    ).to_arrow_table()
    connection.unregister("exclusion_list")
    return found["row_id"].to_numpy(), set(found["entry"].unique().to_pylist())
