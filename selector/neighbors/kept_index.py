"""Where kept rows are looked for: each kind proposes, the exact cosine decides (`cosine`).

`FlatKept` proposes every kept row within the radius. `ListedKept`, an IVF-PQ index with fast scan,
proposes the nearest few of the lists that it looks into: a duplicate can be missed, the more so
the fewer lists; how many are is measured (`recall`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from selector.neighbors.coarse import train_lists
from selector.neighbors.faiss_library import load_faiss
from selector.neighbors.greedy import IntArray
from selector.neighbors.index_kind import list_count, subquantizers
from selector.neighbors.unit import SLACK
from selector.neighbors.workers import ranges

Single = npt.NDArray[np.float32]

_TILE_ROWS = 4096

CODE_ERROR = 0.15
"""More than the codes are off for a duplicate's cosine (0.02 rms, 0.14 the worst of 4,000). What
seems further away is not compared exactly, which would be most of the work."""

FLAT_ROWS = 100_000
FLAT_WORK = 1e12
"""N^2 D up to which every kept row is compared: about a minute of two cores."""


@dataclass(frozen=True)
class SearchSettings:
    """How kept rows are searched.

    Attributes:
        lists: inverted lists; 0 = flat.
        probes: lists looked into for a row.
        candidates: nearest by the compressed vectors, which are then compared exactly.
    """

    lists: int = 0
    probes: int = 8
    candidates: int = 16

    @property
    def exact(self) -> bool:
        """Whether nothing can be missed."""
        return self.lists == 0


def search_settings(num_rows: int, dim: int) -> SearchSettings:
    """Flat where that takes about a minute at most, else IVF-PQ."""
    if num_rows <= FLAT_ROWS and float(num_rows) ** 2 * dim <= FLAT_WORK:
        return SearchSettings()
    return SearchSettings(lists=list_count(num_rows))


class KeptIndex(Protocol):
    """Kept rows by number, 0, 1, ... in the order in which they were added."""

    def propose(self, units: Single) -> tuple[IntArray, IntArray]:
        """`(row, number)` of pairs that may lie within the radius; safe for several threads."""

    def add(self, units: Single) -> None:
        """Add rows under the numbers that follow."""


class FlatKept:
    """All kept vectors in memory, 4 D bytes each; memory doubles when it is full."""

    def __init__(self, dim: int, *, min_similarity: float) -> None:
        self._units = np.empty((0, dim), np.float32)
        self._size = 0
        self._low = min_similarity - SLACK

    def propose(self, units: Single) -> tuple[IntArray, IntArray]:
        """See `KeptIndex`."""
        rows, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for kept in ranges(self._size, _TILE_ROWS):
            row, number = at_least(units @ self._units[kept].T, self._low)
            rows.append(row)
            numbers.append(number + kept.start)
        return np.concatenate(rows), np.concatenate(numbers)

    def add(self, units: Single) -> None:
        """See `KeptIndex`."""
        end = self._size + len(units)
        if end > len(self._units):
            grown = np.empty((max(end, 2 * len(self._units)), self._units.shape[1]), np.float32)
            grown[: self._size] = self._units[: self._size]
            self._units = grown
        self._units[self._size : end] = units
        self._size = end


class ListedKept:
    """IVF-PQ with fast scan: D / 2 + 8 bytes a vector, 72 at most.

    The codes are those of the residuals, the differences to the centroids: features of one class
    are so alike that codes of the vectors themselves cannot tell a duplicate from a class mate
    (recall 0.7 in place of 0.997 where mates have a cosine of 0.93 and duplicates 0.95).

    Args:
        training: (S, D) unit vectors, S >= lists.
    """

    def __init__(
        self, training: Single, settings: SearchSettings, *, min_similarity: float, seed: int
    ) -> None:
        self._low = min_similarity - CODE_ERROR
        self._candidates = settings.candidates
        self._index = ivf_pq(training, settings.lists, seed=seed)
        self._index.nprobe = settings.probes
        self._size = 0

    def propose(self, units: Single) -> tuple[IntArray, IntArray]:
        """See `KeptIndex`."""
        wanted = min(self._candidates, self._size)
        about, numbers = self._index.search(padded(units, self._index.d), wanted)
        row, at = np.nonzero((numbers >= 0) & (about >= self._low))
        return row, numbers[row, at]

    def add(self, units: Single) -> None:
        """See `KeptIndex`."""
        self._index.add(padded(units, self._index.d))
        self._size += len(units)


def ivf_pq(training: Single, lists: int, *, seed: int) -> Any:
    """A trained, empty IVF-PQ index with fast scan, for inner products of unit vectors."""
    faiss = load_faiss()
    parts, dim = subquantizers(training.shape[1])
    training = padded(training, dim)
    quantizer = faiss.IndexFlatIP(dim)
    quantizer.add(train_lists(training, lists, seed=seed))
    index = faiss.IndexIVFPQFastScan(quantizer, dim, lists, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = True
    index.pq.cp.seed = seed
    index.train(training)
    return index


def padded(units: Single, dim: int) -> Single:
    """With zeros up to `dim` columns, which change no product."""
    if units.shape[1] == dim:
        return units
    wide = np.zeros((len(units), dim), np.float32)
    wide[:, : units.shape[1]] = units
    return wide


def at_least(similar: Single, low: float) -> tuple[IntArray, IntArray]:
    """Where a matrix is `low` or more: rows and columns, in order.

    Few rows have such a place; looking at their maxima first takes a fifth of the time.
    """
    hot = np.flatnonzero(similar.max(axis=1, initial=-2.0) >= low)
    row, column = np.nonzero(similar[hot] >= low)
    return hot[row], column
