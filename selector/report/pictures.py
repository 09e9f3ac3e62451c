"""Fetching a few images of a pool: by offset from plain shards, in one pass from compressed ones.

A report must come out whatever has become of the pool: what cannot be read is a reason, not an
error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from selector.report.thumbnails import thumbnail
from selector.scores.hashes import content_hash
from selector.tables.layout import RunLayout
from selector.tables.read import dataset
from selector.tables.schema import split_row_id
from shards import storage
from shards.errors import CoursepackError, ImageError
from shards.reader import ShardReader, open_shard
from shards.sample import Data, Member, SampleEntry, image_member

_READERS = 8


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI, or the problem that stood in its way; one of them is empty."""

    uri: str = ""
    problem: str = ""


def load_pictures(
    run: str, rows: pa.Table, *, uris: Mapping[int, str], image_ext: Sequence[str]
) -> dict[int, Picture]:
    """A picture for every row.

    Args:
        run: whose member index says where the images lie.
        rows: row_id, shard_id, content_hash; up to some hundreds of rows.
        uris: shard_id -> where the shard lay when it was scored.
        image_ext: which members are images, in order of preference.

    Returns:
        row_id -> Picture. An image whose bytes are not the scored ones has a problem, too.
    """
    by_shard: dict[int, list[dict[str, Any]]] = {}
    for row in rows.select(["row_id", "shard_id", "content_hash"]).to_pylist():
        by_shard.setdefault(row["shard_id"], []).append(row)
    try:
        members = _members(run, rows["row_id"].to_pylist())
    except CoursepackError as error:
        return {row_id: Picture(problem=str(error)) for row_id in rows["row_id"].to_pylist()}

    def of_shard(shard_id: int) -> dict[int, Picture]:
        wanted = {row["row_id"]: row["content_hash"] for row in by_shard[shard_id]}
        return _of_shard(uris.get(shard_id, ""), wanted, members, image_ext)

    pictures: dict[int, Picture] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for found in pool.map(of_shard, sorted(by_shard)):
            pictures.update(found)
    return pictures


def _members(run: str, row_ids: Sequence[int]) -> dict[int, SampleEntry]:
    """The samples of some rows as the member index knows them."""
    table = dataset(RunLayout(run), "members").to_table(
        filter=ds.field("row_id").isin(pa.array(row_ids, pa.int64()))
    )
    members: dict[int, list[Member]] = {}
    for row in table.to_pylist():
        member = Member(row["name"], row["extension"], row["offset"], row["size"])
        members.setdefault(row["row_id"], []).append(member)
    return {
        row_id: SampleEntry(split_row_id(row_id)[1], "", tuple(files))
        for row_id, files in members.items()
    }


def _of_shard(
    uri: str,
    wanted: Mapping[int, bytes],
    members: Mapping[int, SampleEntry],
    image_ext: Sequence[str],
) -> dict[int, Picture]:
    """Pictures of one shard; after it fails, the rest of its rows carry the reason."""
    pictures: dict[int, Picture] = {}
    reason = "the member index does not list it"
    try:
        with open_shard(uri) as reader:
            read = _streamed if reader.compressed else _by_offset
            for row_id, data in read(reader, sorted(wanted), members, image_ext):
                pictures[row_id] = _picture(data, wanted[row_id])
    except CoursepackError as error:
        reason = f"{storage.name(uri)} cannot be read: {error}"
    return {row_id: pictures.get(row_id, Picture(problem=reason)) for row_id in wanted}


def _by_offset(
    reader: ShardReader,
    row_ids: Sequence[int],
    members: Mapping[int, SampleEntry],
    image_ext: Sequence[str],
) -> Iterator[tuple[int, Data]]:
    for row_id in row_ids:
        member = image_member(members[row_id], image_ext) if row_id in members else None
        if member is not None:
            yield row_id, reader.read(member)


def _streamed(
    reader: ShardReader,
    row_ids: Sequence[int],
    members: Mapping[int, SampleEntry],
    image_ext: Sequence[str],
) -> Iterator[tuple[int, Data]]:
    """One pass, no further than the last sample that is wanted; the index is not needed."""
    by_index = {split_row_id(row_id)[1]: row_id for row_id in row_ids}
    for sample in reader.samples(stop=max(by_index) + 1):
        if sample.entry.index in by_index:
            image = sample.image(image_ext)
            if image is not None:
                yield by_index[sample.entry.index], image[1]


def _picture(data: Data, expected_hash: bytes) -> Picture:
    if content_hash(data) != expected_hash:
        return Picture(problem="the image is not the one that was scored: the shard has changed")
    try:
        return Picture(uri=thumbnail(data))
    except ImageError as error:
        return Picture(problem=str(error))
