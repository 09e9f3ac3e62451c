"""Which shards stand for a pool: pure."""

from __future__ import annotations

from collections.abc import Sequence

from shards.manifest import ShardEntry


def choose_shards(entries: Sequence[ShardEntry], count: int) -> list[ShardEntry]:
    """At most `count` distinct shards, spread over the pool by bytes.

    Systematic sampling with probability proportional to size: the pool's bytes are laid end to end
    in order, and the shards under `count` equidistant points are taken. So neither the largest nor
    the first shards stand for all of them, and a pool made of several sets has each in its share.
    The same pool gives the same shards.
    """
    total = sum(max(1, entry.num_bytes) for entry in entries)
    points = iter([total * (2 * number + 1) / (2 * count) for number in range(count)])
    chosen: list[ShardEntry] = []
    point, passed = next(points, None), 0
    for entry in entries:
        passed += max(1, entry.num_bytes)
        if point is not None and point < passed:
            chosen.append(entry)
        while point is not None and point < passed:
            point = next(points, None)
    return chosen


def deal(entries: Sequence[ShardEntry], hands: int) -> list[tuple[ShardEntry, ...]]:
    """The shards in `hands` lists, round about; lists without any are left out."""
    dealt = [tuple(entries[number::hands]) for number in range(hands)]
    return [hand for hand in dealt if hand]
