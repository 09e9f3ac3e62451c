"""Farthest-first: rows that are unlike each other, group by group.

Gonzalez 1985: take the best row of a group; then again and again the row that is farthest from all
that are taken. The n taken cover their group within twice the smallest radius that any n could.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selector.policies.columns import Columns, Mask, best_first_by_group, rankable


def farthest_first(
    columns: Columns, units_ND: npt.NDArray[np.float32], *, n: int, num_groups: int
) -> Mask:
    """Keep n rows of every group (all of them where there are fewer), each unlike the others.

    Distance is 1 - cosine. Of equally far rows the first of the total order is taken; so a group
    of equal rows gives its n first ones. Time: n N D multiplications.

    Args:
        columns: order NaN or group -1 = never kept; else group in 0 .. num_groups - 1.
        units_ND: (N, D) vectors of length 1; those of rows that are never kept do not matter.

    Returns:
        Mask (N,).
    """
    keep = np.zeros(len(columns), dtype=bool)
    candidates = np.flatnonzero(rankable(columns))
    ranked = candidates[best_first_by_group(columns.at(candidates))]
    starts = np.searchsorted(columns.group[ranked], np.arange(num_groups + 1))
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        rows = ranked[begin:end]
        if len(rows) <= n:
            keep[rows] = True
            continue
        units = units_ND[rows]
        nearest = np.full(len(rows), np.inf, dtype=np.float32)
        taken = 0
        for _ in range(n):
            keep[rows[taken]] = True
            # A sum of products row by row: a matrix product would round by its shape.
            nearest = np.minimum(nearest, 1 - np.einsum("nd,d->n", units, units[taken]))
            nearest[taken] = -np.inf  # never again, whatever rounding makes of its own distance
            taken = int(nearest.argmax())
    return keep
