"""Ranking over the whole pool: the n first, the best share, everything up to a limit."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from selector.policies.columns import Columns, FloatArray, Mask, best_first, rankable


def smallest(columns: Columns, *, n: int) -> Mask:
    """Keep the n first rows of the total order (all rankable rows if there are fewer).

    DFND (CVPR 2021) with the noise value as order: the n images the teacher is surest of.

    Returns:
        Mask (N,).
    """
    keep = rankable(columns)
    if np.count_nonzero(keep) <= n:
        return keep
    if n == 0:
        return np.zeros(len(columns), dtype=bool)
    limit = np.partition(columns.order[keep], n - 1)[n - 1]
    below = keep & (columns.order < limit)
    # Rows at the limit itself compete for the places that are left.
    at_limit = np.flatnonzero(keep & (columns.order == limit))
    places = n - np.count_nonzero(below)
    below[at_limit[best_first(columns.at(at_limit))[:places]]] = True
    return below


def share_of(num_rows: int, quantile: float) -> int:
    """How many rows the best `quantile` (0 .. 1) of num_rows are: rounded down.

    The quantile counts as the decimal number it was written as: 0.29 of 100 is 29, not the 28
    that binary arithmetic yields.
    """
    return math.floor(Fraction(repr(float(quantile))) * num_rows)


def up_to(order: FloatArray, *, limit: float) -> Mask:
    """Keep every row whose order is at most `limit`, the limit included; NaN never.

    Args:
        order: (N,), taken from the lowest up.
    """
    return order <= limit
