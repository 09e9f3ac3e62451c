"""A policy over a stream: survivors of the chunks so far, never the pool.

Memory holds at most the survivors plus a buffer of about the same size. Most rows of a long
stream never reach the buffer: within a group every policy keeps a prefix of the total order, so
a row that is worse than one already dropped from its group can be dropped at a glance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from selector.policies.columns import Columns, Mask, concatenate, rankable

Payload = dict[str, np.ndarray]


class Running:
    """Survivors of a decomposable policy.

    Args:
        policy: columns (N,) -> mask (N,).
        num_groups: groups are 0 .. num_groups - 1.
        buffer_rows: new rows to gather, at least, before the policy runs again.

    Attributes:
        num_by_group: (G,) rankable rows seen so far.
        num_unranked: rows seen that have no score or no group.
        peak_rows: the most rows ever held.
    """

    def __init__(
        self, policy: Callable[[Columns], Mask], *, num_groups: int = 1, buffer_rows: int = 65_536
    ) -> None:
        self._policy = policy
        self._buffer_rows = buffer_rows
        self._parts: list[tuple[Columns, Payload]] = []
        self._num_new = 0
        self._num_survivors = 0
        self._best_dropped = np.full(num_groups, np.inf)
        self.num_by_group = np.zeros(num_groups, dtype=np.int64)
        self.num_unranked = 0
        self.peak_rows = 0

    def add(self, columns: Columns, payload: Payload) -> None:
        """Take in a chunk: its columns (N,) and what else to carry along, arrays of (N,)."""
        usable = rankable(columns)
        self.num_unranked += len(columns) - int(np.count_nonzero(usable))
        self.num_by_group += np.bincount(columns.group[usable], minlength=len(self.num_by_group))
        # Equal orders stay in the race: content hash and row_id decide between them.
        usable &= columns.order <= self._best_dropped[columns.group]
        rows = np.flatnonzero(usable)
        if len(rows) == 0:
            return
        self._parts.append((columns.at(rows), {k: v[rows] for k, v in payload.items()}))
        self._num_new += len(rows)
        self.peak_rows = max(self.peak_rows, self._num_survivors + self._num_new)
        if self._num_new >= max(self._buffer_rows, self._num_survivors):
            self._reduce()

    def survivors(self) -> tuple[Columns, Payload] | None:
        """What the policy keeps of all chunks so far; None if no row was rankable."""
        if self._num_new:
            self._reduce()
        return self._parts[0] if self._parts else None

    def _reduce(self) -> None:
        columns = concatenate([part for part, _ in self._parts])
        names = self._parts[0][1]
        payload = {name: np.concatenate([part[name] for _, part in self._parts]) for name in names}
        keep = self._policy(columns)
        dropped = columns.at(~keep)
        np.minimum.at(self._best_dropped, dropped.group, dropped.order)
        self._parts = [(columns.at(keep), {k: v[keep] for k, v in payload.items()})]
        self._num_survivors = int(np.count_nonzero(keep))
        self._num_new = 0
