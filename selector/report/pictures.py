"""Fetching images of a pool: by offset from plain shards, in one pass from compressed ones.

A report must come out whatever has become of the pool: what cannot be read is a reason, not an
error.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from selector.report.thumbnails import Pixels, small_pixels, thumbnail
from selector.scores.hashes import content_hash
from selector.tables.layout import RunLayout
from selector.tables.read import dataset
from selector.tables.schema import split_row_id
from shards import storage
from shards.errors import CoursepackError, ImageError
from shards.ranges import Piece, read_pieces
from shards.reader import ShardReader, open_shard
from shards.sample import Data, Member, SampleEntry, image_member

_READERS = 8
_PIECES = 128
"""Images of a remote shard that are asked for at a time; neighbours share a request."""


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data URI, pixels for an atlas, or the problem that stood in their way.

    Attributes:
        uri: empty where only a tile was asked for.
        tile: (H, W, 3), None where none was asked for.
    """

    uri: str = ""
    problem: str = ""
    tile: Pixels | None = None


@dataclass(frozen=True)
class Wish:
    """What is to become of an image: a thumbnail, and a tile of so many pixels a side (0: none)."""

    content_hash: bytes
    thumbnail: bool
    tile_side: int


def load_pictures(
    run: str,
    rows: pa.Table,
    *,
    uris: Mapping[int, str],
    image_ext: Sequence[str],
    tiled: Collection[int] = frozenset(),
    tile_side: int = 0,
    thumbnails: Collection[int] | None = None,
) -> dict[int, Picture]:
    """A picture for every row.

    Args:
        run: whose member index says where the images lie.
        rows: row_id, shard_id, content_hash; some ten thousand rows at most.
        uris: shard_id -> where the shard lay when it was scored.
        image_ext: which members are images, in order of preference.
        tiled: row_ids that get a tile of at most `tile_side` pixels a side.
        thumbnails: row_ids that get a thumbnail; None = all.

    Returns:
        row_id -> Picture. An image whose bytes are not the scored ones has a problem, too.
    """
    by_shard: dict[int, dict[int, Wish]] = {}
    for row in rows.select(["row_id", "shard_id", "content_hash"]).to_pylist():
        row_id = row["row_id"]
        by_shard.setdefault(row["shard_id"], {})[row_id] = Wish(
            row["content_hash"],
            thumbnail=thumbnails is None or row_id in thumbnails,
            tile_side=tile_side if row_id in tiled else 0,
        )
    try:
        members = _members(run, rows["row_id"].to_pylist())
    except CoursepackError as error:
        return {row_id: Picture(problem=str(error)) for row_id in rows["row_id"].to_pylist()}

    def of_shard(shard_id: int) -> dict[int, Picture]:
        return _of_shard(uris.get(shard_id, ""), by_shard[shard_id], members, image_ext)

    pictures: dict[int, Picture] = {}
    with ThreadPoolExecutor(_READERS) as pool:
        for found in pool.map(of_shard, sorted(by_shard)):
            pictures.update(found)
    return pictures


def read_images(
    run: str, rows: pa.Table, *, uris: Mapping[int, str], image_ext: Sequence[str]
) -> Iterator[tuple[int, Data | None]]:
    """(row_id, image bytes) of every row, shard by shard.

    None where the shard cannot be read, or does not hold the image that was scored.

    Args:
        rows: row_id, shard_id, content_hash, by row_id; the others as for `load_pictures`.
    """
    hashes = dict(zip(rows["row_id"].to_pylist(), rows["content_hash"].to_pylist(), strict=True))
    members = _members(run, list(hashes))
    shard_ids = rows["shard_id"].to_numpy()
    row_ids = rows["row_id"].to_numpy()
    for shard_id in np.unique(shard_ids).tolist():
        missing = dict.fromkeys(row_ids[shard_ids == shard_id].tolist())
        try:
            for row_id, data in _images(
                uris.get(shard_id, ""), sorted(missing), members, image_ext
            ):
                if content_hash(data) == hashes[row_id]:
                    del missing[row_id]
                    yield row_id, data
        except CoursepackError:  # a shard that is gone: its other images are told as missing
            pass
        yield from ((row_id, None) for row_id in missing)


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
    wanted: Mapping[int, Wish],
    members: Mapping[int, SampleEntry],
    image_ext: Sequence[str],
) -> dict[int, Picture]:
    """Pictures of one shard; after it fails, the rest of its rows carry the reason."""
    pictures: dict[int, Picture] = {}
    reason = "the member index does not list it"
    try:
        for row_id, data in _images(uri, sorted(wanted), members, image_ext):
            pictures[row_id] = _picture(data, wanted[row_id])
    except CoursepackError as error:
        reason = f"{storage.name(uri)} cannot be read: {error}"
    return {row_id: pictures.get(row_id, Picture(problem=reason)) for row_id in wanted}


def _images(
    uri: str,
    row_ids: Sequence[int],
    members: Mapping[int, SampleEntry],
    image_ext: Sequence[str],
) -> Iterator[tuple[int, Data]]:
    """Images of some rows of a shard, as far as the member index or the shard has them."""
    with open_shard(uri) as reader:
        if reader.compressed:
            yield from _streamed(reader, row_ids, image_ext)
            return
        places = [
            (row_id, member)
            for row_id in row_ids
            if row_id in members and (member := image_member(members[row_id], image_ext))
        ]
        if storage.is_local(uri):
            for row_id, member in places:
                yield row_id, reader.read(member)
            return
        for start in range(0, len(places), _PIECES):
            some = places[start : start + _PIECES]
            pieces = [Piece(uri, member.offset, member.size) for _, member in some]
            yield from zip((row_id for row_id, _ in some), read_pieces(pieces), strict=True)


def _streamed(
    reader: ShardReader, row_ids: Sequence[int], image_ext: Sequence[str]
) -> Iterator[tuple[int, Data]]:
    """One pass, no further than the last sample that is wanted; the index is not needed."""
    by_index = {split_row_id(row_id)[1]: row_id for row_id in row_ids}
    for sample in reader.samples(stop=max(by_index) + 1):
        if sample.entry.index in by_index:
            image = sample.image(image_ext)
            if image is not None:
                yield by_index[sample.entry.index], image[1]


def _picture(data: Data, wish: Wish) -> Picture:
    if content_hash(data) != wish.content_hash:
        return Picture(problem="the image is not the one that was scored: the shard has changed")
    try:
        return Picture(
            uri=thumbnail(data) if wish.thumbnail else "",
            tile=small_pixels(data, wish.tile_side) if wish.tile_side else None,
        )
    except ImageError as error:
        return Picture(problem=str(error))
