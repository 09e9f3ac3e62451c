"""Throughput of a run: what was done per second, where the time went, and what bounds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.halved_batches import smallest_halved

STAGES = {
    "wait_read_s": "reading the shard",
    "wait_decode_s": "decoding and resizing",
    "model_s": "the model",
    "wait_write_s": "writing the tables",
}
"""Counter -> what the actor's main thread was waiting for, or doing, in those seconds."""


@dataclass(frozen=True)
class Throughput:
    """Rates of one call, from the counters of the parts that this call finished.

    Attributes:
        wall_s: Seconds from the first dispatch to the last result.
        images, num_bytes: Images seen (failed ones included) and their encoded bytes.
        images_per_s, bytes_per_s: Over `wall_s`, start-up of the workers included.
        busy_s: Worker seconds spent inside parts, summed over workers.
        seconds: Worker seconds by stage, keys as in `STAGES`.
        bound_by: The stage with the most seconds; "" if nothing was done.
        halved_to: Images of the smallest batch that a worker came down to because the memory of
            its device held no larger one; None = all held.
    """

    wall_s: float
    workers: int
    images: int
    num_bytes: int
    images_per_s: float
    bytes_per_s: float
    busy_s: float
    seconds: dict[str, float] = field(default_factory=dict)
    bound_by: str = ""
    halved_to: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        """The page printed at the end of a run."""
        if not self.images:
            return ["nothing to do: every part is done"]
        head = (
            f"{self.images:,} images in {self.wall_s:.1f} s: {self.images_per_s:,.0f} images/s, "
            f"{self.bytes_per_s / 1e6:,.1f} MB/s with {self.workers} worker"
            f"{'s' if self.workers != 1 else ''}"
        )
        rows = [head, f"worker seconds (of {self.busy_s:.1f} inside parts):"]
        for stage, text in STAGES.items():
            seconds = self.seconds.get(stage, 0.0)
            share = seconds / self.busy_s if self.busy_s else 0.0
            mark = "   <- bounds this run" if stage == self.bound_by else ""
            rows.append(f"  {text:<22} {seconds:9.1f} s {share:6.1%}{mark}")
        if self.halved_to is not None:
            rows.append(
                f"batches halved to {self.halved_to:,} images: the device was out of memory"
            )
        return rows


def sum_counters(counters: Iterable[dict[str, float]]) -> dict[str, float]:
    """Add counters up by name."""
    total: Counter[str] = Counter()
    for one in counters:
        total.update(one)
    return dict(total)


def throughput(counters: dict[str, float], *, wall_s: float, workers: int) -> Throughput:
    """Rates from summed counters (see `selector.scoring.shard_scorer`)."""
    images, num_bytes = int(counters.get("images", 0)), int(counters.get("bytes", 0))
    seconds = {stage: counters.get(stage, 0.0) for stage in STAGES}
    return Throughput(
        wall_s=wall_s,
        workers=workers,
        images=images,
        num_bytes=num_bytes,
        images_per_s=images / wall_s if wall_s else 0.0,
        bytes_per_s=num_bytes / wall_s if wall_s else 0.0,
        busy_s=counters.get("wall_s", 0.0),
        seconds=seconds,
        bound_by=max(seconds, key=lambda stage: seconds[stage]) if images else "",
        halved_to=smallest_halved(counters),
    )
