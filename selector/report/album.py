"""The pictures of a page: every image that some panel shows, read in one pass over the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from selector.report.pictures import Picture, load_pictures
from selector.report.source import Source
from selector.report.thumbnails import Pixels
from shards.reader import is_compressed


@dataclass(frozen=True)
class Thumb:
    """One image and what stands beside it; `picture` holds pixels, or why there are none."""

    row_id: int
    key: str
    shard: str
    class_name: str
    noise_value: float | None
    picture: Picture


@dataclass(frozen=True)
class Album:
    """row_id -> thumbnail.

    Attributes:
        thumbs: of every row that a panel asked for and that the scores have.
        tiles: small pixels by row_id, for a panel that draws an atlas; a row that cannot be shown
            has a thumb with the problem instead.
        num_streamed: compressed shards that were read through for them.
        out_of_reach: True if some compressed shards were not read.
    """

    thumbs: Mapping[int, Thumb] = field(default_factory=dict)
    tiles: Mapping[int, Pixels] = field(default_factory=dict)
    num_streamed: int = 0
    out_of_reach: bool = False

    def several(self, row_ids: Iterable[int]) -> list[Thumb]:
        """The thumbnails of some rows, in their order."""
        return [self.thumbs[row_id] for row_id in row_ids]

    @cached_property
    def problems(self) -> Mapping[str, int]:
        """Why pictures are missing: reason -> how many of them, the most frequent first."""
        reasons = (thumb.picture.problem for thumb in self.thumbs.values())
        return dict(Counter(reason for reason in reasons if reason).most_common())


def load_album(
    source: Source, row_ids: Iterable[int], *, tiled: Sequence[int] = (), tile_side: int = 0
) -> Album:
    """Read and shrink the images of some thousands of rows; what cannot be read has a reason.

    Args:
        row_ids: get a thumbnail.
        tiled: get a tile of at most `tile_side` pixels a side.
    """
    facts = source.facts
    shown, small = frozenset(row_ids), frozenset(tiled)
    wanted = pa.table({"row_id": pa.array(sorted(shown | small), pa.int64())})
    source.sql.register("wanted_rows", wanted)
    rows = source.sql.sql(
        "SELECT row_id, shard_id, key, pseudo_label, noise_value, content_hash "
        "FROM scores JOIN wanted_rows USING (row_id) ORDER BY row_id"
    ).to_arrow_table()
    source.sql.unregister("wanted_rows")
    ids = facts.shards["shard_id"].to_pylist()
    uris = dict(zip(ids, facts.shards["uri"].to_pylist(), strict=True))
    pictures = load_pictures(
        facts.run,
        rows,
        uris=uris,
        image_ext=facts.origin.image_ext,
        tiled=small,
        tile_side=tile_side,
        thumbnails=shown,
    )
    thumbs = {
        row["row_id"]: Thumb(
            row_id=row["row_id"],
            key=row["key"],
            shard=uris.get(row["shard_id"], ""),
            class_name=facts.class_name(row["pseudo_label"]),
            noise_value=row["noise_value"],
            picture=pictures[row["row_id"]],
        )
        for row in rows.to_pylist()
    }
    read = rows["shard_id"].unique().to_pylist()
    tiles = {row: picture.tile for row, picture in pictures.items() if picture.tile is not None}
    return Album(
        thumbs,
        tiles,
        num_streamed=sum(is_compressed(uris[shard]) for shard in read if shard in uris),
        out_of_reach=len(facts.reach) < len(uris),
    )
