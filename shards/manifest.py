"""The pool manifest: an append-only list of shards; a shard's id is its position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from shards.errors import UsageError
from shards.file_info import FileInfo

SCHEMA_VERSION = 1
_VERSION_KEY = b"coursepack.pool.version"

POOL_SCHEMA = pa.schema(
    [
        pa.field("shard_id", pa.int32(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("num_bytes", pa.int64(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
    ],
    metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()},
)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard of a pool, as it was when it joined the pool (see `FileInfo` for the etag)."""

    shard_id: int
    uri: str
    num_bytes: int
    etag: str


@dataclass(frozen=True)
class ManifestDiff:
    """How a listing differs from the manifest.

    Attributes:
        changed: shards whose size or etag is another now: (as known, as found).
        missing: shards that the listing no longer has.
        new: files that the manifest does not know.
    """

    changed: tuple[tuple[ShardEntry, FileInfo], ...]
    missing: tuple[ShardEntry, ...]
    new: tuple[FileInfo, ...]


@dataclass(frozen=True)
class PoolManifest:
    """The shards of a pool; `entries[i].shard_id == i`."""

    entries: tuple[ShardEntry, ...] = ()

    def __post_init__(self) -> None:
        for position, entry in enumerate(self.entries):
            if entry.shard_id != position:
                raise ValueError(f"shard_id {entry.shard_id} stands at position {position}")
        if len({entry.uri for entry in self.entries}) != len(self.entries):
            raise ValueError("a shard is listed twice")

    def extend(self, listing: Iterable[FileInfo]) -> tuple[PoolManifest, tuple[ShardEntry, ...]]:
        """Append the files that are not known yet, in the order given: (manifest, new entries).

        Known shards stay as they are, changed or not: ask `diff`.
        """
        known = {entry.uri for entry in self.entries}
        new: list[ShardEntry] = []
        for info in listing:
            if info.uri not in known:
                known.add(info.uri)
                shard_id = len(self.entries) + len(new)
                new.append(ShardEntry(shard_id, info.uri, info.num_bytes, info.etag))
        return PoolManifest((*self.entries, *new)), tuple(new)

    def diff(self, listing: Sequence[FileInfo]) -> ManifestDiff:
        """Compare with what is there now."""
        found = {info.uri: info for info in listing}
        known = {entry.uri for entry in self.entries}
        return ManifestDiff(
            changed=tuple(
                (entry, info)
                for entry in self.entries
                if (info := found.get(entry.uri)) is not None
                and (info.num_bytes, info.etag) != (entry.num_bytes, entry.etag)
            ),
            missing=tuple(entry for entry in self.entries if entry.uri not in found),
            new=tuple(info for uri, info in found.items() if uri not in known),
        )

    def to_table(self) -> pa.Table:
        """The content of pool.parquet."""
        columns = {
            name: [getattr(entry, name) for entry in self.entries] for name in POOL_SCHEMA.names
        }
        return pa.table(columns, schema=POOL_SCHEMA)

    @staticmethod
    def from_table(table: pa.Table) -> PoolManifest:
        """Read pool.parquet.

        Raises:
            UsageError: written by another version, or no pool manifest at all.
        """
        version = (table.schema.metadata or {}).get(_VERSION_KEY)
        if version is None or table.schema.names != POOL_SCHEMA.names:
            raise UsageError(
                f"no pool manifest: found columns {table.schema.names}, expected "
                f"{POOL_SCHEMA.names} with a version in the metadata"
            )
        if version != str(SCHEMA_VERSION).encode():
            raise UsageError(
                f"the pool manifest has version {version.decode()}, this program reads "
                f"{SCHEMA_VERSION}: use the version of coursepack that wrote it"
            )
        rows = table.to_pylist()
        return PoolManifest(tuple(ShardEntry(**row) for row in rows))
