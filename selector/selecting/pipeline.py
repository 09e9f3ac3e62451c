"""Running a plan: leading masks and the first comparing step over the stream, the rest in memory.

The first step that compares rows sees the stream; what it keeps is the memory that a selection
takes. The steps after it work on that alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from selector.policies.columns import IntArray
from selector.selecting.combine import Collector, Runner, make_runner
from selector.selecting.plan import Combine, Listed, Plan, Rank, Step, is_row_wise
from selector.selecting.rank import Kept, count, needs_counts
from selector.selecting.rows import keeps, take_rows
from selector.selecting.source import Chunk
from shards.errors import UsageError


@dataclass(frozen=True)
class Outcome:
    """Result of a plan.

    Attributes:
        row_ids: (N,) int64, sorted, N >= 1.
        reason: (N,) index into labels.
        labels: why rows are in.
        num_candidates: rows that the source let through.
        steps: one entry per step for stats.json: path, label, rows_in, rows_out, cuts.
        warnings: what the user should hear.
        peak_rows: the most rows held in memory by comparing steps.
    """

    row_ids: IntArray
    reason: IntArray
    labels: tuple[str, ...]
    num_candidates: int
    steps: list[dict[str, Any]]
    warnings: tuple[str, ...]
    peak_rows: int


@dataclass
class _Tally:
    """Rows that came to a step, and left it."""

    rows_in: int = 0
    rows_out: int = 0


Pass = Callable[[], Iterable[Chunk]]
"""Starts a pass over the candidate rows."""


def counts_first(plan: Plan) -> bool:
    """Whether rows have to be counted before they are ranked: a quantile or quota comes first."""
    head = _split(plan.steps)[1]
    return any(needs_counts(rank) for rank in _ranks(head))


def run_plan(plan: Plan, stream: Pass, *, counting: Pass | None = None) -> Outcome:
    """Select.

    Args:
        stream: the candidate rows.
        counting: the same rows for the pass that comes first if `counts_first`; their content
            hashes may be missing. `stream` if not given.

    Raises:
        UsageError: too few rows where that is an error, or an empty selection, with the step
            that emptied it.
    """
    leading, head, rest = _split(plan.steps)
    first = counting or stream
    counts = _counts(head, lambda: (_passing(leading, chunk) for chunk in first()))
    runner: Runner = Collector(None, only_row_ids=True)
    if head is not None:
        runner = make_runner(head, counts=counts, class_names=plan.class_names)
    tallies = [_Tally() for _ in leading]
    num_candidates = num_passed = 0
    for chunk in stream():
        num_candidates += len(chunk["row_id"])
        passed = _passing(leading, chunk, tallies)
        num_passed += len(passed["row_id"])
        runner.add(passed)
    if num_candidates == 0:
        status = ", status ok only" if plan.status_ok else ""
        raise UsageError(
            f"the selection is empty: no row passes the source ({plan.where or 'any'}{status})"
        )
    entries = [
        _entry(step, tally.rows_in, tally.rows_out, {})
        for step, tally in zip(leading, tallies, strict=True)
    ]
    kept = runner.finish()
    warnings = [*_list_warnings(plan.steps), *kept.warnings]
    if head is not None:
        entries.append(_entry(head, num_passed, len(kept.reason), kept.details))
    elif leading:
        kept = replace(kept, labels=("; ".join(step.label for step in leading),))
    for step in rest:
        before, kept = kept, _in_memory(step, kept, plan.class_names)
        entries.append(_entry(step, len(before.reason), len(kept.reason), kept.details))
        warnings += kept.warnings
    _refuse_empty(entries)
    index = np.argsort(kept.chunk["row_id"])
    return Outcome(
        row_ids=kept.chunk["row_id"][index],
        reason=kept.reason[index],
        labels=kept.labels,
        num_candidates=num_candidates,
        steps=entries,
        warnings=tuple(warnings),
        peak_rows=runner.peak_rows,
    )


def _split(steps: Sequence[Step]) -> tuple[Sequence[Step], Step | None, Sequence[Step]]:
    """The row-wise steps at the top, the first step that compares rows, and those after it."""
    at = next((i for i, step in enumerate(steps) if not is_row_wise(step)), len(steps))
    return steps[:at], steps[at] if at < len(steps) else None, steps[at + 1 :]


def _passing(steps: Sequence[Step], chunk: Chunk, tallies: Sequence[_Tally] | None = None) -> Chunk:
    """The rows of a chunk that pass all the row-wise steps."""
    for at, step in enumerate(steps):
        passed = take_rows(chunk, keeps(step, chunk))
        if tallies is not None:
            tallies[at].rows_in += len(chunk["row_id"])
            tallies[at].rows_out += len(passed["row_id"])
        chunk = passed
    return chunk


def _counts(step: Step | None, stream: Pass) -> dict[str, Counter[int]]:
    """Counts for every Rank step within `step` that needs them; one pass, or none."""
    ranks = [rank for rank in _ranks(step) if needs_counts(rank)]
    counts: dict[str, Counter[int]] = {rank.path: Counter() for rank in ranks}
    if ranks:
        for chunk in stream():
            for rank in ranks:
                count(rank, chunk, counts[rank.path])
    return counts


def _ranks(step: Step | None) -> Iterator[Rank]:
    if isinstance(step, Rank):
        yield step
    elif isinstance(step, Combine):
        for part in step.parts:
            yield from _ranks(part)


def _in_memory(step: Step, kept: Kept, class_names: list[str] | None) -> Kept:
    """A later step on the rows that the ones before it kept."""
    if is_row_wise(step):
        mask = keeps(step, kept.chunk)
        return Kept(take_rows(kept.chunk, mask), kept.reason[mask], kept.labels)
    chunk = {**kept.chunk, "reason": kept.reason}
    runner = make_runner(step, counts=_counts(step, lambda: [chunk]), class_names=class_names)
    runner.add(chunk)
    result = runner.finish()
    # Why a row is in: what took it in before, and what takes it in now.
    both = result.chunk["reason"] * len(result.labels) + result.reason
    used, reason = np.unique(both, return_inverse=True)
    labels = tuple(
        f"{kept.labels[code // len(result.labels)]}; {result.labels[code % len(result.labels)]}"
        for code in used.tolist()
    )
    return replace(result, reason=reason.astype(np.int64), labels=labels)


def _entry(step: Step, rows_in: int, rows_out: int, details: dict[str, Any]) -> dict[str, Any]:
    return {
        "path": step.path,
        "label": step.label,
        "rows_in": rows_in,
        "rows_out": rows_out,
        **details,
    }


def _list_warnings(steps: Iterable[Step]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Listed) and step.warning:
            yield step.warning
        elif isinstance(step, Combine):
            yield from _list_warnings(step.parts)


def _refuse_empty(entries: Sequence[dict[str, Any]]) -> None:
    for entry in entries:
        if entry["rows_out"] == 0:
            raise UsageError(
                f"the selection is empty: {entry['path']} ({entry['label']}) kept none of "
                f"{entry['rows_in']} rows; loosen it"
            )
