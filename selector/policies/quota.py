"""Quotas: n rows of every group, and what happens when a group has fewer.

Shortage rules, with c_g the rankable rows of group g and T = n * G the number of places:

- `accept`        group g gives min(c_g, n) rows.
- `error`         the same, and the caller refuses the result when a group has c_g < n.
- `redistribute`  the places that a short group leaves are shared out evenly among the others:
  every group gives min(c_g, L - 1) rows, where L >= n is the smallest level at which the groups
  together fill all T places; the places still open go to the rows ranked L-th in their groups,
  the best of them first. With fewer than T rankable rows, all of them are kept.

A group keeps a prefix of its own ranking under every rule. L only falls while rows arrive, so a
row that was dropped once never returns: the rules are decomposable.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from selector.policies.columns import (
    Columns,
    IntArray,
    Mask,
    best_first,
    best_first_by_group,
    rankable,
)

Shortage = Literal["error", "accept", "redistribute"]


def quota(columns: Columns, *, n: int, num_groups: int, shortage: Shortage) -> Mask:
    """Keep the n first rows of every group, in the total order.

    Args:
        columns: group in 0 .. num_groups - 1, or -1 for rows that are never kept.
        num_groups: all groups that have places, also those without a row here.
        shortage: see the module; `error` keeps what `accept` keeps.

    Returns:
        Mask (N,).
    """
    usable = np.flatnonzero(rankable(columns))
    ranked = usable[best_first_by_group(columns.at(usable))]
    group = columns.group[ranked]
    counts = np.bincount(group, minlength=num_groups)
    rank = np.arange(len(ranked)) - (np.cumsum(counts) - counts)[group]
    keep = np.zeros(len(columns), dtype=bool)
    if shortage != "redistribute":
        keep[ranked[rank < n]] = True
        return keep
    level = fill_level(counts, n=n)
    keep[ranked[rank < level - 1]] = True
    contenders = ranked[rank == level - 1]
    places = n * num_groups - np.count_nonzero(keep)
    keep[contenders[best_first(columns.at(contenders))[:places]]] = True
    return keep


def fill_level(counts: IntArray, *, n: int) -> int:
    """The smallest L >= n with sum over g of min(counts_g, L) >= n * G.

    Args:
        counts: (G,) rows that each group has.

    Returns:
        L; the largest count (at least n) when there are too few rows for all places.
    """
    places = n * len(counts)
    highest = max(n, int(counts.max(initial=0)))
    if counts.sum() <= places:
        return highest
    low, high = n, highest
    while low < high:
        middle = (low + high) // 2
        if np.minimum(counts, middle).sum() >= places:
            high = middle
        else:
            low = middle + 1
    return low
