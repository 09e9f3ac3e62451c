"""k-means over features: which images go together. Trained on a sample, assigned out of core.

Spherical k-means by FAISS: vectors and centroids have length 1, and a vector belongs to the
centroid with the highest cosine. The sample and the seed decide, not the number of threads.

Memory: the sample (256 vectors a cluster, 4 D bytes each), 12 bytes a row of the pool, some blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from selector.neighbors.build import even_sample
from selector.neighbors.coarse import train_lists
from selector.neighbors.greedy import IntArray
from selector.neighbors.unit import unit, usable
from selector.neighbors.workers import workers
from selector.tables.facts import FactTable, VectorChunk, iter_vectors, write_fact_table
from selector.tables.layout import RunLayout
from selector.tables.schema import column, fact_schema
from selector.tables.write import open_part
from shards import storage
from shards.errors import UsageError

KIND = "clusters"
ROWS_PER_CLUSTER = 256
"""Vectors a cluster in the sample: FAISS's own figure, beyond which centroids hardly move."""

EXAMPLES = 5
_ROUNDS = 20

OnShare = Callable[[str, float], None]


@dataclass(frozen=True)
class Clustering:
    """Result of k-means.

    Attributes:
        centroids: (k, D) float32 of length 1.
        sizes: (k,) images in each.
        examples: (k,) row_ids of the nearest images of each, the nearest first.
        mean_distance: of all images to their centroids, cosine distance.
        not_clustered: rows without a usable vector; null in the table.
    """

    centroids: npt.NDArray[np.float32]
    sizes: IntArray
    examples: list[list[int]]
    mean_distance: float
    not_clustered: int


def schema() -> pa.Schema:
    """cluster int32, distance float32; both null where an image has no usable features."""
    return fact_schema(
        KIND,
        [
            column("cluster", pa.int32(), "number of the nearest centroid, from 0"),
            column(
                "distance",
                pa.float32(),
                "cosine distance to it, 0 to 2",
                unit="1",
                direction="lower",
            ),
        ],
    )


def make_clusters(
    layout: RunLayout,
    fact: FactTable,
    fact_id: str,
    *,
    k: int,
    seed: int = 0,
    name: str = "",
    about: Mapping[str, Any],
    threads: int | None = None,
    on_share: OnShare = lambda doing, share: None,
    before_commit: Callable[[], None] = lambda: None,
) -> tuple[FactTable, Clustering]:
    """Cluster the images of a feature table and write the table `clusters` beside it.

    Raises:
        UsageError: fewer usable vectors than clusters, or fewer distinct ones; no FAISS.
        StorageError: a table cannot be read or written.
    """
    on_share("drawing a sample", 0.0)
    sample, num_usable = _sample(fact, ROWS_PER_CLUSTER * k)
    if num_usable < k:
        raise UsageError(
            f"{k:,} clusters of {num_usable:,} usable vectors (features {fact.fact_id}); ask for "
            f"--k {max(1, num_usable)} or fewer"
        )
    with workers(threads) as pool:
        on_share("training centroids", 0.0)
        centroids = train_lists(sample, k, seed=seed, rounds=_ROUNDS)
        del sample
        tally = _Tally(k)
        parts = []
        done = 0
        for part, chunks in _by_part(fact):
            stem = storage.name(part).removesuffix(".parquet")
            parts.append(layout.facts_part(KIND, fact_id, stem))
            with open_part(parts[-1], schema()) as append:
                for chunk, cluster, distance in pool.map(
                    lambda chunk: (chunk, *_assign(chunk, centroids)), chunks
                ):
                    tally.add(chunk.row_ids, cluster, distance)
                    absent = cluster < 0
                    append(
                        pa.Table.from_arrays(
                            [
                                pa.array(chunk.row_ids),
                                pa.array(cluster, mask=absent),
                                pa.array(distance, mask=absent),
                            ],
                            schema=schema(),
                        )
                    )
                    done += len(cluster)
                    on_share("assigning images", done / max(1, num_usable))
    result = tally.result(centroids)
    told = {
        **about,
        "mean_distance": round(result.mean_distance, 6),
        "largest": int(result.sizes.max()),
        "smallest": int(result.sizes.min()),
        "not_clustered": result.not_clustered,
    }
    before_commit()
    table = write_fact_table(
        layout, KIND, fact_id, parts, about=told, name=name, inputs=str(fact.table.version)
    )
    return table, result


def _sample(fact: FactTable, wanted: int) -> tuple[npt.NDArray[np.float32], int]:
    """At most `wanted` usable vectors, evenly spread over the table, as units; and how many usable
    there are."""
    counts = [int(_usable(chunk).sum()) for chunk in iter_vectors(fact)]
    total = sum(counts)
    take = even_sample(total, wanted)
    picked = []
    start = 0
    for chunk, count in zip(iter_vectors(fact), counts, strict=True):
        inside = take[(take >= start) & (take < start + count)] - start
        picked.append(unit(chunk.vectors[_usable(chunk)][inside]))
        start += count
    dim = int(fact.about["dim"])
    return np.concatenate([np.empty((0, dim), np.float32), *picked]), total


def _usable(chunk: VectorChunk) -> npt.NDArray[np.bool_]:
    return chunk.valid & usable(chunk.vectors)


def _by_part(fact: FactTable) -> Iterator[tuple[str, Iterator[VectorChunk]]]:
    for part in fact.table.parts:
        one = replace(fact, table=replace(fact.table, parts=(part,)))
        yield part, iter_vectors(one, chunk_rows=16_384)


def _assign(
    chunk: VectorChunk, centroids: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(n,) cluster, -1 without a usable vector, and cosine distance to its centroid."""
    fits = _usable(chunk)
    cluster = np.full(len(fits), -1, np.int32)
    distance = np.zeros(len(fits), np.float32)
    units = unit(chunk.vectors[fits])
    best = np.zeros(len(units), np.int64)
    near = np.full(len(units), -np.inf, np.float32)
    for start in range(0, len(centroids), 1024):
        similar = units @ centroids[start : start + 1024].T
        at = similar.argmax(axis=1)
        value = similar[np.arange(len(units)), at]
        better = value > near
        best[better], near[better] = at[better] + start, value[better]
    cluster[fits] = best
    distance[fits] = np.clip(1 - near, 0, 2)
    return cluster, distance


class _Tally:
    """Sizes and nearest examples while the assignment streams by."""

    def __init__(self, k: int) -> None:
        self._sizes = np.zeros(k, np.int64)
        self._sum = 0.0
        self._absent = 0
        self._rows = np.empty(0, np.int64)
        self._clusters = np.empty(0, np.int64)
        self._distances = np.empty(0, np.float32)

    def add(self, row_ids: IntArray, cluster: npt.NDArray[np.int32], distance: npt.NDArray) -> None:
        there = cluster >= 0
        self._absent += int((~there).sum())
        self._sizes += np.bincount(cluster[there], minlength=len(self._sizes))
        self._sum += float(distance[there].sum(dtype=np.float64))
        rows = np.concatenate([self._rows, row_ids[there]])
        clusters = np.concatenate([self._clusters, cluster[there]])
        distances = np.concatenate([self._distances, distance[there]])
        order = np.lexsort((rows, distances, clusters))
        counts = np.bincount(clusters, minlength=len(self._sizes))
        rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[clusters[order]]
        first = order[rank < EXAMPLES]
        self._rows, self._clusters = rows[first], clusters[first]
        self._distances = distances[first]

    def result(self, centroids: npt.NDArray[np.float32]) -> Clustering:
        examples = [self._rows[self._clusters == c].tolist() for c in range(len(self._sizes))]
        total = max(1, int(self._sizes.sum()))
        return Clustering(centroids, self._sizes, examples, self._sum / total, self._absent)
