"""Putting selections together: rows in all of them, in any of them, or one filled up from others.

Selections are arrays of row_ids; the results are masks over the concatenation or the first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from selector.policies.columns import IntArray, Mask


def in_all(row_id: IntArray, others: Sequence[IntArray]) -> Mask:
    """Which of `row_id` (N,) every one of the other selections holds too."""
    keep = np.ones(len(row_id), dtype=bool)
    for other in others:
        keep &= np.isin(row_id, other)
    return keep


def listed(row_id: IntArray, ids: IntArray) -> Mask:
    """Which of `row_id` (N,) stand in the sorted list `ids` (M,); O(N log M)."""
    if len(ids) == 0:
        return np.zeros(len(row_id), dtype=bool)
    place = np.minimum(np.searchsorted(ids, row_id), len(ids) - 1)
    return ids[place] == row_id


def first_seen(row_id: IntArray) -> Mask:
    """The union: of selections put one after another (N,), the first occurrence of each row."""
    keep = np.zeros(len(row_id), dtype=bool)
    keep[np.unique(row_id, return_index=True)[1]] = True
    return keep


def fill(sources: Sequence[IntArray], *, n: int) -> list[Mask]:
    """Take the first source; while fewer than n rows are taken, fill up from the next one.

    A row that an earlier source gave is passed over, not counted again.

    Args:
        sources: row_ids, each in the order in which they are to be taken.

    Returns:
        One mask per source; together they hold n rows, or all distinct rows if there are fewer.
    """
    taken = np.empty(0, dtype=np.int64)
    masks = []
    for source in sources:
        fresh = ~np.isin(source, taken)
        keep = fresh & (np.cumsum(fresh) <= n - len(taken))
        taken = np.concatenate([taken, source[keep]])
        masks.append(keep)
    return masks
