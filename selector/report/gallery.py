"""The gallery: which images to show of the kept and the dropped, by quantile of the noise value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from selector.report.facts import RunFacts
from selector.report.pictures import Picture, load_pictures
from selector.report.stats import IntArray, quantile_bands
from shards.reader import is_compressed

NUM_BANDS = 6
PER_BAND = 12
MAX_STREAMED = 2
"""Compressed shards that are read through for a gallery; they have no random access."""


@dataclass(frozen=True)
class Thumb:
    """One image of the gallery; `picture` holds pixels, or why there are none."""

    key: str
    shard: str
    class_name: str
    noise_value: float
    picture: Picture


@dataclass(frozen=True)
class Band:
    """Images around one quantile of the noise value.

    Attributes:
        quantile: in [0, 1]; 0 holds the surest images.
        low, high: range of the noise values shown, nats.
    """

    quantile: float
    low: float
    high: float
    thumbs: tuple[Thumb, ...]


@dataclass(frozen=True)
class Gallery:
    """Kept and dropped images, and what could not be shown.

    Attributes:
        problems: reason -> how many of the chosen images it concerns.
        num_streamed: compressed shards that were read through.
    """

    kept: tuple[Band, ...]
    dropped: tuple[Band, ...]
    problems: Mapping[str, int]
    num_streamed: int


def make_gallery(facts: RunFacts) -> Gallery:
    """Choose, read and shrink the images; whatever cannot be read becomes a `problem`.

    Reads by offset from plain shards. Of compressed shards it reads at most `MAX_STREAMED`, once
    each, and takes all their images from those: the bands are then a little wider.
    """
    uris = dict(
        zip(facts.shards["shard_id"].to_pylist(), facts.shards["uri"].to_pylist(), strict=True)
    )
    compressed = {shard_id for shard_id, uri in uris.items() if is_compressed(uri)}
    sides = [
        (table, _bands(table, num_compressed=len(compressed)))
        for table in (facts.kept, facts.dropped)
    ]
    streamed = streamed_shards(
        [table["shard_id"].to_numpy()[rows] for table, bands in sides for _, rows in bands],
        compressed,
    )
    chosen = [
        (table, [(q, _readable(table, rows, compressed - streamed)) for q, rows in bands])
        for table, bands in sides
    ]
    wanted = pa.concat_tables(table.take(rows) for table, bands in chosen for _, rows in bands)
    pictures = load_pictures(facts.run, wanted, uris=uris, image_ext=facts.origin.image_ext)
    kept, dropped = (_filled(table, bands, pictures, facts, uris) for table, bands in chosen)
    problems = Counter(picture.problem for picture in pictures.values() if picture.problem)
    return Gallery(kept, dropped, dict(problems.most_common()), len(streamed))


def streamed_shards(bands: Sequence[IntArray], compressed: set[int]) -> set[int]:
    """The few compressed shards that together serve most bands best.

    Args:
        bands: shard_ids of the candidates of each band.
        compressed: the shards without random access.

    Returns:
        At most `MAX_STREAMED` of them: each time the shard that adds most images to bands that
        still lack some; the lower shard_id where two add the same.
    """
    lacking = [PER_BAND - int((~np.isin(band, list(compressed))).sum()) for band in bands]
    streamed: set[int] = set()
    while len(streamed) < min(MAX_STREAMED, len(compressed)):
        gains = {
            shard: sum(
                min(max(lack, 0), int((band == shard).sum()))
                for band, lack in zip(bands, lacking, strict=True)
            )
            for shard in sorted(compressed - streamed)
        }
        best = max(gains, key=lambda shard: gains[shard])
        if not gains[best]:
            break
        streamed.add(best)
        lacking = [
            lack - int((band == best).sum()) for band, lack in zip(bands, lacking, strict=True)
        ]
    return streamed


def _bands(table: pa.Table, *, num_compressed: int) -> list[tuple[float, IntArray]]:
    # Wide enough that the few shards to be streamed hold about PER_BAND images of each band.
    width = PER_BAND * max(1, -(-num_compressed // MAX_STREAMED))
    values = table["noise_value"].to_numpy().astype(np.float64)
    return quantile_bands(values, num_bands=NUM_BANDS, width=width)


def _readable(table: pa.Table, rows: IntArray, out_of_reach: set[int]) -> IntArray:
    """At most PER_BAND rows, evenly spaced over those within reach; of all, if none is."""
    within = rows[~np.isin(table["shard_id"].to_numpy()[rows], list(out_of_reach))]
    rows = within if len(within) else rows
    spaced = np.linspace(0, len(rows) - 1, min(PER_BAND, len(rows)))
    return rows[np.round(spaced).astype(np.int64)]


def _filled(
    table: pa.Table,
    bands: Sequence[tuple[float, IntArray]],
    pictures: Mapping[int, Picture],
    facts: RunFacts,
    uris: Mapping[int, str],
) -> tuple[Band, ...]:
    filled = []
    for quantile, rows in bands:
        records = table.take(rows).to_pylist()
        thumbs = tuple(
            Thumb(
                key=record["key"],
                shard=uris.get(record["shard_id"], ""),
                class_name=facts.classes.names[record["pseudo_label"]],
                noise_value=record["noise_value"],
                picture=pictures[record["row_id"]],
            )
            for record in records
        )
        values = [thumb.noise_value for thumb in thumbs]
        filled.append(Band(quantile, min(values), max(values), thumbs))
    return tuple(filled)
