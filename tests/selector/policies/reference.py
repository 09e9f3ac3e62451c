"""The plain sorted reference that every policy is held against, one Python row at a time."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from selector.policies.columns import Columns

ORDERS = [0.0, -0.0, 0.25, 0.5, 1.0, -1.0, math.inf, math.nan]
"""Few values, so that ties (and ties of ties) are the normal case."""


@st.composite
def columns(draw: st.DrawFn, *, num_groups: int = 1, max_size: int = 40) -> Columns:
    """Rows with unique row_ids in any order: ties everywhere, rows without score or group."""
    row_id = draw(st.lists(st.integers(0, 2**62), unique=True, max_size=max_size))
    size = len(row_id)

    def some(values: st.SearchStrategy, dtype: type) -> np.ndarray:
        return np.array(draw(st.lists(values, min_size=size, max_size=size)), dtype=dtype)

    return Columns(
        np.array(row_id, dtype=np.int64),
        some(st.sampled_from(ORDERS), np.float64),
        some(st.sampled_from([0, 1, 2**64 - 1]), np.uint64),
        some(st.integers(0, 2), np.uint64),
        some(st.integers(-1, num_groups - 1), np.int64),
    )


def sort_key(columns: Columns, row: int) -> tuple[float, int, int, int]:
    """Score, content hash, row_id."""
    return (
        float(columns.order[row]),
        int(columns.tie_high[row]),
        int(columns.tie_low[row]),
        int(columns.row_id[row]),
    )


def sorted_rows(columns: Columns, group: int | None = None) -> list[int]:
    """Indices of the rankable rows (of one group), best first."""
    rows = [
        row
        for row in range(len(columns))
        if not math.isnan(columns.order[row])
        and columns.group[row] >= 0
        and group in (None, columns.group[row])
    ]
    return sorted(rows, key=lambda row: sort_key(columns, row))


def kept_ids(columns: Columns, mask: np.ndarray) -> set[int]:
    """row_ids under a mask."""
    return set(columns.row_id[mask].tolist())
