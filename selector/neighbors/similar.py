"""The images of a pool nearest to one of them, or to an image file, by features or by looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.dataset as ds

from selector.neighbors.build import index_folder
from selector.neighbors.card import read_card
from selector.neighbors.hamming import distance, tells_looks
from selector.neighbors.search import NeighborIndex, read_index
from selector.neighbors.unit import Half, usable
from selector.neighbors.vector_file import VectorFile
from selector.neighbors.workers import workers
from selector.scores.hashes import phash
from selector.scoring.decode_job import thumbnails
from selector.selecting.exclusions import resolve
from selector.tables.connection import RunTables, class_names, connect_tables
from selector.tables.facts import FactTable
from selector.tables.layout import RunLayout
from shards.decode import decode
from shards.errors import UsageError

By = Literal["features", "phash"]


@dataclass(frozen=True)
class Neighbor:
    """One image near the query.

    Attributes:
        similarity: cosine of the features; None when asked by looks.
        distance: differing bits of the perceptual hashes; None when asked by features.
    """

    row_id: int
    key: str
    shard: str
    pseudo_label: int | None
    class_name: str | None
    noise_value: float | None
    similarity: float | None
    distance: int | None


def row_of(tables: RunTables, key: str) -> int:
    """The row that a key, row_id or content hash means; the first of several.

    Raises:
        UsageError: none.
    """
    with connect_tables(tables) as connection:
        row_ids = resolve(connection, [key]).row_ids
    if not len(row_ids):
        raise UsageError(
            f"{key!r} is neither a file nor the key, row_id or content hash of an image of the run"
        )
    return int(row_ids[0])


def open_index(layout: RunLayout, fact: FactTable) -> NeighborIndex:
    """The index over a feature table as it lies there.

    Raises:
        UsageError: there is none, or it is over features of another teacher.
        StorageError: it is damaged.
    """
    folder = index_folder(layout, fact.fact_id)
    card = read_card(folder)
    if card is None:
        raise UsageError(
            f"run {layout.root} has no index over features {fact.fact_id}; "
            f"`coursepack neighbors build {layout.root}` makes it"
        )
    card.check(fact, folder)
    return NeighborIndex(
        card, VectorFile(folder, card.num_vectors, card.dim), read_index(folder, card)
    )


def nearest_by_features(
    opened: NeighborIndex,
    *,
    row_id: int | None = None,
    vector: Half | None = None,
    k: int,
    threads: int | None = None,
) -> list[tuple[int, float]]:
    """`(row_id, cosine)` of the k nearest, the nearest first; the query itself is left out.

    Args:
        row_id: an image of the pool, or
        vector: (D,) features of another image.

    Raises:
        UsageError: the image has no usable features.
    """
    if vector is None:
        assert row_id is not None
        number = int(opened.file.numbers_of(np.array([row_id]))[0])
        if number < 0:
            raise UsageError(
                f"row {row_id} has no usable features (a failed image, zeros or NaN), or the "
                "index is older than it; build it again, or ask --by phash"
            )
        vector = opened.file.vectors[number]
    if not usable(vector[None])[0]:
        raise UsageError("the image's features have no direction: zeros, or not finite")
    with workers(threads) as pool:
        numbers, near = opened.search(vector[None], k=k + 1, pool=pool)
    found = numbers[0][numbers[0] >= 0]
    pairs = zip(opened.file.row_ids[found].tolist(), near[0].tolist(), strict=False)
    return [(other, similarity) for other, similarity in pairs if other != row_id][:k]


def nearest_by_looks(
    tables: RunTables, *, row_id: int | None = None, image: bytes | None = None, k: int
) -> list[tuple[int, int]]:
    """`(row_id, differing bits)` of the k nearest perceptual hashes; every one is compared.

    Raises:
        UsageError: the image has no hash, or one that tells nothing (a flat image).
        ImageError: the bytes are no image.
    """
    scores = tables.views["scores"]
    if image is None:
        rows = scores.to_table(columns=["phash"], filter=ds.field("row_id") == row_id)
        value = rows["phash"][0].as_py() if len(rows) else None
        if value is None:
            raise UsageError(f"row {row_id} has no perceptual hash: the image failed")
        wanted = np.array([value], np.uint64)
    else:
        wanted = phash(thumbnails(decode(image, channels=3)[None]))  # as scoring does it
    if not tells_looks(wanted)[0]:
        raise UsageError(
            "the image is flat, or varies along one axis alone: its perceptual hash is that of "
            "all such images; ask --by features"
        )
    best_ids, best = np.empty(0, np.int64), np.empty(0, np.int64)
    for batch in scores.scanner(columns=["row_id", "phash"]).to_batches():
        known = batch.column("phash").is_valid().to_numpy(zero_copy_only=False)
        hashes = batch.column("phash").fill_null(0).to_numpy()[known]
        row_ids = batch.column("row_id").to_numpy()[known]
        apart = distance(hashes, wanted).astype(np.int64)
        other = row_ids != (-1 if row_id is None else row_id)
        best_ids = np.concatenate([best_ids, row_ids[other]])
        best = np.concatenate([best, apart[other]])
        first = np.lexsort((best_ids, best))[:k]
        best_ids, best = best_ids[first], best[first]
    return list(zip(best_ids.tolist(), best.tolist(), strict=True))


def describe(
    layout: RunLayout, tables: RunTables, found: Sequence[tuple[int, float | int]], *, by: By
) -> list[Neighbor]:
    """What the scores say of the neighbours, in their order."""
    columns = ["row_id", "key", "shard", "pseudo_label", "noise_value"]
    wanted = [row_id for row_id, _ in found]
    rows = tables.views["scores"].to_table(columns=columns, filter=ds.field("row_id").isin(wanted))
    known: dict[int, dict[str, Any]] = {row["row_id"]: row for row in rows.to_pylist()}
    names = class_names(layout) or []
    return [
        Neighbor(
            **known[row_id],
            class_name=_name(names, known[row_id]["pseudo_label"]),
            similarity=float(near) if by == "features" else None,
            distance=int(near) if by == "phash" else None,
        )
        for row_id, near in found
        if row_id in known
    ]


def image_file(query: str) -> bytes | None:
    """The bytes of the file that a query names; None if it names none."""
    path = Path(query)
    return path.read_bytes() if path.is_file() else None


def _name(names: Sequence[str], label: int | None) -> str | None:
    return names[label] if label is not None and 0 <= label < len(names) else None
