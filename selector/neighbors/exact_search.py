"""Exact nearest neighbours: every vector is compared. For small pools, and to measure the others.

Legend: Q = queries, N = vectors, k = neighbours, D = dimensions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.neighbors.faiss_library import load_faiss, num_gpus
from selector.neighbors.greedy import IntArray
from selector.neighbors.kept_index import Single
from selector.neighbors.unit import Half, unit
from selector.neighbors.workers import Workers, ranges

_PLACES = 2**24
"""Products held at a time per thread: 64 MiB."""


def nearest(
    vectors: Half, queries: Single, *, k: int, pool: Workers
) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """The k nearest vectors of each query by cosine.

    Args:
        vectors: (N, D) usable ones, read once, in blocks.
        queries: (Q, D) float32 of length 1.

    Returns:
        numbers (Q, k) with the nearest first, of equally near ones the lowest; -1 where there are
        fewer than k; and their cosines (Q, k) in float32, -inf there.
    """
    block_rows = int(np.clip(_PLACES // max(1, len(queries)), 1024, 65_536))
    compare = _compare_on_gpu() if num_gpus() else _compare

    def of_block(rows: slice) -> tuple[IntArray, Single]:
        numbers, similar = compare(queries, unit(vectors[rows]), min(k, rows.stop - rows.start))
        return numbers + rows.start, similar

    best_numbers = np.full((len(queries), k), -1, np.int64)
    best = np.full((len(queries), k), -np.inf, np.float32)
    for numbers, similar in pool.map(of_block, ranges(len(vectors), block_rows)):
        best_numbers, best = first_k(
            np.hstack([best_numbers, numbers]), np.hstack([best, similar]), k
        )
    return best_numbers, best


def first_k(numbers: IntArray, near: npt.NDArray, k: int) -> tuple[IntArray, npt.NDArray]:
    """The k columns with the highest `near` of each row, the lowest number of equal ones first."""
    order = np.lexsort((numbers, -near), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, 1), np.take_along_axis(near, order, 1)


def _compare(queries: Single, units: Single, k: int) -> tuple[IntArray, Single]:
    similar = queries @ units.T
    at = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    return at.astype(np.int64), np.take_along_axis(similar, at, 1)


def _compare_on_gpu():  # type: ignore[no-untyped-def]
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()

    def compare(queries: Single, units: Single, k: int) -> tuple[IntArray, Single]:
        similar, at = faiss.knn_gpu(resources, queries, units, k, metric=faiss.METRIC_INNER_PRODUCT)
        return at, similar

    return compare
