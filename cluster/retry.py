"""Whether a failure is worth another try: small pure functions decide, for every executor."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Literal

from shards.errors import ShardError, StorageError, UsageError

Verdict = Literal["retry", "quarantine", "abort"]

MAX_TRIES = 3
"""A task that failed, or took its worker down, this often is quarantined."""

MAX_STORAGE_TRIES = 8
"""For storage that is throttled or away for a while: with growing pauses, about six minutes."""

MAX_LOST_NODES = 20
"""A task can lose its node often (spot machines come and go) without being to blame."""

_LONGEST_PAUSE_S = 120.0


@dataclass(frozen=True)
class Failure:
    """An exception, flattened so that it crosses process borders whatever it was.

    Attributes:
        transient: The storage may well answer later.
    """

    verdict: Verdict
    kind: str
    message: str
    traceback: str
    transient: bool = False


def judge(error: BaseException) -> Verdict:
    """Decide what follows from `error`.

    Returns:
        `abort`: every task would fail alike (wrong weights, wrong configuration, disk full).
        `quarantine`: this task's input is bad and will stay so (not a tar, shard missing).
        `retry`: anything else; another worker, or the same one later, may succeed.
    """
    if isinstance(error, UsageError):
        return "abort"
    if isinstance(error, ShardError):
        return "quarantine"
    if isinstance(error, StorageError):
        if error.retriable:
            return "retry"
        return "abort" if error.disk_full else "quarantine"
    if isinstance(error, (ImportError, SyntaxError)):
        return "abort"
    return "retry"


def flatten(error: BaseException) -> Failure:
    """Describe `error` as plain text with its verdict."""
    return Failure(
        verdict=judge(error),
        kind=type(error).__name__,
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
        transient=isinstance(error, StorageError) and error.retriable,
    )


def allowed_tries(failure: Failure) -> int:
    """How often a task may fail in this way before it is quarantined."""
    if failure.verdict == "quarantine":
        return 1
    if failure.kind == "NodeLost":
        return MAX_LOST_NODES
    return MAX_STORAGE_TRIES if failure.transient else MAX_TRIES


def pause_s(failure: Failure, tries: int) -> float:
    """How long to leave a task alone after its `tries`-th failure of this kind, in seconds.

    Storage that is overloaded is not helped by asking at once: 2, 4, 8, ... up to two minutes.
    """
    return min(_LONGEST_PAUSE_S, 2.0**tries) if failure.transient else 0.0
