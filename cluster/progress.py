"""What a long verb tells while it runs; the command line draws it, a notebook may print it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RunFacts:
    """How a run over many workers stands, for whoever watches it closely.

    Attributes:
        workers, starting: Workers at work; those that are still to be there.
        in_flight: Parts in hand.
        parts_done, parts: Parts finished by this call, and those it has to do.
        repeated, quarantined: Parts that went round again; parts given up.
        worker_deaths: Workers lost so far.
        counters: Sums of the stage's counters over finished parts: images, failed,
            status_<each status>, seconds by stage (see `cluster.metrics.STAGES`).
    """

    workers: int = 0
    starting: int = 0
    in_flight: int = 0
    parts_done: int = 0
    parts: int = 0
    repeated: int = 0
    quarantined: int = 0
    worker_deaths: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress:
    """How far a verb is.

    Attributes:
        done, total: Work so far and in all, in `unit` (bytes of input, steps, shards).
        images: Images handled so far by this call.
        note: A line worth keeping in the log (a repeated part, a quarantined shard), or "".
        facts: Of a run over many workers, else None.
    """

    done: float
    total: float
    unit: str = "bytes"
    images: int = 0
    note: str = ""
    facts: RunFacts | None = None


OnProgress = Callable[[Progress], None]


def ignore(_: Progress) -> None:
    """The progress callback of a caller that gave none."""


def say_to(on_progress: OnProgress) -> Callable[[str], None]:
    """Tells notes alone."""
    return lambda note: on_progress(Progress(0, 0, note=note))
