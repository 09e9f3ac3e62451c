"""The space of features: rows are near where the cosine of their vectors is at least a limit.

Kept rows lie in a `kept_index`, which proposes; `unit.cosine` decides, in float64 from the stored
numbers. So no row is removed without a kept one within the radius, however the search was done.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.neighbors.greedy import IntArray
from selector.neighbors.kept_index import KeptIndex, at_least
from selector.neighbors.unit import SLACK, Half, cosine, unit
from selector.neighbors.workers import Workers, ranges

_SEARCH_ROWS = 1024
_TILE_ROWS = 512


class CosineSpace:
    """Vectors of a file, and the rows kept so far.

    Args:
        vectors: (N, D) float16, those of the rows that come usable; may be mapped from disk.
        min_similarity: rows are near from this cosine on: 1 - epsilon.
        index: empty.
    """

    def __init__(
        self, vectors: Half, index: KeptIndex, *, min_similarity: float, pool: Workers
    ) -> None:
        self._vectors = vectors
        self._index = index
        self._least = min_similarity
        self._pool = pool
        self._kept = np.empty(0, np.int64)
        self._num_kept = 0

    def load(self, rows: IntArray) -> Half:
        """(n, D) float16."""
        return gather(self._vectors, rows)

    def find_kept(self, block: Half) -> IntArray:
        """(n,) number of the nearest kept row found within the radius, of equally near ones the
        best-ranked; -1 for none."""
        parts = self._pool.map(
            lambda rows: self._find(block[rows]), ranges(len(block), _SEARCH_ROWS)
        )
        return np.concatenate(list(parts))

    def _find(self, block: Half) -> IntArray:
        row, number = self._index.propose(unit(block))
        near = cosine(block[row], self.load(self._kept[number]))
        return best_of(row, number, near, self._least, len(block))

    def close_pairs(self, block: Half) -> tuple[IntArray, IntArray]:
        """Every pair of the block within the radius, whatever the index is."""
        units = unit(block)

        def tile(rows: slice) -> tuple[IntArray, IntArray]:
            similar = units[rows] @ units[rows.start :].T
            similar[np.tril_indices(len(similar))] = -2.0  # itself, and pairs seen already
            first, second = at_least(similar, self._least - SLACK)
            # Only what float32 cannot tell is computed again.
            unsure = np.flatnonzero(similar[first, second] < self._least + SLACK)
            first, second = first + rows.start, second + rows.start
            near = cosine(block[first[unsure]], block[second[unsure]])
            sure = np.ones(len(first), bool)
            sure[unsure] = near >= self._least
            return first[sure], second[sure]

        found = list(self._pool.map(tile, ranges(len(block), _TILE_ROWS)))
        empty = np.empty(0, np.int64)
        return (
            np.concatenate([empty, *(first for first, _ in found)]),
            np.concatenate([empty, *(second for _, second in found)]),
        )

    def keep(self, block: Half, rows: IntArray) -> None:
        """Add rows to the kept ones."""
        end = self._num_kept + len(rows)
        if end > len(self._kept):
            self._kept = np.resize(self._kept, max(end, 2 * len(self._kept)))
        self._kept[self._num_kept : end] = rows
        self._num_kept = end
        self._index.add(unit(block))


def gather(vectors: Half, rows: IntArray) -> Half:
    """(n, D) copies of some rows, read forward: the file may not fit into memory."""
    order = np.argsort(rows, kind="stable")
    block = np.empty((len(rows), vectors.shape[1]), np.float16)
    block[order] = vectors[rows[order]]
    return block


def similarities(vectors: Half, a: IntArray, b: IntArray) -> npt.NDArray[np.float64]:
    """(P,) exact cosine of the vectors of rows a[p] and b[p], in the memory of a block."""
    found = np.empty(len(a), np.float64)
    for rows in ranges(len(a), 65_536):
        found[rows] = cosine(gather(vectors, a[rows]), gather(vectors, b[rows]))
    return found


def best_of(
    row: IntArray, number: IntArray, near: npt.NDArray[np.float64], least: float, size: int
) -> IntArray:
    """For each of `size` rows the number with the highest `near` >= least, the lowest of equals."""
    fits = near >= least
    row, number, near = row[fits], number[fits], near[fits]
    order = np.lexsort((number, -near, row))
    rows, first = np.unique(row[order], return_index=True)
    best = np.full(size, -1, np.int64)
    best[rows] = number[order][first]
    return best
