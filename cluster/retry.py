"""Whether a failure is worth another try: one small pure function decides, for every executor."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Literal

from shards.errors import ShardError, StorageError, UsageError

Verdict = Literal["retry", "quarantine", "abort"]


@dataclass(frozen=True)
class Failure:
    """An exception, flattened so that it crosses process borders whatever it was."""

    verdict: Verdict
    kind: str
    message: str
    traceback: str


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
    )
