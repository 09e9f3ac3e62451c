"""How fast a run goes, from the times at which its parts were finished. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

WINDOW_S = 600.0
"""Only the last ten minutes count: what was slow in the morning says nothing about the evening."""

LEAST_PARTS = 20
"""Unless fewer than this many parts ended in them."""

PAUSE_FACTOR, PAUSE_S = 10.0, 60.0
"""A gap this many times longer than usual, and at least so long, was a stop of the run."""


@dataclass(frozen=True)
class FinishedPart:
    """A part that is done: when, in seconds since 1970, and how much input it stands for."""

    at_s: float
    num_bytes: float


def bytes_per_s(parts: Sequence[FinishedPart], *, now_s: float | None = None) -> float | None:
    """Input bytes per second of wall clock over the last stretch without a pause.

    Args:
        parts: In any order.
        now_s: The present, if the run is going: the time since its last part counts too.

    Returns:
        None while fewer than two parts are done: one alone does not say when it was begun.
    """
    ordered = sorted(parts, key=lambda part: part.at_s)
    recent = [part for part in ordered if part.at_s >= ordered[-1].at_s - WINDOW_S]
    if len(recent) < LEAST_PARTS:
        recent = ordered[-LEAST_PARTS:]
    recent = _after_last_pause(recent)
    if len(recent) < 2:
        return None
    first, last = recent[0].at_s, recent[-1].at_s
    amount = sum(part.num_bytes for part in recent if part.at_s > first)
    seconds = last - first
    if now_s is not None:
        # A part that takes its usual time is no slowness; one that takes longer shows.
        seconds = max(seconds, now_s - first - seconds / (len(recent) - 1))
    return amount / seconds if seconds > 0 and amount > 0 else None


def _after_last_pause(parts: list[FinishedPart]) -> list[FinishedPart]:
    gaps = [later.at_s - earlier.at_s for earlier, later in pairwise(parts)]
    if not gaps:
        return parts
    pause = max(PAUSE_S, PAUSE_FACTOR * median(gaps))
    begin = max((number + 1 for number, gap in enumerate(gaps) if gap > pause), default=0)
    return parts[begin:]
