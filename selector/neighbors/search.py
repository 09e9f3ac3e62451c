"""Asking an index for the nearest vectors: the index proposes, the exact cosine orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selector.neighbors.card import Card
from selector.neighbors.exact_search import first_k, nearest
from selector.neighbors.faiss_library import load_faiss
from selector.neighbors.greedy import IntArray
from selector.neighbors.kept_index import padded
from selector.neighbors.unit import Half, cosine, unit
from selector.neighbors.vector_file import VectorFile
from selector.neighbors.workers import Workers, ranges
from shards.errors import StorageError, UsageError

_QUERY_ROWS = 1024


@dataclass(frozen=True)
class NeighborIndex:
    """An index that is open.

    Attributes:
        index: FAISS's, None for a flat one.
    """

    card: Card
    file: VectorFile
    index: Any | None

    def search(
        self, queries: Half, *, k: int, pool: Workers
    ) -> tuple[IntArray, npt.NDArray[np.float64]]:
        """The k nearest vectors of each query.

        Args:
            queries: (Q, D) float16, usable ones.

        Returns:
            numbers in the file (Q, k), the nearest first, -1 where fewer were found; their exact
            cosines (Q, k), -inf there.

        Raises:
            UsageError: queries of another number of dimensions.
        """
        if queries.shape[1] != self.file.dim:
            raise UsageError(
                f"found vectors of {queries.shape[1]} dimensions, expected {self.file.dim}: they "
                "must come from the features that the index was built over"
            )
        found = list(
            pool.map(
                lambda rows: self._proposed(queries[rows], k, pool),
                ranges(len(queries), _QUERY_ROWS),
            )
            if self.index is not None
            else [nearest(self.file.vectors, unit(queries), k=k + 8, pool=pool)[0]]
        )
        numbers = np.concatenate(found) if found else np.empty((0, k), np.int64)
        exact = np.full(numbers.shape, -np.inf)
        row, at = np.nonzero(numbers >= 0)
        for part in ranges(len(row), 65_536):
            there = numbers[row[part], at[part]]
            near = cosine(queries[row[part]], self.file.vectors[there])
            exact[row[part], at[part]] = near
        return first_k(numbers, exact, k)

    def _proposed(self, queries: Half, k: int, pool: Workers) -> IntArray:
        assert self.index is not None
        wanted = min(max(k, k * self.card.kind.rerank), self.file.size)
        numbers: IntArray = self.index.search(padded(unit(queries), self.index.d), wanted)[1]
        if numbers.shape[1] < k:
            numbers = np.pad(numbers, ((0, 0), (0, k - numbers.shape[1])), constant_values=-1)
        return numbers


def read_index(folder: Path, card: Card) -> Any | None:
    """FAISS's part of an index, None for a flat one.

    Raises:
        StorageError: missing or damaged.
    """
    if not card.file:
        return None
    path = folder / card.file
    cure = f"remove the folder {folder} and run `coursepack neighbors build` again"
    if not path.exists():
        raise StorageError(f"{path} is missing; {cure}")
    try:
        index = load_faiss().read_index(str(path))
    except RuntimeError as error:  # what FAISS raises for everything
        raise StorageError(f"{path} is damaged ({' '.join(str(error).split())}); {cure}") from error
    if index.ntotal != card.num_vectors:
        raise StorageError(
            f"{path} holds {index.ntotal:,} vectors, its card says {card.num_vectors:,}; {cure}"
        )
    index.nprobe = card.kind.probes
    return index
