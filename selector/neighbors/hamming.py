"""The space of looks: rows are near where their perceptual hashes differ in few bits. Exact.

The 64 bits are cut into bands; two hashes that differ in at most r bits differ in at most r // m
bits of at least one of m bands (pigeonhole). So the kept hashes are filed under each band, and a
row is compared only with those that share a band up to r // m flipped bits: multi-index hashing
(Norouzi, Punjani, Fleet 2012; FAISS's IndexBinaryMultiHash). No cross join, and nothing is missed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from selector.neighbors.cosine import best_of
from selector.neighbors.faiss_library import load_faiss
from selector.neighbors.greedy import IntArray
from selector.neighbors.workers import Workers, ranges
from shards.errors import UsageError

HashArray = npt.NDArray[np.uint64]

BITS = 64
MAX_RADIUS = 15
MIN_BITS_SET = 16
_SEARCH_ROWS = 512
_TILE_ROWS = 512
_CANDIDATES = 4


def tells_looks(hashes: HashArray) -> npt.NDArray[np.bool_]:
    """(N,) False for the hashes of images without enough to compare.

    A bit says whether a coefficient lies above the median of all 64; of an image with contents
    half of them do. A flat one, or one that varies along a single axis (a gradient, stripes), has
    at most 8 coefficients that are not zero: all such images would look alike.
    """
    bits: npt.NDArray[np.bool_] = np.bitwise_count(hashes) >= MIN_BITS_SET
    return bits


def band_count(radius: int) -> int:
    """Bands: 3 of 21 bits up to a radius of 8, where they are fast; 4 of 16 bits beyond."""
    return 3 if radius <= 8 else 4


def check_radius(radius: int) -> None:
    """Raise UsageError for a radius without meaning or beyond what bands can serve."""
    if not 0 <= radius <= MAX_RADIUS:
        raise UsageError(
            f"radius {radius}: expected 0 to {MAX_RADIUS} of {BITS} bits; unrelated images differ "
            "in about 32, and from about 10 on they begin to be taken for duplicates"
        )


class HammingSpace:
    """Perceptual hashes, and those kept so far. About 350 bytes a kept row.

    Args:
        hashes: (N,) uint64.
        radius: rows are near up to this many different bits.

    Raises:
        UsageError: see `check_radius`.
    """

    def __init__(self, hashes: HashArray, *, radius: int, pool: Workers) -> None:
        check_radius(radius)
        bands = band_count(radius)
        self._hashes = hashes
        self._radius = radius
        self._pool = pool
        self._index: Any = load_faiss().IndexBinaryMultiHash(BITS, bands, BITS // bands)
        self._index.nflip = radius // bands
        self._kept: HashArray = np.empty(0, np.uint64)
        self._num_kept = 0

    def load(self, rows: IntArray) -> HashArray:
        """(n,) uint64."""
        return self._hashes[rows]

    def find_kept(self, block: HashArray) -> IntArray:
        """(n,) number of a nearest kept row within the radius, -1 for none."""
        parts = self._pool.map(
            lambda rows: self._find(block[rows]), ranges(len(block), _SEARCH_ROWS)
        )
        return np.concatenate(list(parts))

    def _find(self, block: HashArray) -> IntArray:
        _, numbers = self._index.search(_bytes(block), min(_CANDIDATES, self._num_kept))
        row, at = np.nonzero(numbers >= 0)
        number = numbers[row, at]
        apart = distance(block[row], self._kept[number])
        return best_of(row, number, -apart.astype(np.float64), -self._radius, len(block))

    def close_pairs(self, block: HashArray) -> tuple[IntArray, IntArray]:
        """Every pair of the block within the radius."""

        def tile(rows: slice) -> tuple[IntArray, IntArray]:
            apart = distance(block[rows, None], block[None, rows.start :])
            apart[np.tril_indices(len(apart))] = BITS
            first, second = np.nonzero(apart <= self._radius)
            return first + rows.start, second + rows.start

        found = list(self._pool.map(tile, ranges(len(block), _TILE_ROWS)))
        empty = np.empty(0, np.int64)
        return (
            np.concatenate([empty, *(first for first, _ in found)]),
            np.concatenate([empty, *(second for _, second in found)]),
        )

    def keep(self, block: HashArray, rows: IntArray) -> None:
        """Add rows to the kept ones."""
        end = self._num_kept + len(rows)
        if end > len(self._kept):
            self._kept = np.resize(self._kept, max(end, 2 * len(self._kept)))
        self._kept[self._num_kept : end] = block
        self._num_kept = end
        self._index.add(_bytes(block))


def distance(a: HashArray, b: HashArray) -> npt.NDArray[np.uint8]:
    """Bits in which hashes differ, 0 to 64; shapes as numpy broadcasts them."""
    apart: npt.NDArray[np.uint8] = np.bitwise_count(a ^ b)
    return apart


def _bytes(hashes: HashArray) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(hashes).view(np.uint8).reshape(-1, BITS // 8)
