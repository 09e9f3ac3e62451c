"""What a policy sees of a row, and the total order that every policy ranks by.

The order is: score, then content hash, then row_id. It has no ties, so a selection depends on
the rows alone: not on their order of arrival, nor on how they were cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
HashArray = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """N candidate rows.

    Attributes:
        row_id: (N,) int64, unique.
        order: (N,) float64, taken from the lowest up (a score of which more is better comes
            negated). NaN = the row has no score and is never kept.
        tie_high, tie_low: (N,) uint64, the content hash in two halves, read big endian.
        group: (N,) int64, 0 .. G-1; -1 = the row belongs to no group and is never kept.
    """

    row_id: IntArray
    order: FloatArray
    tie_high: HashArray
    tie_low: HashArray
    group: IntArray

    def __len__(self) -> int:
        return len(self.row_id)

    def at(self, where: Mask | IntArray) -> Columns:
        """The rows of a mask (N,) or of an index array."""
        return Columns(
            self.row_id[where],
            self.order[where],
            self.tie_high[where],
            self.tie_low[where],
            self.group[where],
        )


def concatenate(parts: list[Columns]) -> Columns:
    """The rows of all parts, one after another; at least one part."""
    return Columns(
        np.concatenate([part.row_id for part in parts]),
        np.concatenate([part.order for part in parts]),
        np.concatenate([part.tie_high for part in parts]),
        np.concatenate([part.tie_low for part in parts]),
        np.concatenate([part.group for part in parts]),
    )


def rankable(columns: Columns) -> Mask:
    """Mask (N,) of the rows that have a score and a group; the others are never kept."""
    return ~np.isnan(columns.order) & (columns.group >= 0)


def best_first(columns: Columns) -> IntArray:
    """Indices (N,) that sort the rows by the total order; no order may be NaN."""
    index = np.argsort(columns.order)
    return _settle_ties(columns, index, columns.order[index])


def best_first_by_group(columns: Columns) -> IntArray:
    """Indices (N,) that sort the rows by group, and by the total order within a group."""
    index = np.argsort(columns.order)
    # NumPy sorts 16-bit integers by radix: a small part of what the scores took.
    small = len(index) > 0 and columns.group.max() < 2**15
    group = columns.group.astype(np.int16) if small else columns.group
    index = index[np.argsort(group[index], kind="stable")]
    order, group = columns.order[index], columns.group[index]
    return _settle_ties(columns, index, order, group)


def _settle_ties(columns: Columns, index: IntArray, *sorted_keys: npt.NDArray) -> IntArray:
    """Sort the runs of equal keys by content hash and row_id.

    Scores seldom tie, and sorting by all five keys takes several times as long.
    """
    if len(index) < 2:
        return index
    same = np.ones(len(index) - 1, dtype=bool)
    for key in sorted_keys:
        same &= key[1:] == key[:-1]
    if not same.any():
        return index
    tied = np.zeros(len(index), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    run = np.concatenate(([0], np.cumsum(~same)))
    rows = index[tied]
    settled = np.lexsort(
        (columns.row_id[rows], columns.tie_low[rows], columns.tie_high[rows], run[tied])
    )
    index = index.copy()
    index[tied] = rows[settled]
    return index
