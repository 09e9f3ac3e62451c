"""Batches that the memory of a device did not hold, told to whoever chose their size."""

from __future__ import annotations

from collections.abc import Mapping


def smallest_halved(counters: Mapping[str, float]) -> int | None:
    """Images of the smallest batch that some worker had to come down to; None = none had to.

    Args:
        counters: of parts, added up (`selector.scoring.task.PartResult`).
    """
    from selector.scoring.task import HALVED_TO  # late: help imports nothing heavy

    sizes = [
        int(name.removeprefix(HALVED_TO))
        for name, count in counters.items()
        if name.startswith(HALVED_TO) and count
    ]
    return min(sizes, default=None)


def halved_note(counters: Mapping[str, float]) -> str:
    """What happened and what to set; empty if nothing did."""
    size = smallest_halved(counters)
    if size is None:
        return ""
    times = int(counters.get("forward_halved", 0))
    return (
        f"out of memory on the device: batches were halved, {times:,} time"
        f"{'s' if times != 1 else ''} in all, down to {size:,} images, and the work went on. "
        f"Scores are the same within the tolerance of batch sizes. --batch-size {size} begins there"
    )
