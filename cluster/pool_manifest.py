"""The run's list of shards: grown by new ones, and checked against what is there now."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow.parquet as pq

from cluster.ledger import Marker, short_hash
from selector.tables.layout import RunLayout, part_name
from shards import atomic, storage
from shards.errors import CoursepackError
from shards.file_info import FileInfo
from shards.manifest import PoolManifest, ShardEntry


@dataclass(frozen=True)
class PoolState:
    """The pool as a run sees it now.

    Attributes:
        manifest: Every shard ever listed.
        todo: Shards without a finished part, the mended ones included.
        mended: Markers of damaged parts whose shard is another one now: they are done again.
        missing: Finished shards that the listing no longer has; their facts stand.
    """

    manifest: PoolManifest
    todo: tuple[ShardEntry, ...]
    mended: tuple[Marker, ...]
    missing: tuple[ShardEntry, ...]


def read_manifest(layout: RunLayout) -> PoolManifest:
    """The stored manifest; an empty one before the first score."""
    if not storage.exists(layout.pool):
        return PoolManifest()
    return PoolManifest.from_table(pq.read_table(io.BytesIO(storage.read_bytes(layout.pool))))


def write_manifest(layout: RunLayout, manifest: PoolManifest) -> None:
    """Store the manifest, if it differs from what is stored."""
    buffer = io.BytesIO()
    pq.write_table(manifest.to_table(), buffer, compression="zstd")
    data = buffer.getvalue()
    if not storage.exists(layout.pool) or storage.read_bytes(layout.pool) != data:
        atomic.write_bytes(layout.pool, data)


def compare(
    manifest: PoolManifest, listing: Sequence[FileInfo], done: Mapping[str, Marker]
) -> PoolState:
    """What has to be done, given the shards that are there and the parts that are finished.

    A shard that changed after it was scored is refused: its facts describe bytes that are gone.
    One that was never finished, or was damaged when it was read, is simply taken as it is now.

    Raises:
        CoursepackError: naming the first changed shards and what to do.
    """
    grown, _ = manifest.extend(listing)
    difference = grown.diff(listing)
    entries = list(grown.entries)
    mended: list[Marker] = []
    refused: list[tuple[ShardEntry, FileInfo]] = []
    for entry, info in difference.changed:
        marker = done.get(part_name(entry.shard_id, 0))
        if marker is not None and not marker.damaged:
            refused.append((entry, info))
            continue
        if marker is not None:
            mended.append(marker)
        entries[entry.shard_id] = replace(entry, num_bytes=info.num_bytes, etag=info.etag)
    if refused:
        raise CoursepackError(_changed_message(refused))
    again = {marker.part for marker in mended}
    todo = tuple(
        entry
        for entry in entries
        if (name := part_name(entry.shard_id, 0)) not in done or name in again
    )
    waiting = {entry.shard_id for entry in todo}
    return PoolState(
        manifest=PoolManifest(tuple(entries)),
        todo=todo,
        mended=tuple(mended),
        missing=tuple(entry for entry in difference.missing if entry.shard_id not in waiting),
    )


def check_markers(manifest: PoolManifest, done: Mapping[str, Marker]) -> None:
    """Every finished part must be of the shard that the manifest names.

    Raises:
        CoursepackError: if the ledger and the manifest belong to different pools.
    """
    for entry in manifest.entries:
        marker = done.get(part_name(entry.shard_id, 0))
        if marker is not None and marker.etag != short_hash(entry.etag):
            raise CoursepackError(
                f"the ledger says that shard {entry.shard_id} ({entry.uri}) was scored with other "
                f"bytes than pool.parquet lists; remove the marker {marker.file_name} to score it "
                "again, or restore pool.parquet"
            )


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
