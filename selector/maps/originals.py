"""Images that the teacher was trained on, to be drawn beside the pool (Figure 5 of the paper).

They are no rows of the run: what a map needs of them (places, keys, thumbnails) is a file of its
own beside the parts of the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.maps.strata import row_hash
from selector.report.thumbnails import small_jpeg
from selector.scoring.positives import open_extractor
from selector.tables.layout import RunLayout
from selector.tables.schema import column, row_id, row_id_column, split_row_id, table_schema
from shards.errors import ImageError, UsageError
from shards.index import build_index
from shards.reader import open_shard
from shards.sample import IMAGE_EXTENSIONS

NUM_ORIGINALS = 5000
"""Original images drawn at most; of more, those with the smallest hash."""

FILE_NAME = "originals.parquet"
_BATCH_IMAGES = 256


@dataclass(frozen=True)
class Originals:
    """Original images with their features.

    Attributes:
        keys: (N,) of the samples.
        thumbnails: (N,) small JPEGs.
        vectors: (N, D) float16, in the space of the run's features.
        num_bad: images left out because they cannot be decoded.
    """

    keys: list[str]
    thumbnails: list[bytes]
    vectors: npt.NDArray[np.float16]
    num_bad: int


def originals_schema() -> pa.Schema:
    """One row per original image; `row_id` counts within the originals alone."""
    return table_schema(
        "originals",
        [
            row_id_column(),
            column("key", pa.string(), "name of the sample in its shard"),
            column("x", pa.float32(), "horizontal place in the map"),
            column("y", pa.float32(), "vertical place in the map"),
            column("thumbnail", pa.binary(), "a small JPEG of the image"),
        ],
    )


def read_originals(
    layout: RunLayout, uris: Sequence[str], *, features_id: str, seed: int
) -> Originals:
    """Choose at most `NUM_ORIGINALS` images, read them, and describe them as the run's features do.

    Args:
        uris: shards of original images.
        features_id: the features that the map is made from.

    Raises:
        UsageError: no image in the shards, or the teacher cannot be loaded again.
        ShardError, StorageError: a shard cannot be read.
    """
    found = np.array(
        [
            row_id(shard, entry.index)
            for shard, uri in enumerate(uris)
            for entry in build_index(uri).entries
        ],
        dtype=np.int64,
    )
    if not len(found):
        raise UsageError(f"no samples in {', '.join(uris[:3])}; expected shards of images")
    order = np.lexsort((found, row_hash(found, seed)))
    chosen = np.sort(found[order[:NUM_ORIGINALS]])
    keys: list[str] = []
    thumbnails: list[bytes] = []
    vectors: list[npt.NDArray[np.float16]] = []
    with open_extractor(layout, which=features_id) as extract:
        images = _read(uris, chosen)
        while batch := list(islice(images, _BATCH_IMAGES)):
            described = extract([data for _, data in batch])
            vectors.append(described.vectors[described.valid])
            for (key, data), valid in zip(batch, described.valid, strict=True):
                if valid:
                    keys.append(key)
                    thumbnails.append(_thumbnail(data))
    return Originals(keys, thumbnails, np.concatenate(vectors), len(chosen) - len(keys))


def originals_table(originals: Originals, places: npt.NDArray[np.float32]) -> pa.Table:
    """Their rows, with places (N, 2)."""
    columns = {
        "row_id": pa.array(np.arange(len(originals.keys))),
        "key": pa.array(originals.keys, pa.string()),
        "x": pa.array(places[:, 0]),
        "y": pa.array(places[:, 1]),
        "thumbnail": pa.array(originals.thumbnails, pa.binary()),
    }
    schema = originals_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _read(uris: Sequence[str], chosen: npt.NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
    shards, indices = split_row_id(chosen)
    for shard in np.unique(shards).tolist():
        wanted = set(indices[shards == shard].tolist())
        with open_shard(uris[shard]) as reader:
            for sample in reader.samples(stop=max(wanted) + 1):
                image = sample.image(IMAGE_EXTENSIONS) if sample.entry.index in wanted else None
                if image is not None:
                    yield sample.entry.key, bytes(image[1])


def _thumbnail(data: bytes) -> bytes:
    try:
        return small_jpeg(data)
    except ImageError:  # the teacher could read it: a place without a picture is still a place
        return b""
