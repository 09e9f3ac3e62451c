"""Steps that put others together: rows in all of them, in any, or filled up one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from selector.policies.columns import IntArray, best_first
from selector.policies.compose import fill, first_seen, in_all
from selector.selecting.diverse import DiverseRunner
from selector.selecting.plan import Combine, Diverse, Limit, Rank, Step, is_row_wise
from selector.selecting.rank import Kept, RankRunner, cut_key
from selector.selecting.rows import columns_of, concatenate, keeps, take_rows
from selector.selecting.source import Chunk
from shards.errors import UsageError


class Runner(Protocol):
    """Carries out a step over chunks: any number of `add`, then one `finish`."""

    @property
    def peak_rows(self) -> int: ...
    def add(self, chunk: Chunk) -> None: ...
    def finish(self) -> Kept: ...


def make_runner(
    step: Step, *, counts: Mapping[str, Counter[int]], class_names: list[str] | None
) -> Runner:
    """The runner of any step.

    Args:
        counts: path of each Rank step that needs them -> counts of the rows to come.
    """
    match step:
        case Rank():
            rows = counts.get(step.path, Counter())
            return RankRunner(step, counts=rows, class_names=class_names)
        case Diverse():
            return DiverseRunner(step)
        case Combine() if not is_row_wise(step):
            return CombineRunner(step, counts=counts, class_names=class_names)
        case _:
            return Collector(step)


class Collector:
    """Keeps all rows that a row-wise step keeps, or every row if there is no step.

    Args:
        only_row_ids: carry nothing else, for a selection that ends here.
    """

    def __init__(self, step: Step | None, *, only_row_ids: bool = False) -> None:
        self._step = step
        self._only_row_ids = only_row_ids
        self._chunks: list[Chunk] = []
        self.peak_rows = 0

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        kept = chunk if self._step is None else take_rows(chunk, keeps(self._step, chunk))
        if self._only_row_ids:
            kept = {"row_id": kept["row_id"].copy()}  # a copy lets go of the other columns
        # An empty chunk is kept only to know the columns.
        if not self._chunks or len(kept["row_id"]):
            self._chunks.append(kept)
            self.peak_rows += len(kept["row_id"])

    def finish(self) -> Kept:
        """All rows kept."""
        chunk = concatenate(self._chunks)
        label = self._step.label if self._step else "every row of the source"
        return Kept(chunk, np.zeros(len(chunk["row_id"]), dtype=np.int64), (label,))


class CombineRunner:
    """Carries out a Combine step: each part sees the same rows, the ends are put together."""

    def __init__(
        self,
        step: Combine,
        *,
        counts: Mapping[str, Counter[int]],
        class_names: list[str] | None,
    ) -> None:
        self.step = step
        # In an intersection a mask needs no runner of its own: it is applied to the result.
        self._masks = [p for p in step.parts if step.how == "all" and is_row_wise(p)]
        self._parts = [part for part in step.parts if part not in self._masks]
        self._runners = [
            make_runner(part, counts=counts, class_names=class_names) for part in self._parts
        ]

    @property
    def peak_rows(self) -> int:
        """The most rows that the parts held, added up."""
        return sum(runner.peak_rows for runner in self._runners)

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        for runner in self._runners:
            runner.add(chunk)

    def finish(self) -> Kept:
        """The rows of the combination.

        Raises:
            UsageError: too few rows, and the step or a part says that this is an error.
        """
        kept = [runner.finish() for runner in self._runners]
        details: list[dict[str, Any]] = [
            {
                "path": part.path,
                "label": part.label,
                "rows_out": len(result.reason),
                **result.details,
            }
            for part, result in zip(self._parts, kept, strict=True)
        ]
        warnings = [warning for result in kept for warning in result.warnings]
        if self.step.how == "all":
            return self._intersection(kept, details, tuple(warnings))
        if self.step.how == "any":
            rows = concatenate([result.chunk for result in kept])
            reason, labels = _joined_reasons(kept)
            first = first_seen(rows["row_id"])
            return Kept(
                take_rows(rows, first), reason[first], labels, {"parts": details}, tuple(warnings)
            )
        return self._filled(kept, details, warnings)

    def _intersection(
        self, kept: list[Kept], details: list[dict[str, Any]], warnings: tuple[str, ...]
    ) -> Kept:
        chunk = kept[0].chunk
        mask = in_all(chunk["row_id"], [result.chunk["row_id"] for result in kept[1:]])
        for step in self._masks:
            mask &= keeps(step, chunk)
        reason = np.zeros(np.count_nonzero(mask), dtype=np.int64)
        return Kept(
            take_rows(chunk, mask), reason, (self.step.label,), {"parts": details}, warnings
        )

    def _filled(self, kept: list[Kept], details: list[dict[str, Any]], warnings: list[str]) -> Kept:
        n = self.step.n or 0
        ordered = []
        for part, result in zip(self._parts, kept, strict=True):
            assert isinstance(part, Rank | Limit)  # `bind` lets nothing else in
            index = best_first(columns_of(part.order, result.chunk))
            ordered.append((part, take_rows(result.chunk, index)))
        masks = fill([chunk["row_id"] for _, chunk in ordered], n=n)
        taken = []
        for (part, chunk), mask, detail in zip(ordered, masks, details, strict=True):
            rows = take_rows(chunk, mask)
            taken.append(rows)
            detail["taken"] = num_taken = len(rows["row_id"])
            if num_taken:
                columns = columns_of(part.order, rows)
                detail["last_taken"] = cut_key(part.order, columns, num_taken - 1)
        rows = concatenate(taken)
        reason, labels = _joined_reasons(
            [
                Kept(chunk, np.zeros(len(chunk["row_id"]), dtype=np.int64), result.labels)
                for chunk, result in zip(taken, kept, strict=True)
            ]
        )
        if len(reason) < n:
            message = f"{self.step.path}: {n} rows wanted, {len(reason)} there"
            if self.step.shortage == "error":
                raise UsageError(f"{message}; lower n, add another step, or set shortage: accept")
            warnings = [*warnings, message]
        return Kept(rows, reason, labels, {"parts": details}, tuple(warnings))


def _joined_reasons(kept: list[Kept]) -> tuple[IntArray, tuple[str, ...]]:
    """Reasons of several results put one after another, over one list of labels."""
    labels = [label for result in kept for label in result.labels]
    starts = np.cumsum([0, *(len(result.labels) for result in kept[:-1])])
    codes = [result.reason + start for result, start in zip(kept, starts, strict=True)]
    return np.concatenate(codes), tuple(labels)
