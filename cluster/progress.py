"""What a long verb tells while it runs; the command line draws it, a notebook may print it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a verb is.

    Attributes:
        done, total: Work so far and in all, in `unit` (bytes of input, steps, shards).
        images: Images handled so far by this call.
        note: A line worth keeping in the log (a repeated part, a quarantined shard), or "".
    """

    done: float
    total: float
    unit: str = "bytes"
    images: int = 0
    note: str = ""


OnProgress = Callable[[Progress], None]
