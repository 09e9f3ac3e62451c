"""Steps that compare rows with each other: the first n, a share, or n of every group."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from selector.policies.columns import Columns, IntArray, best_first_by_group
from selector.policies.quota import balanced, quota
from selector.policies.ranking import share_of, smallest
from selector.policies.running import Running
from selector.selecting.plan import Order, Rank
from selector.selecting.rows import columns_of, count_values, group_of, order_of
from selector.selecting.source import NO_GROUP, Chunk
from shards.errors import UsageError

_SHOWN = 5


@dataclass(frozen=True)
class Kept:
    """What a step let through.

    Attributes:
        chunk: the rows.
        labels: why rows are in; `reason` (N,) is the index of each row's.
        details: for stats.json: cuts, rows without a score, parts.
        warnings: what the user should hear.
    """

    chunk: Chunk
    reason: IntArray
    labels: tuple[str, ...]
    details: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def needs_counts(step: Rank) -> bool:
    """True if the rows have to be counted first: a share needs the total, a quota the groups."""
    return step.quantile is not None or step.by is not None


def count(step: Rank, chunk: Chunk, counts: Counter[int]) -> None:
    """Add the chunk's rankable rows to `counts`, by value of the group (0 without groups)."""
    usable = ~np.isnan(order_of(step.order, chunk))
    if step.by is None:
        counts[0] += int(np.count_nonzero(usable))
        return
    groups = chunk[step.by]
    values, numbers = count_values(groups[usable & (groups != NO_GROUP)])
    for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
        counts[value] += number


class RankRunner:
    """Carries out one Rank step over chunks.

    Args:
        counts: of all the rows to come, if `needs_counts`.
        class_names: names of the groups 0, 1, ... where groups are pseudo-labels; each then has
            places, also one without a row.

    Raises:
        UsageError: a group has too few rows and the step says that this is an error.
    """

    def __init__(
        self, step: Rank, *, counts: Counter[int], class_names: list[str] | None = None
    ) -> None:
        self.step = step
        self._names = class_names if step.by == "group pseudo_label" else None
        named = range(len(self._names)) if self._names else ()
        values = sorted({*counts, *named}) if step.by is not None else [0]
        self._groups = np.array(values, dtype=np.int64)
        self._n = step.n if step.n is not None else share_of(counts[0], step.quantile or 0)
        if step.by is not None:
            policy = partial(balanced, total=self._n, num_groups=len(self._groups))
            if not step.balanced:
                self._check_groups(counts)
                policy = partial(
                    quota, n=self._n, num_groups=len(self._groups), shortage=step.shortage
                )
            self._running = Running(policy, num_groups=len(self._groups))
        else:
            self._running = Running(partial(smallest, n=self._n))
        self._empty: Chunk = {}

    @property
    def peak_rows(self) -> int:
        """The most rows held at any time."""
        return self._running.peak_rows

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        if not self._empty:
            self._empty = {name: values[:0] for name, values in chunk.items()}
        columns = columns_of(self.step.order, chunk, group_of(self.step, chunk, self._groups))
        carried = ("row_id", "tie_high", "tie_low")
        self._running.add(columns, {k: v for k, v in chunk.items() if k not in carried})

    def finish(self) -> Kept:
        """The rows kept of all chunks (at least one)."""
        survivors = self._running.survivors()
        if survivors is None:
            chunk, columns = self._empty, columns_of(self.step.order, self._empty)
        else:
            columns, payload = survivors
            chunk = {
                "row_id": columns.row_id,
                "tie_high": columns.tie_high,
                "tie_low": columns.tie_low,
                **payload,
            }
        seen = int(self._running.num_by_group.sum()) + self._running.num_unranked
        details = {
            "unranked": self._running.num_unranked,
            "cuts": self._cuts(columns),
        }
        warnings = self._warnings(len(columns)) if seen else ()
        reason = np.zeros(len(columns), dtype=np.int64)
        return Kept(chunk, reason, (self.step.label,), details, warnings)

    def _name(self, group: int) -> str:
        value = int(self._groups[group])
        named = self._names is not None and 0 <= value < len(self._names)
        return f"{value} ({self._names[value]})" if named and self._names else str(value)

    def _check_groups(self, counts: Counter[int]) -> None:
        available = np.array([counts[int(value)] for value in self._groups])
        if self.step.shortage == "error" and (available < self._n).any():
            raise UsageError(
                f"{self.step.path}: {self._short(available)}; lower n, or set shortage: "
                "redistribute (others fill the places) or accept (they stay empty)"
            )
        places = self._n * len(self._groups)
        if self.step.shortage == "redistribute" and available.sum() < places:
            raise UsageError(
                f"{self.step.path}: {places} rows wanted ({self._n} for each of "
                f"{len(self._groups)} groups), {available.sum()} there; lower n, or set "
                "shortage: accept"
            )

    def _short(self, available: IntArray) -> str:
        short = np.flatnonzero(available < self._n)
        shown = ", ".join(f"{self._name(g)}: {available[g]}" for g in short[:_SHOWN])
        more = ", ..." if len(short) > _SHOWN else ""
        return (
            f"{len(short)} of {len(available)} groups have fewer than {self._n} rows: {shown}{more}"
        )

    def _warnings(self, num_kept: int) -> tuple[str, ...]:
        path, available = self.step.path, self._running.num_by_group
        if self.step.by is None or self.step.balanced:
            if self.step.quantile is not None or num_kept == self._n:
                return ()
            message = f"{path}: {self._n} rows wanted, {num_kept} there"
            if self.step.shortage == "error":
                raise UsageError(f"{message}; lower n, or set shortage: accept")
            return (message,)
        if (available >= self._n).all():
            return ()
        left = "others fill their places" if self.step.shortage == "redistribute" else "left short"
        return (f"{path}: {self._short(available)}; {left}",)

    def _cuts(self, kept: Columns) -> list[dict[str, Any]]:
        """Per group the last row that is in: everything after it in the total order is out."""
        if self.step.by is None:
            kept_by_group = np.array([len(kept)])
            ranked = kept.at(best_first_by_group(kept))
        else:
            ranked = kept.at(best_first_by_group(kept))
            kept_by_group = np.bincount(ranked.group, minlength=len(self._groups))
        last = np.cumsum(kept_by_group) - 1
        cuts: list[dict[str, Any]] = []
        for group, (number, at) in enumerate(zip(kept_by_group, last, strict=True)):
            cut: dict[str, Any] = {}
            if self.step.by is not None:
                cut = {"group": int(self._groups[group]), "name": self._name(group)}
            cut |= {"available": int(self._running.num_by_group[group]), "kept": int(number)}
            cuts.append(cut | (cut_key(self.step.order, ranked, int(at)) if number else {}))
        return cuts


def cut_key(order: Order, rows: Columns, at: int) -> dict[str, Any]:
    """The place of one row in the total order, as stats.json keeps it."""
    value = float(rows.order[at]) * order.sign + 0.0  # no -0.0
    return {
        "value": value if math.isfinite(value) else str(value),
        "content_hash": f"{int(rows.tie_high[at]):016x}{int(rows.tie_low[at]):016x}",
        "row_id": int(rows.row_id[at]),
    }


def is_within(order: Order, rows: Columns, at: int, cut: Mapping[str, Any]) -> bool:
    """True if a row comes no later in the total order than the cut (see `cut_key`)."""
    if "value" not in cut or np.isnan(rows.order[at]):
        return False
    row = cut_key(order, rows, at)
    place, limit = (
        (float(key["value"]) * order.sign, key["content_hash"], key["row_id"]) for key in (row, cut)
    )
    return place <= limit
