"""What images are compared by, gathered from a run or from shards that no run has scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from selector.neighbors.build import build_index, index_folder
from selector.neighbors.leakage import ImageSet
from selector.neighbors.unit import usable
from selector.neighbors.vector_file import RowNumbers, VectorFile
from selector.scores.hashes import content_hash, phash
from selector.scoring.decode_job import thumbnails
from selector.scoring.positives import FeatureExtractor
from selector.selecting.source import hash_halves
from selector.tables.connection import RunTables
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from selector.tables.schema import row_id
from shards import storage
from shards.decode import decode
from shards.errors import ImageError, UsageError
from shards.reader import open_shard
from shards.sample import IMAGE_EXTENSIONS

_BATCH = 256

COMPARABLE = (
    "teacher_fingerprint", "preprocessing_fingerprint", "mode", "dim", "stages", "taps", "pca"
)  # fmt: skip
"""What two feature tables must have in common for their vectors to be compared."""


@dataclass
class _Gathered:
    row_ids: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    phashes: list[int] = field(default_factory=list)
    vectors: list[np.ndarray] = field(default_factory=list)
    numbers: list[np.ndarray] = field(default_factory=list)


def run_set(
    layout: RunLayout, tables: RunTables, fact: FactTable | None, *, threads: int | None = None
) -> ImageSet:
    """The images of a run with status ok; with features, its index is brought up to date.

    Memory: 40 bytes an image; vectors stay on disk.
    """
    columns = ["row_id", "content_hash", "phash"]
    rows = tables.views["scores"].to_table(columns=columns, filter=pc.field("status") == "ok")
    high, low = hash_halves(_one(rows["content_hash"]))
    row_ids = rows["row_id"].to_numpy()
    numbers, vectors = np.empty(0, np.int64), np.empty((0, 1), np.float16)
    if fact is not None:
        card = build_index(layout, fact, threads=threads)
        file = VectorFile(index_folder(layout, fact.fact_id), card.num_vectors, card.dim)
        numbers, vectors = RowNumbers(row_ids)(np.asarray(file.row_ids)), file.vectors
    return ImageSet(row_ids, high, low, rows["phash"].fill_null(0).to_numpy(), numbers, vectors)


def shard_set(
    shards: Sequence[str],
    *,
    extract: FeatureExtractor | None,
    on_share: Callable[[str, float], None] = lambda doing, share: None,
) -> tuple[ImageSet, list[str]]:
    """The readable images of shards, hashed here and now, and their keys.

    Args:
        extract: of the run that they are compared with; None = no features.

    Raises:
        UsageError: no shard, or no image in them. ShardError, StorageError: one cannot be read.
    """
    found = _Gathered()
    listing = storage.expand(list(shards))
    for number, info in enumerate(listing):
        with open_shard(info.uri) as reader:
            samples = reader.samples()
            while batch := list(islice(samples, _BATCH)):
                images = [(sample, sample.image(IMAGE_EXTENSIONS)) for sample in batch]
                _add(
                    found,
                    [row_id(number, sample.entry.index) for sample, image in images if image],
                    [sample.entry.key for sample, image in images if image],
                    [bytes(image[1]) for _, image in images if image],
                    extract,
                )
        on_share("reading the evaluation set", (number + 1) / len(listing))
    if not found.row_ids:
        raise UsageError(f"{', '.join(shards)}: no readable image to compare with")
    high, low = hash_halves(pa.array(found.hashes, pa.binary(16)))
    dim = found.vectors[0].shape[1] if found.vectors else 1
    return ImageSet(
        np.array(found.row_ids, np.int64),
        high,
        low,
        np.array(found.phashes, np.uint64),
        np.concatenate([np.empty(0, np.int64), *found.numbers]),
        np.concatenate([np.empty((0, dim), np.float16), *found.vectors]),
    ), found.keys


def refuse_other_features(ours: FactTable, theirs: FactTable, where: str) -> None:
    """Raise UsageError unless the vectors of two runs can be compared."""
    differ = [
        f"{name}: {ours.about.get(name)!r} here, {theirs.about.get(name)!r} there"
        for name in COMPARABLE
        if ours.about.get(name) != theirs.about.get(name)
    ]
    if differ:
        raise UsageError(
            f"the features of {where} cannot be compared with this run's: {'; '.join(differ)}; "
            "give its shards instead, whose features are then made as this run's were"
        )


def _add(
    found: _Gathered,
    row_ids: list[int],
    keys: list[str],
    images: list[bytes],
    extract: FeatureExtractor | None,
) -> None:
    readable = []
    for at, data in enumerate(images):
        try:
            looks = int(phash(thumbnails(decode(data, channels=3)[None]))[0])
        except ImageError:
            continue  # an evaluation could not use it either
        found.row_ids.append(row_ids[at])
        found.keys.append(keys[at])
        found.hashes.append(content_hash(data))
        found.phashes.append(looks)
        readable.append(data)
    if extract is not None and readable:
        made = extract(readable)
        fits = made.valid & usable(made.vectors)
        start = len(found.row_ids) - len(readable)
        found.numbers.append(start + np.flatnonzero(fits))
        found.vectors.append(made.vectors[fits])


def _one(values: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
