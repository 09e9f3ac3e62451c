"""`score --retry-failed`: which finished parts have failed rows that can be done again."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cluster.runs import Run
from selector.scoring.task import ScoreTask
from shards.manifest import ShardEntry


def retry_tasks(run: Run, entries: Iterable[ShardEntry], parts: Collection[str]) -> list[ScoreTask]:
    """One task for every part that has failed rows; reads the markers of all.

    Args:
        entries: Shards that can be read.
        parts: Finished parts.
    """
    there = {entry.shard_id: entry for entry in entries}
    return [
        ScoreTask(
            shard=there[int(marker.part[:8])],
            start=int(marker.part[9:17]),
            run=run.root,
            retry=True,
            version=marker.version,
        )
        for marker in run.ledger.read(parts)
        if marker.counters.get("failed") and int(marker.part[:8]) in there
    ]
