"""The run's list of shards: grown by new ones, and checked against what is there now."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.parquet as pq

from cluster.ledger import Marker, short_hash
from cluster.surveys import Divisions, part_names
from selector.tables.layout import RunLayout
from selector.tables.run_files import read_parquet
from shards import atomic, storage
from shards.errors import CoursepackError, StorageError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest, ShardEntry


@dataclass(frozen=True)
class PoolState:
    """The pool as a run sees it now.

    Attributes:
        manifest: Every shard ever listed.
        todo: Listed shards without a finished part, the mended ones included.
        mended: Markers of damaged parts whose shard is another one now: they are done again.
        missing: Finished shards that the listing does not have; their facts stand.
        left_out: Shards of an earlier listing that were never finished and are not listed now.
    """

    manifest: PoolManifest
    todo: tuple[ShardEntry, ...]
    mended: tuple[Marker, ...]
    missing: tuple[ShardEntry, ...]
    left_out: tuple[ShardEntry, ...]


def read_manifest(layout: RunLayout) -> PoolManifest:
    """The stored manifest; an empty one before the first score."""
    if not storage.exists(layout.pool):
        return PoolManifest()
    cure = "restore it, or score into a new --out"
    return PoolManifest.from_table(read_parquet(layout.pool, cure=cure))


def write_manifest(layout: RunLayout, manifest: PoolManifest) -> None:
    """Store the manifest, if it differs from what is stored."""
    buffer = io.BytesIO()
    pq.write_table(manifest.to_table(), buffer, compression="zstd")
    data = buffer.getvalue()
    if not storage.exists(layout.pool) or storage.read_bytes(layout.pool) != data:
        atomic.write_bytes(layout.pool, data)


def compare(
    manifest: PoolManifest,
    listing: Sequence[FileInfo],
    done: Mapping[str, Marker],
    divisions: Divisions | None = None,
) -> PoolState:
    """What has to be done, given the shards that are there and the parts that are finished.

    A shard that changed after it was scored is refused: its facts describe bytes that are gone.
    One that was never finished, or was damaged when it was read, is simply taken as it is now.
    Only what is listed is done, so a bad shard can be left out by taking it out of the pool.

    Args:
        divisions: Shards of which a part is an index range.

    Raises:
        CoursepackError: naming the first changed shards and what to do.
    """
    grown, _ = manifest.extend(listing)
    difference = grown.diff(listing)
    entries = list(grown.entries)
    divisions = divisions or {}
    mended: list[Marker] = []
    refused: list[tuple[ShardEntry, FileInfo]] = []
    for entry, info in difference.changed:
        markers = [done[name] for name in part_names(entry, divisions) if name in done]
        if markers and not any(marker.damaged for marker in markers):
            refused.append((entry, info))
            continue
        mended += markers
        entries[entry.shard_id] = replace(entry, num_bytes=info.num_bytes, etag=info.etag)
    if refused:
        raise CoursepackError(_changed_message(refused))
    again = {marker.part for marker in mended}
    absent = {entry.shard_id for entry in difference.missing}
    finished = {
        entry.shard_id
        for entry in entries
        if all(name in done and name not in again for name in part_names(entry, divisions))
    }
    settled = finished | absent
    return PoolState(
        manifest=PoolManifest(tuple(entries)),
        todo=tuple(e for e in entries if e.shard_id not in settled),
        mended=tuple(mended),
        missing=tuple(e for e in difference.missing if e.shard_id in finished),
        left_out=tuple(e for e in difference.missing if e.shard_id not in finished),
    )


def follow_moves(
    manifest: PoolManifest, listing: Sequence[FileInfo]
) -> tuple[PoolManifest, tuple[ShardEntry, ...]]:
    """The manifest with the new places of shards that were moved, and those entries.

    A shard has moved if its file is gone and exactly one new file has its name, size and etag. It
    keeps its id: its facts stay true, and its images do not enter the tables a second time.
    """
    listed = {info.uri for info in listing}
    known = {entry.uri for entry in manifest.entries}
    arrivals: dict[tuple[str, int, str], list[str]] = {}
    for info in listing:
        if info.uri not in known:
            arrivals.setdefault(_traits(info), []).append(info.uri)
    gone: dict[tuple[str, int, str], list[ShardEntry]] = {}
    for entry in manifest.entries:
        if entry.uri not in listed and _traits(entry) in arrivals and not _is_there(entry.uri):
            gone.setdefault(_traits(entry), []).append(entry)
    moved = {
        entries[0].shard_id: replace(entries[0], uri=arrivals[traits][0])
        for traits, entries in gone.items()
        if len(entries) == len(arrivals[traits]) == 1
    }
    entries = tuple(moved.get(entry.shard_id, entry) for entry in manifest.entries)
    return PoolManifest(entries), tuple(moved.values())


def check_markers(manifest: PoolManifest, done: Mapping[str, Marker]) -> None:
    """Every finished part must be of the shard that the manifest names.

    Raises:
        CoursepackError: if the ledger and the manifest belong to different pools.
    """
    beyond = [name for name in sorted(done) if int(name[:8]) >= len(manifest.entries)]
    if beyond:
        raise CoursepackError(
            f"the ledger says that part {beyond[0]} is done, but pool.parquet lists "
            f"{len(manifest.entries)} shards only; restore pool.parquet, or score into a new --out"
        )
    for name in sorted(done):
        marker, entry = done[name], manifest.entries[int(name[:8])]
        if marker.etag != short_hash(entry.etag):
            raise CoursepackError(
                f"the ledger says that shard {entry.shard_id} ({entry.uri}) was scored with other "
                f"bytes than pool.parquet lists; remove the marker {marker.file_name} to score it "
                "again, or restore pool.parquet"
            )


def _traits(shard: FileInfo | ShardEntry) -> tuple[str, int, str]:
    return storage.name(shard.uri), shard.num_bytes, shard.etag


def _is_there(uri: str) -> bool:
    try:
        return storage.exists(uri)
    except StorageError:  # a server that is no more
        return False


def _changed_message(changed: Sequence[tuple[ShardEntry, FileInfo]]) -> str:
    lines = [
        f"  {entry.uri}: {entry.num_bytes:,} bytes when scored, {info.num_bytes:,} now"
        f"{'' if entry.num_bytes != info.num_bytes else ' (same size, later change)'}"
        for entry, info in changed[:3]
    ]
    more = f"\n  and {len(changed) - 3} more" if len(changed) > 3 else ""
    return (
        f"{len(changed)} shard(s) changed after they were scored:\n"
        + "\n".join(lines)
        + more
        + "\n"
        "their facts describe bytes that are gone. Put the scored files back, give the new ones "
        "another name (they are then added to the pool), or score into a new --out"
    )
