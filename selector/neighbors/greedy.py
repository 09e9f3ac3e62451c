"""The rule that removes duplicates: first come, first kept.

Rows come in the order of rank, the best first. A row is kept unless a row that is kept already
lies within the radius; then it is removed, and that kept row is its `kept_by`. So

- every removed row has a KEPT one within the radius: chains of likeness remove nothing;
- of two rows within the radius at most one is kept (as far as the search finds them);
- a million copies of one image cost a million look-ups, not a million squared.

The rows go through in blocks of fixed size: first against what is kept of earlier blocks, then the
survivors among themselves. Nothing hangs on threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

BLOCK_ROWS = 4096
"""Rows compared with each other outright: the work among survivors grows with it."""


class Space(Protocol):
    """Where rows lie, what is near, and the rows kept so far (numbered 0, 1, ... as they come)."""

    def load(self, rows: IntArray) -> npt.NDArray[Any]:
        """What the methods below need of some rows: an array with one entry a row."""

    def find_kept(self, block: npt.NDArray[Any]) -> IntArray:
        """(n,) number of a kept row within the radius of each, -1 where none was found."""

    def close_pairs(self, block: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
        """Every pair i < j of the block within the radius, sorted by i, then j."""

    def keep(self, block: npt.NDArray[Any], rows: IntArray) -> None:
        """Add rows to the kept ones."""


@dataclass(frozen=True)
class Outcome:
    """What became of M ranked rows.

    Attributes:
        kept: (K,) rows that are kept, in order of rank.
        removed: (M - K,) rows that are removed, in order of rank.
        kept_by: (M - K,) the kept row that lies within the radius of each.
    """

    kept: IntArray
    removed: IntArray
    kept_by: IntArray


def keep_first(
    ranked: IntArray,
    space: Space,
    *,
    block_rows: int = BLOCK_ROWS,
    on_rows: Callable[[int], None] = lambda done: None,
) -> Outcome:
    """Carry out the rule on rows in order of rank.

    Args:
        ranked: (M,) distinct rows, the best first.
        on_rows: called with the number of rows done.
    """
    kept: list[IntArray] = []
    removed: list[IntArray] = []
    partners: list[IntArray] = []
    numbers = np.empty(len(ranked), np.int64)  # number of a kept row -> the row
    num_kept = 0
    for start in range(0, len(ranked), block_rows):
        rows = ranked[start : start + block_rows]
        block = space.load(rows)
        found = space.find_kept(block) if num_kept else np.full(len(rows), -1, np.int64)
        partner = np.where(found >= 0, numbers[np.maximum(found, 0)], -1)
        alive = np.flatnonzero(found < 0)
        first, second = space.close_pairs(block[alive])
        by = first_kept(first, second, len(alive))
        inside = by >= 0
        partner[alive[inside]] = rows[alive[by[inside]]]
        stays = partner < 0
        fresh = rows[stays]
        if len(fresh):
            space.keep(block[stays], fresh)
            numbers[num_kept : num_kept + len(fresh)] = fresh
            num_kept += len(fresh)
        kept.append(fresh)
        removed.append(rows[~stays])
        partners.append(partner[~stays])
        on_rows(min(start + block_rows, len(ranked)))
    empty = np.empty(0, np.int64)
    return Outcome(
        np.concatenate([empty, *kept]),
        np.concatenate([empty, *removed]),
        np.concatenate([empty, *partners]),
    )


def first_kept(first: IntArray, second: IntArray, size: int) -> IntArray:
    """The rule among `size` rows whose close pairs are all known.

    Args:
        first, second: (P,) pairs first < second, sorted by first.

    Returns:
        (size,) the first kept row close to each removed one, -1 for the kept.
    """
    by = np.full(size, -1, np.int64)
    heads, starts = np.unique(first, return_index=True)
    ends = np.append(starts, len(first))[1:]
    for head, start, end in zip(heads.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if by[head] < 0:
            close = second[start:end]
            by[close[by[close] < 0]] = head
    return by
