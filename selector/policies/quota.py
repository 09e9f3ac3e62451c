"""Quotas: n rows of every group, and what happens when a group has fewer.

Shortage rules, with c_g the rankable rows of group g and T = n * G the number of places:

- `accept`        group g gives min(c_g, n) rows.
- `error`         the same, and the caller refuses the result when a group has c_g < n.
- `redistribute`  the places that a short group leaves are shared out evenly among the others:
  every group gives min(c_g, L - 1) rows, where L >= n is the smallest level at which the groups
  together fill all T places; the places still open go to the rows ranked L-th in their groups,
  the best of them first. With fewer than T rankable rows, all of them are kept.

`balanced` has a number of places in all, T, and starts from no places of each group: water is
filled into the groups until T places are taken, L being the level. It is `redistribute` without a
least n.

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
    if shortage == "redistribute":
        return _fill(columns, n * num_groups, num_groups=num_groups, least=n)
    ranked, rank, _ = _ranks(columns, num_groups)
    keep = np.zeros(len(columns), dtype=bool)
    keep[ranked[rank < n]] = True
    return keep


def balanced(columns: Columns, *, total: int, num_groups: int) -> Mask:
    """Keep `total` rows, as evenly over the groups as their sizes allow; the first of each.

    No group gives more than one row more than another that still has rows to give.

    Args:
        columns: group in 0 .. num_groups - 1, or -1 for rows that are never kept.

    Returns:
        Mask (N,).
    """
    return _fill(columns, total, num_groups=num_groups, least=1)


def _fill(columns: Columns, places: int, *, num_groups: int, least: int) -> Mask:
    """Every group up to the level that takes all places; of the rows at the level the best."""
    ranked, rank, counts = _ranks(columns, num_groups)
    level = fill_level(counts, places=places, least=least)
    keep = np.zeros(len(columns), dtype=bool)
    keep[ranked[rank < level - 1]] = True
    contenders = ranked[rank == level - 1]
    left = places - np.count_nonzero(keep)
    keep[contenders[best_first(columns.at(contenders))[:left]]] = True
    return keep


def _ranks(columns: Columns, num_groups: int) -> tuple[IntArray, IntArray, IntArray]:
    """Rankable rows by group and order, the rank of each in its group, and the groups' sizes."""
    usable = np.flatnonzero(rankable(columns))
    ranked = usable[best_first_by_group(columns.at(usable))]
    group = columns.group[ranked]
    counts = np.bincount(group, minlength=num_groups)
    return ranked, np.arange(len(ranked)) - (np.cumsum(counts) - counts)[group], counts


def fill_level(counts: IntArray, *, places: int, least: int) -> int:
    """The smallest L >= least with sum over g of min(counts_g, L) >= places.

    Args:
        counts: (G,) rows that each group has.

    Returns:
        L; the largest count (at least `least`) when there are too few rows for all places.
    """
    highest = max(least, int(counts.max(initial=0)))
    if counts.sum() <= places:
        return highest
    low, high = least, highest
    while low < high:
        middle = (low + high) // 2
        if np.minimum(counts, middle).sum() >= places:
            high = middle
        else:
            low = middle + 1
    return low
