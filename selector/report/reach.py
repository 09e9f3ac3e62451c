"""Which shards a report takes its pictures from: all plain ones, and few of the compressed.

Plain shards are read by offset, so a picture costs its own bytes. A compressed shard has to be
read through for any one of them; a report must not read a whole pool to show some hundred images.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from shards import storage
from shards.reader import is_compressed

MAX_STREAMED = 2
"""Compressed shards that are read through, where they are too large to read all."""

LOCAL_BYTES, REMOTE_BYTES = 1_000_000_000, 100_000_000
"""Compressed shards of together at most so many bytes are all read."""


def shards_in_reach(shards: pa.Table, selected: Mapping[int, int]) -> frozenset[int]:
    """shard_ids whose images may be shown.

    Args:
        shards: the pool manifest.
        selected: shard_id -> selected images in it. Of compressed shards that are too large those
            with most are taken, the lower shard_id where two have as many.
    """
    rows = shards.select(["shard_id", "uri", "num_bytes"]).to_pylist()
    compressed = [row for row in rows if is_compressed(row["uri"])]
    budget = LOCAL_BYTES if all(storage.is_local(r["uri"]) for r in compressed) else REMOTE_BYTES
    if sum(row["num_bytes"] for row in compressed) > budget:
        compressed.sort(key=lambda row: (-selected.get(row["shard_id"], 0), row["shard_id"]))
        out_of_reach = {row["shard_id"] for row in compressed[MAX_STREAMED:]}
    else:
        out_of_reach = set()
    return frozenset(row["shard_id"] for row in rows) - out_of_reach
